"""Slanting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, final

import numpy as np

from scarce.augment._base import AbstractOperation, identities, spread
from scarce.dataset import Floats
from scarce.recipe import Params


@final
@dataclass(frozen=True, kw_only=True)
class Shear(AbstractOperation):
    """Slant the picture along x, y or both, about the center.

    Use when the camera looks a little from the side, and for handwriting.
    Do not use when straight angles are the evidence (measured parts).
    Needs: pictures.
    Writes: parameters x, y (tangent of the slant), border.

    Args:
        x: smallest and largest slant along x, in degrees.
        y: smallest and largest slant along y, in degrees.
        border: what fills the gap: reflect, replicate, or constant (black).
    """

    uniforms: ClassVar[int] = 2
    geometric: ClassVar[bool] = True

    x: tuple[float, float] = (-8.0, 8.0)
    y: tuple[float, float] = (0.0, 0.0)
    border: Literal["reflect", "replicate", "constant"] = "reflect"

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        self.check_range("x", self.x, -60.0, 60.0)
        self.check_range("y", self.y, -60.0, 60.0)

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return the tangents."""
        x, y = (np.tan(np.deg2rad(spread(uniform[:, index], *getattr(self, "xy"[index])))) for index in (0, 1))
        return {"x": x, "y": y, "border": self.border}

    def matrices(self, params: Params, height: int, width: int) -> Floats:
        """Return (N, 3, 3) slants about the center."""
        x, y = np.asarray(params["x"], np.float64), np.asarray(params["y"], np.float64)
        out = identities(len(x))
        out[:, 0, 1], out[:, 0, 2] = x, -x * (height - 1) / 2
        out[:, 1, 0], out[:, 1, 2] = y, -y * (width - 1) / 2
        return out
