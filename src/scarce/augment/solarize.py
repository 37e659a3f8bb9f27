"""Inverted lights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.augment._base import AbstractOperation, spread
from scarce.dataset import Floats, Ints
from scarce.recipe import Params, Tone


@final
@dataclass(frozen=True, kw_only=True)
class Solarize(AbstractOperation):
    """Invert all values above a threshold.

    Use in searched policies on natural pictures.
    Do not use on inspection pictures: no camera makes such ones.
    Needs: pictures.
    Writes: parameter threshold (share of full white; 0 inverts everything).

    Args:
        threshold: smallest and largest threshold, in shares of full white.
    """

    uniforms: ClassVar[int] = 1
    color: ClassVar[bool] = True

    threshold: tuple[float, float] = (0.5, 1.0)

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        self.check_range("threshold", self.threshold, 0.0, 1.0)

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return the threshold."""
        return {"threshold": spread(uniform[:, 0], *self.threshold)}

    def tone(self, params: Params, rows: Ints, channels: int) -> Tone:  # noqa: ARG002  one shape for all
        """Return the curve."""
        limit = 255 * np.asarray(params["threshold"], np.float32)[rows][:, None, None]
        return Tone(curve=lambda values: np.where(values < limit, values, 255 - values))
