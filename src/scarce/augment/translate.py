"""Shifting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, final

import numpy as np

from scarce.augment._base import AbstractOperation, identities, spread
from scarce.dataset import Floats
from scarce.recipe import Params


@final
@dataclass(frozen=True, kw_only=True)
class Translate(AbstractOperation):
    """Shift the picture.

    Use when the object is not centered in the field.
    Do not use when its place is the label, or it touches the edge that a shift pushes out.
    Needs: pictures.
    Writes: parameters x, y (shares of width and height, right and down), border.

    Args:
        x: smallest and largest shift to the right, in shares of the width.
        y: smallest and largest shift down, in shares of the height.
        border: what fills the gap: reflect, replicate, or constant (black).
    """

    uniforms: ClassVar[int] = 2
    geometric: ClassVar[bool] = True

    x: tuple[float, float] = (-0.1, 0.1)
    y: tuple[float, float] = (-0.1, 0.1)
    border: Literal["reflect", "replicate", "constant"] = "reflect"

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        self.check_range("x", self.x, -1.0, 1.0)
        self.check_range("y", self.y, -1.0, 1.0)

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return the shift."""
        return {"x": spread(uniform[:, 0], *self.x), "y": spread(uniform[:, 1], *self.y), "border": self.border}

    def matrices(self, params: Params, height: int, width: int) -> Floats:
        """Return (N, 3, 3) shifts."""
        out = identities(len(params["x"]))
        out[:, 0, 2], out[:, 1, 2] = np.asarray(params["x"]) * width, np.asarray(params["y"]) * height
        return out
