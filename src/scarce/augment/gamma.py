"""The response curve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.augment._base import AbstractOperation, spread
from scarce.dataset import Floats, Ints
from scarce.recipe import Params, Tone


@final
@dataclass(frozen=True, kw_only=True)
class Gamma(AbstractOperation):
    """Bend the response curve: dark parts brighter or darker, black and white stay.

    Use when exposure or the camera's curve varies.
    Do not use when gray levels are measurements.
    Needs: pictures.
    Writes: parameter gamma (exponent; below 1 = brighter).

    Args:
        gamma: smallest and largest exponent, drawn evenly in its logarithm.
    """

    uniforms: ClassVar[int] = 1
    color: ClassVar[bool] = True

    gamma: tuple[float, float] = (0.8, 1.25)

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        self.check_range("gamma", self.gamma, 0.1, 10.0)

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return the exponent."""
        low, high = np.log(self.gamma)
        return {"gamma": np.exp(spread(uniform[:, 0], low, high))}

    def tone(self, params: Params, rows: Ints, channels: int) -> Tone:  # noqa: ARG002  one shape for all
        """Return the curve."""
        power = np.asarray(params["gamma"], np.float32)[rows][:, None, None]
        return Tone(curve=lambda values: 255 * (np.maximum(values, 0) / 255) ** power)
