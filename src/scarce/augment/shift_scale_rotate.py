"""Small moves of the camera."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, final

import numpy as np

from scarce.augment._base import AbstractOperation, identities, spread
from scarce.dataset import Array, Floats
from scarce.recipe import Params


@final
@dataclass(frozen=True, kw_only=True)
class ShiftScaleRotate(AbstractOperation):
    """Shift, scale and rotate about the center, as a camera held a little differently.

    Use when parts are not clamped: it is the one operation that nearly every data set takes.
    Do not use when the place or the size of a thing is its label (a hole that must sit in a corner).
    Needs: pictures.
    Writes: parameters angle (degrees, counter-clockwise), scale, x, y (shares of width and height), border.

    Args:
        shift: largest shift, as a share of the width and height.
        scale: smallest and largest zoom.
        rotate: largest turn to either side in degrees.
        cut: largest share of a side that a shift may push out of the picture. A picture that was made smaller may move
            further, since it has a margin. 1 = no bound.
        border: what fills the gap: reflect (textures), replicate, or constant (black; pictures on black ground).
    """

    uniforms: ClassVar[int] = 4
    geometric: ClassVar[bool] = True

    shift: float = 0.0625
    scale: tuple[float, float] = (0.9, 1.1)
    rotate: float = 15.0
    cut: float = 1.0
    border: Literal["reflect", "replicate", "constant"] = "reflect"

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        self.check("shift", self.shift, 0.0, 1.0)
        self.check_range("scale", self.scale, 0.05, 20.0)
        self.check("rotate", self.rotate, 0.0, 180.0)
        self.check("cut", self.cut, 0.0, 1.0)

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return angle, scale and shift."""
        scale = spread(uniform[:, 1], *self.scale)
        room = np.minimum(self.shift, np.maximum(0.0, (1 - scale) / 2) + self.cut)
        return {
            "angle": spread(uniform[:, 0], -self.rotate, self.rotate),
            "scale": scale,
            "x": room * (2 * uniform[:, 2] - 1),
            "y": room * (2 * uniform[:, 3] - 1),
            "border": self.border,
        }

    def matrices(self, params: Params, height: int, width: int) -> Floats:
        """Return (N, 3, 3) similarity maps about the center."""
        x, y = np.asarray(params["x"]) * width, np.asarray(params["y"]) * height
        return similarity(params["angle"], params["scale"], (x, y), (height, width))


def similarity(angle: Any, scale: Any, shift: tuple[Array, Array], size: tuple[int, int]) -> Floats:
    """Return (N, 3, 3) matrices that turn, scale and shift about the center of (height, width) pictures.

    Args:
        angle: (N,) degrees, counter-clockwise as one sees it.
        scale: (N,) zoom.
        shift: (N,) pixels to the right and (N,) pixels down.
        size: height and width.
    """
    radians = np.deg2rad(np.asarray(angle, np.float64))
    cosine, sine = np.cos(radians) * scale, np.sin(radians) * scale
    x, y = (size[1] - 1) / 2, (size[0] - 1) / 2
    out = identities(len(radians))
    out[:, 0, 0], out[:, 0, 1] = cosine, sine
    out[:, 1, 0], out[:, 1, 1] = -sine, cosine
    out[:, 0, 2] = x + shift[0] - cosine * x - sine * y
    out[:, 1, 2] = y + shift[1] + sine * x - cosine * y
    return out
