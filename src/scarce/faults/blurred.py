"""Pictures out of focus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from scarce.dataset import Array
from scarce.faults._base import AbstractFault, Material, Truth


@final
@dataclass(frozen=True, kw_only=True)
class Blurred(AbstractFault):
    """Blur a share of the pictures.

    Use when you want to know how much blur an audit notices.

    Args:
        rate: share of the pictures.
        strength: standard deviation of the Gaussian as a share of the shorter edge.
    """

    strength: float = 0.03

    def plant(self, material: Material, *, seed: int = 0) -> tuple[Material, Truth]:
        """Return the material with blurred pictures, and which they are."""
        import cv2

        rows = self.drawn(np.arange(len(material.images)), np.random.default_rng([seed, 6]))

        def blur(image: Array) -> Array:
            return cv2.GaussianBlur(image, (0, 0), max(0.8, self.strength * min(image.shape[:2])))

        return self.changed(material, rows, blur, "blurred")
