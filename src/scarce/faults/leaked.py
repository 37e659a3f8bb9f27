"""Test samples that are in train, too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from scarce.errors import DataError
from scarce.faults._base import AbstractFault, Material, Truth
from scarce.faults.duplicated import copied


@final
@dataclass(frozen=True, kw_only=True)
class Leaked(AbstractFault):
    """Add copies of a share of the test samples to train.

    Use when you want to know whether an audit notices that the test score is flattered.

    Args:
        rate: share of the test samples.
        ways: used in turn.
    """

    ways: tuple[str, ...] = ("exact", "jpeg")

    def plant(self, material: Material, *, seed: int = 0) -> tuple[Material, Truth]:
        """Return the material with the copies added; ``truth.source`` names the test rows that leak."""
        if material.split is None:
            raise DataError("faults.leaked", "the material has no split", do="give one, with test rows")
        rng = np.random.default_rng([seed, 3])
        rows = self.drawn(np.flatnonzero(material.split == "test"), rng)
        ways = [self.ways[number % len(self.ways)] for number in range(len(rows))]
        images = [copied(material.images[row], way, rng) for row, way in zip(rows, ways, strict=True)]
        labels = np.asarray(material.labels)[rows]
        split = np.full(len(rows), "train", object)
        return material.added(images, labels, split), Truth.clean(material).added(rows, labels, ways)
