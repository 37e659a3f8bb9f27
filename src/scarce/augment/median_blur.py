"""Smoothed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.augment._base import AbstractOperation
from scarce.dataset import Array, Floats, Ints
from scarce.errors import ConfigError
from scarce.recipe import Params


@final
@dataclass(frozen=True, kw_only=True)
class MedianBlur(AbstractOperation):
    """Take the median of small squares, as a camera's own noise filter does.

    Use when some cameras filter.
    Do not use when spots or lines of a few pixels are the evidence: they vanish.
    Needs: pictures.
    Writes: parameter size (pixels).

    Args:
        size: odd sides of the squares in pixels, one is drawn.
    """

    uniforms: ClassVar[int] = 1

    size: tuple[int, ...] = (3, 5)

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        if not self.size or any(side not in (3, 5, 7, 9, 11) for side in self.size):
            raise ConfigError("augment.median_blur", f"size = {self.size} is out of range", "it takes 3, 5, 7, 9, 11")

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return the size."""
        return {"size": np.asarray(self.size)[(uniform[:, 0] * len(self.size)).astype(np.int64)]}

    def change(self, images: Array, params: Params, rows: Ints) -> None:
        """Filter the rows."""
        import cv2

        for row in rows.tolist():
            images[row] = cv2.medianBlur(images[row], int(params["size"][row]))
