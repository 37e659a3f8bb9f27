"""Pictures that show nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from scarce.dataset import Array
from scarce.faults._base import AbstractFault, Material, Truth


@final
@dataclass(frozen=True, kw_only=True)
class Blank(AbstractFault):
    """Replace a share of the pictures by what a covered or fogged lens gives: one gray with a little noise.

    Use when you want to know whether an audit notices pictures without content.

    Args:
        rate: share of the pictures.
        noise: standard deviation in gray levels.
    """

    noise: float = 0.5

    def plant(self, material: Material, *, seed: int = 0) -> tuple[Material, Truth]:
        """Return the material with such pictures, and which they are."""
        rng = np.random.default_rng([seed, 90])
        rows = self.drawn(np.arange(len(material.images)), np.random.default_rng([seed, 9]))

        def cover(image: Array) -> Array:
            field = rng.uniform(60, 200) + rng.normal(0, self.noise, image.shape[:2])
            gray = np.clip(np.rint(field), 0, 255).astype(np.uint8)
            return gray if image.ndim == 2 else np.repeat(gray[:, :, None], image.shape[2], axis=2)

        return self.changed(material, rows, cover, "blank")
