"""Small things in front of the object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, final

import numpy as np

from scarce.augment._base import AbstractOperation, spread
from scarce.dataset import Array, Floats, Ints
from scarce.errors import ConfigError
from scarce.recipe import Params


@final
@dataclass(frozen=True, kw_only=True)
class RandomErasing(AbstractOperation):
    """Cover a small rectangle, so that the model does not lean on one detail.

    Use when objects may be partly hidden, and as a mild regularizer of long training.
    Do not use when one small defect is the whole evidence: covered, it leaves a defect's label on a sound picture.
    Needs: pictures.
    Writes: parameters x, y, width, height (shares of the picture), fill, noise (seed of a noise fill).
    Source: Zhong, Zheng, Kang, Li and Yang 2020, Random Erasing Data Augmentation.

    Args:
        area: smallest and largest covered share of the picture.
        ratio: smallest and largest aspect (height over width) of the rectangle.
        fill: mean of the picture, noise, or black.
    """

    uniforms: ClassVar[int] = 5

    probability: float = 0.5
    area: tuple[float, float] = (0.02, 0.1)
    ratio: tuple[float, float] = (0.5, 2.0)
    fill: Literal["mean", "noise", "black"] = "mean"

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        self.check_range("area", self.area, 0.0, 0.9)
        if not 0 < self.ratio[0] <= self.ratio[1]:
            raise ConfigError(
                "augment.random_erasing", f"ratio = {self.ratio} is out of range", do="use 0 < low <= high"
            )

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return the rectangle."""
        area = spread(uniform[:, 0], *self.area)
        ratio = np.exp(spread(uniform[:, 1], float(np.log(self.ratio[0])), float(np.log(self.ratio[1]))))
        height, width = np.minimum(1.0, np.sqrt(area * ratio)), np.minimum(1.0, np.sqrt(area / ratio))
        drawn: dict[str, Any] = {"x": uniform[:, 2] * (1 - width), "y": uniform[:, 3] * (1 - height)}
        drawn |= {"width": width, "height": height, "fill": self.fill}
        return drawn | ({"noise": (uniform[:, 4] * 2**31).astype(np.int64)} if self.fill == "noise" else {})

    def change(self, images: Array, params: Params, rows: Ints) -> None:
        """Cover one rectangle of each row."""
        height, width = images.shape[1:3]
        scale = np.array([width, height, width, height], np.float64)
        window = np.stack([np.asarray(params[name])[rows] for name in ("x", "y", "width", "height")], axis=1) * scale
        low = np.rint(window[:, :2]).astype(np.int64)
        high = np.minimum(np.maximum(np.rint(window[:, :2] + window[:, 2:]).astype(np.int64), low), [width, height])
        for row, (left, top), (right, bottom) in zip(rows.tolist(), low.tolist(), high.tolist(), strict=True):
            noise = int(params["noise"][row]) if params["fill"] == "noise" else None
            erase(images[row], (left, top, right, bottom), fill=params["fill"], noise=noise)


def erase(image: Array, box: tuple[int, int, int, int], *, fill: str = "mean", noise: int | None = None) -> None:
    """Cover x0, y0, x1, y1 of one uint8 picture in place, by its mean, seeded noise, or black."""
    import cv2

    left, top, right, bottom = box
    hole = image[top:bottom, left:right]
    if noise is not None:
        hole[...] = np.random.default_rng(noise).integers(0, 256, hole.shape, np.uint8)
    elif fill == "mean":
        mean = cv2.mean(image)
        hole[...] = np.rint(mean[0]) if image.ndim == 2 else np.rint(mean[:3])
    else:
        hole[...] = 0
