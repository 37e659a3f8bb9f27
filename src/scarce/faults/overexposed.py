"""Pictures that are washed out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import numpy as np

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
        images, truth = list(material.images), Truth.clean(material)
        for row in rows:
            images[row] = (255 - (255 - images[row].astype(np.float32)) * self.light).astype(np.uint8)
        truth.faulty[rows], truth.how[rows] = True, "overexposed"
        return replace(material, images=images), truth
