"""Pictures of another size than the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from scarce.dataset import Array
from scarce.faults._base import AbstractFault, Material, Truth


@final
@dataclass(frozen=True, kw_only=True)
class Resized(AbstractFault):
    """Shrink a share of the pictures, as when a thumbnail was saved in place of the original.

    Use when you want to know whether an audit notices odd sizes.

    Args:
        rate: share of the pictures.
        factor: of both edges, in (0, 1).
    """

    factor: float = 0.2

    def plant(self, material: Material, *, seed: int = 0) -> tuple[Material, Truth]:
        """Return the material with such pictures, and which they are."""
        import cv2

        rows = self.drawn(np.arange(len(material.images)), np.random.default_rng([seed, 10]))

        def shrink(image: Array) -> Array:
            height, width = image.shape[:2]
            size = (max(1, round(width * self.factor)), max(1, round(height * self.factor)))
            return cv2.resize(image, size, interpolation=cv2.INTER_AREA)

        return self.changed(material, rows, shrink, "resized")
