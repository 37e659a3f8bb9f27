"""Fewer levels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.augment._base import AbstractOperation
from scarce.dataset import Floats, Ints
from scarce.recipe import Params, Tone


@final
@dataclass(frozen=True, kw_only=True)
class Posterize(AbstractOperation):
    """Keep only the highest bits of every value.

    Use in searched policies, and when cameras of fewer bits feed the model.
    Do not use when fine gradation is the evidence.
    Needs: pictures.
    Writes: parameter bits (1 to 8).

    Args:
        bits: fewest and most bits that are kept.
    """

    uniforms: ClassVar[int] = 1
    color: ClassVar[bool] = True

    bits: tuple[int, int] = (4, 8)

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        self.check_range("bits", self.bits, 1, 8)

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return the bits."""
        return {"bits": self.bits[0] + (uniform[:, 0] * (self.bits[1] - self.bits[0] + 1)).astype(np.int64)}

    def tone(self, params: Params, rows: Ints, channels: int) -> Tone:  # noqa: ARG002  one shape for all
        """Return the curve."""
        step = (2.0 ** (8 - np.asarray(params["bits"])[rows])).astype(np.float32)[:, None, None]
        return Tone(curve=lambda values: np.floor(np.clip(values, 0, 255) / step) * step)
