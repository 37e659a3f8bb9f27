"""Turning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, final

import numpy as np

from scarce.augment._base import AbstractOperation, spread
from scarce.augment.shift_scale_rotate import similarity
from scarce.dataset import Floats
from scarce.recipe import Params


@final
@dataclass(frozen=True, kw_only=True)
class Rotate(AbstractOperation):
    """Turn about the center by any angle.

    Use when parts lie at any angle, or lie a little crooked (a small limit).
    Do not use when the direction is the label, or the corners that a turn cuts off hold the evidence.
    Needs: pictures.
    Writes: parameters angle (degrees, counter-clockwise), border.

    Args:
        angle: smallest and largest turn in degrees.
        border: what fills the gap: reflect, replicate, or constant (black).
    """

    uniforms: ClassVar[int] = 1
    geometric: ClassVar[bool] = True

    angle: tuple[float, float] = (-15.0, 15.0)
    border: Literal["reflect", "replicate", "constant"] = "reflect"

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        self.check_range("angle", self.angle, -180.0, 180.0)

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return the angle."""
        return {"angle": spread(uniform[:, 0], *self.angle), "border": self.border}

    def matrices(self, params: Params, height: int, width: int) -> Floats:
        """Return (N, 3, 3) turns."""
        still = np.zeros(len(params["angle"]))
        return similarity(params["angle"], still + 1, (still, still), (height, width))
