"""Several small covers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, final

import numpy as np

from scarce.augment._base import AbstractOperation, spread
from scarce.dataset import Array, Floats, Ints
from scarce.recipe import Params


@final
@dataclass(frozen=True, kw_only=True)
class CoarseDropout(AbstractOperation):
    """Cover several small squares.

    Use when objects may be partly hidden, and as a regularizer of long training.
    Do not use when one small defect is the whole evidence: covered, it leaves a defect's label on a sound picture.
    Needs: pictures.
    Writes: parameters count, places (x, y of each square, shares of the room), size (share of the shorter side), fill.
    Source: DeVries and Taylor 2017, Improved Regularization of Convolutional Neural Networks with Cutout.

    Args:
        holes: fewest and most squares, at most 16.
        size: smallest and largest side of a square, in shares of the shorter side.
        fill: mean of the picture, or black.
    """

    uniforms: ClassVar[int] = 2 + 2 * 16

    probability: float = 0.5
    holes: tuple[int, int] = (1, 8)
    size: tuple[float, float] = (0.05, 0.14)
    fill: Literal["mean", "black"] = "black"

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        self.check_range("holes", self.holes, 1, 16)
        self.check_range("size", self.size, 0.0, 0.9)

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return the squares."""
        low, high = self.holes
        return {
            "count": low + (uniform[:, 0] * (high - low + 1)).astype(np.int64),
            "size": spread(uniform[:, 1], *self.size),
            "places": uniform[:, 2 : 2 + 2 * high],
            "fill": self.fill,
        }

    def change(self, images: Array, params: Params, rows: Ints) -> None:
        """Cover the squares of each row."""
        height, width = images.shape[1:3]
        for row in rows.tolist():
            side = round(float(params["size"][row]) * min(height, width))
            color = np.rint(images[row].mean((0, 1))) if params["fill"] == "mean" else 0
            for x, y in np.asarray(params["places"][row]).reshape(-1, 2)[: int(params["count"][row])].tolist():
                left, top = round(x * (width - side)), round(y * (height - side))
                images[row, top : top + side, left : left + side] = color
