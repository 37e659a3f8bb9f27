"""Pictures of another shape than the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from scarce.dataset import Array
from scarce.faults._base import AbstractFault, Material, Truth


@final
@dataclass(frozen=True, kw_only=True)
class Stretched(AbstractFault):
    """Cut a share of the pictures down to a narrow strip.

    Use when you want to know whether an audit notices odd shapes.

    Args:
        rate: share of the pictures.
        share: of the height that is left, in (0, 1).
    """

    share: float = 0.2

    def plant(self, material: Material, *, seed: int = 0) -> tuple[Material, Truth]:
        """Return the material with such pictures, and which they are."""
        rows = self.drawn(np.arange(len(material.images)), np.random.default_rng([seed, 11]))

        def cut(image: Array) -> Array:
            height = image.shape[0]
            kept = max(1, round(height * self.share))
            top = (height - kept) // 2
            return np.ascontiguousarray(image[top : top + kept])

        return self.changed(material, rows, cut, "stretched")
