"""Full contrast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.augment._base import AbstractOperation
from scarce.dataset import Array, Floats, Ints
from scarce.recipe import Params


@final
@dataclass(frozen=True, kw_only=True)
class AutoContrast(AbstractOperation):
    """Stretch each channel from its darkest to its brightest value over the full range.

    Use in searched policies, and when some cameras stretch by themselves.
    Do not use when brightness or contrast is the evidence.
    Needs: pictures.
    Writes: nothing but that it was applied.
    """

    uniforms: ClassVar[int] = 0

    def parameters(self, uniform: Floats) -> dict[str, Any]:  # noqa: ARG002  nothing is drawn
        """Return nothing."""
        return {}

    def change(self, images: Array, params: Params, rows: Ints) -> None:  # noqa: ARG002  nothing is drawn
        """Stretch every channel of the rows."""
        import cv2

        for row in rows.tolist():
            low, high = (part.astype(np.float32) for part in (images[row].min((0, 1)), images[row].max((0, 1))))
            low, high = np.where(high > low, low, 0), np.where(high > low, high, 255)  # a flat channel stays
            table = (np.arange(256, dtype=np.float32)[:, None] - low) * (255 / (high - low))
            levels = np.clip(np.rint(table), 0, 255).astype(np.uint8).reshape(256, 1, -1)
            cv2.LUT(images[row], levels, images[row])
