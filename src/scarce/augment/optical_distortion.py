"""Lenses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, final

import numpy as np

from scarce.augment._base import AbstractOperation, spread
from scarce.dataset import Floats
from scarce.recipe import Params


@final
@dataclass(frozen=True, kw_only=True)
class OpticalDistortion(AbstractOperation):
    """Bend the picture as a lens does: barrel or pincushion.

    Use when cameras or lenses differ between the lines.
    Do not use when one calibrated camera takes all pictures.
    Needs: pictures.
    Writes: parameters strength (shift of a side's middle, share of half the side), border.
    Source: the first radial term of Brown 1966.

    Args:
        strength: smallest and largest distortion, in [-.5, .5]; positive reads from farther out (barrel).
        border: what is seen beyond the edge: reflect, replicate, or constant (black).
    """

    uniforms: ClassVar[int] = 1
    geometric: ClassVar[bool] = True
    bends: ClassVar[bool] = True

    strength: tuple[float, float] = (-0.1, 0.1)
    border: Literal["reflect", "replicate", "constant"] = "reflect"

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        self.check_range("strength", self.strength, -0.3, 0.5)

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return the strength."""
        return {"strength": spread(uniform[:, 0], *self.strength), "border": self.border}

    def sources(self, params: Params, x: Floats, y: Floats, size: tuple[int, int]) -> tuple[Floats, Floats]:
        """Return the points moved along their radius."""
        middle = ((size[1] - 1) / 2, (size[0] - 1) / 2)
        half = np.float32(max(size) / 2)
        u, v = (x - middle[0]) / half, (y - middle[1]) / half
        factor = 1 + params["strength"] * (u * u + v * v)
        return u * factor * half + middle[0], v * factor * half + middle[1]
