"""Even histograms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.augment._base import AbstractOperation
from scarce.dataset import Array, Floats, Ints
from scarce.recipe import Params


@final
@dataclass(frozen=True, kw_only=True)
class Equalize(AbstractOperation):
    """Spread the gray levels of each channel evenly.

    Use in searched policies, and when some pictures come equalized.
    Do not use when brightness or contrast is the evidence.
    Needs: pictures.
    Writes: nothing but that it was applied.
    """

    uniforms: ClassVar[int] = 0

    def parameters(self, uniform: Floats) -> dict[str, Any]:  # noqa: ARG002  nothing is drawn
        """Return nothing."""
        return {}

    def change(self, images: Array, params: Params, rows: Ints) -> None:  # noqa: ARG002  nothing is drawn
        """Equalize every channel of the rows."""
        import cv2

        for row in rows.tolist():
            channels = images[row][..., None] if images.ndim == 3 else images[row]
            for channel in range(channels.shape[2]):
                channels[..., channel] = cv2.equalizeHist(np.ascontiguousarray(channels[..., channel]))
