"""Compression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.augment._base import AbstractOperation
from scarce.dataset import Array, Floats, Ints
from scarce.recipe import Params


@final
@dataclass(frozen=True, kw_only=True)
class Jpeg(AbstractOperation):
    """Compress and open again, with the blocks that JPEG leaves.

    Use when pictures come compressed by different devices or services.
    Do not use when all come uncompressed from one camera.
    Needs: pictures.
    Writes: parameter quality (1 to 100).

    Args:
        quality: lowest and highest quality.
    """

    uniforms: ClassVar[int] = 1

    quality: tuple[int, int] = (50, 95)

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        self.check_range("quality", self.quality, 1, 100)

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return the quality."""
        low, high = self.quality
        return {"quality": low + (uniform[:, 0] * (high - low + 1)).astype(np.int64)}

    def change(self, images: Array, params: Params, rows: Ints) -> None:
        """Encode and decode the rows; the channels' order does matter to the color subsampling."""
        import cv2

        for row in rows.tolist():
            color = images.ndim == 4
            source = cv2.cvtColor(images[row], cv2.COLOR_RGB2BGR) if color else images[row]
            _, body = cv2.imencode(".jpg", source, [cv2.IMWRITE_JPEG_QUALITY, int(params["quality"][row])])
            way = cv2.IMREAD_COLOR_RGB if color else cv2.IMREAD_GRAYSCALE
            images[row] = cv2.imdecode(body, way)
