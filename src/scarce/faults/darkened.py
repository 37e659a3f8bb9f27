"""Pictures that are underexposed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from scarce.dataset import Array
from scarce.faults._base import AbstractFault, Material, Truth


@final
@dataclass(frozen=True, kw_only=True)
class Darkened(AbstractFault):
    """Darken a share of the pictures.

    Use when you want to know how much darkness an audit notices.

    Args:
        rate: share of the pictures.
        light: share of the light that is left, in (0, 1).
    """

    light: float = 0.12

    def plant(self, material: Material, *, seed: int = 0) -> tuple[Material, Truth]:
        """Return the material with dark pictures, and which they are."""
        rows = self.drawn(np.arange(len(material.images)), np.random.default_rng([seed, 7]))

        def darken(image: Array) -> Array:
            return (image.astype(np.float32) * self.light).astype(np.uint8)

        return self.changed(material, rows, darken, "darkened")
