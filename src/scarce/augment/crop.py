"""Cropping with resizing back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.augment._base import AbstractOperation, identities, spread
from scarce.dataset import Floats
from scarce.errors import ConfigError
from scarce.recipe import Params


@final
@dataclass(frozen=True, kw_only=True)
class Crop(AbstractOperation):
    """Cut out a part that covers most of the picture and resize it back.

    Use when the thing to recognize may be off center or nearer to the camera.
    Do not use when the defect is small and near the edge (a crop may cut it off and leave its label), or give a high
    smallest area. Garments keep .85 and more: a cropped shirt is no shirt.
    Needs: pictures.
    Writes: parameters x, y (left and top edge), width, height, all shares of the picture.

    Args:
        area: smallest and largest visible share of the picture's area.
        ratio: smallest and largest stretch of the crop's aspect against the picture's.
    """

    uniforms: ClassVar[int] = 4
    geometric: ClassVar[bool] = True

    area: tuple[float, float] = (0.7, 1.0)
    ratio: tuple[float, float] = (1.0, 1.0)

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        self.check_range("area", self.area, 0.01, 1.0)
        if not 0 < self.ratio[0] <= self.ratio[1]:
            raise ConfigError("augment.crop", f"ratio = {self.ratio} is out of range", do="give 0 < low <= high")

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return the crop's window."""
        area = spread(uniform[:, 0], *self.area)
        ratio = np.exp(spread(uniform[:, 1], float(np.log(self.ratio[0])), float(np.log(self.ratio[1]))))
        width = np.minimum(1.0, np.sqrt(area * ratio))
        height = np.minimum(1.0, area / width)  # a side that would pass the picture stops, the other keeps the area
        width = np.minimum(1.0, area / height)
        x, y = uniform[:, 2] * (1 - width), uniform[:, 3] * (1 - height)
        return {"x": x, "y": y, "width": width, "height": height}

    def matrices(self, params: Params, height: int, width: int) -> Floats:
        """Return (N, 3, 3) maps that bring the window to full size."""
        return crop_matrices(params, height, width)


def crop_matrices(window: Params, height: int, width: int) -> Floats:
    """Return (N, 3, 3) matrices from windows: x, y, width, height, (N,) shares of the picture."""
    x_scale, y_scale = 1 / np.asarray(window["width"], np.float64), 1 / np.asarray(window["height"], np.float64)
    out = identities(len(x_scale))
    out[:, 0, 0], out[:, 1, 1] = x_scale, y_scale
    out[:, 0, 2] = (0.5 - np.asarray(window["x"]) * width) * x_scale - 0.5
    out[:, 1, 2] = (0.5 - np.asarray(window["y"]) * height) * y_scale - 0.5
    return out
