"""Pictures that are washed out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from scarce.dataset import Array
from scarce.faults._base import AbstractFault, Material, Truth


@final
@dataclass(frozen=True, kw_only=True)
class Overexposed(AbstractFault):
    """Overexpose a share of the pictures.

    Use when you want to know how much glare an audit notices.

    Args:
        rate: share of the pictures.
        light: share of the darkness that is left, in (0, 1).
    """

    light: float = 0.12

    def plant(self, material: Material, *, seed: int = 0) -> tuple[Material, Truth]:
        """Return the material with such pictures, and which they are."""
        rows = self.drawn(np.arange(len(material.images)), np.random.default_rng([seed, 8]))

        def brighten(image: Array) -> Array:
            return (255 - (255 - image.astype(np.float32)) * self.light).astype(np.uint8)

        return self.changed(material, rows, brighten, "overexposed")
