"""Moved while exposed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.augment._base import AbstractOperation, spread
from scarce.dataset import Array, Floats, Ints
from scarce.recipe import Params


@final
@dataclass(frozen=True, kw_only=True)
class MotionBlur(AbstractOperation):
    """Blur along a line, as a part that moves while it is exposed.

    Use when parts pass the camera on a belt.
    Do not use when fine lines across the motion are the evidence.
    Needs: pictures.
    Writes: parameters length (share of the shorter side), angle (degrees).

    Args:
        length: smallest and largest way during the exposure, in shares of the shorter side.
        angle: smallest and largest direction in degrees, counter-clockwise from the right.
    """

    uniforms: ClassVar[int] = 2

    length: tuple[float, float] = (0.01, 0.04)
    angle: tuple[float, float] = (0.0, 180.0)

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        self.check_range("length", self.length, 0.0, 0.5)
        self.check_range("angle", self.angle, -180.0, 180.0)

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return length and angle."""
        return {"length": spread(uniform[:, 0], *self.length), "angle": spread(uniform[:, 1], *self.angle)}

    def change(self, images: Array, params: Params, rows: Ints) -> None:
        """Blur the rows along their lines."""
        import cv2

        for row in rows.tolist():
            length = float(params["length"][row]) * min(images.shape[1:3])
            if length > 0.5:
                kernel = line_kernel(length, float(params["angle"][row]))
                cv2.filter2D(images[row], -1, kernel, images[row], borderType=cv2.BORDER_REFLECT_101)


def line_kernel(length: float, angle: float) -> Floats:
    """Return an odd square float32 kernel that averages along a line of ``length`` pixels; sums to 1."""
    half = int(np.ceil(length / 2))
    points = np.linspace(-length / 2, length / 2, 8 * half + 1)
    x, y = half + points * np.cos(np.deg2rad(angle)), half - points * np.sin(np.deg2rad(angle))
    kernel = np.zeros((2 * half + 3,) * 2, np.float32)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    for dx, dy in ((0, 0), (0, 1), (1, 0), (1, 1)):
        share = np.abs(1 - dx - (x - left)) * np.abs(1 - dy - (y - top))
        np.add.at(kernel, (top + dy, left + dx), share)
    kernel = kernel[: 2 * half + 1, : 2 * half + 1]
    found: Floats = kernel / kernel.sum()
    return found
