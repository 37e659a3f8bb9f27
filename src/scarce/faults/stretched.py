"""Pictures of another shape than the rest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import numpy as np

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
        images, truth = list(material.images), Truth.clean(material)
        for row in rows:
            height = images[row].shape[0]
            kept = max(1, round(height * self.share))
            top = (height - kept) // 2
            images[row] = np.ascontiguousarray(images[row][top : top + kept])
        truth.faulty[rows], truth.how[rows] = True, "stretched"
        return replace(material, images=images), truth
