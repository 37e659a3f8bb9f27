"""Copies with another label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from scarce.errors import DataError
from scarce.faults._base import AbstractFault, Material, Truth
from scarce.faults.duplicated import copied


@final
@dataclass(frozen=True, kw_only=True)
class Conflicting(AbstractFault):
    """Add copies of a share of the samples that carry another label.

    Use when you want to know whether an audit notices labels that contradict each other.

    Args:
        rate: share of the samples that get a copy.
        ways: used in turn; see :func:`scarce.faults.duplicated.copied`.
    """

    ways: tuple[str, ...] = ("exact", "jpeg")

    def plant(self, material: Material, *, seed: int = 0) -> tuple[Material, Truth]:
        """Return the material with the copies at the end; ``truth.labels`` are those of the originals."""
        k = len(material.classes)
        if k < 2:
            raise DataError("faults.conflicting", "there is only one class", do="give at least two")
        rng = np.random.default_rng([seed, 12])
        rows = self.drawn(np.arange(len(material.images)), rng)
        ways = [self.ways[number % len(self.ways)] for number in range(len(rows))]
        images = [copied(material.images[row], way, rng) for row, way in zip(rows, ways, strict=True)]
        labels = np.asarray(material.labels, np.int64)[rows]
        wrong = (labels + rng.integers(1, k, len(rows))) % k
        split = None if material.split is None else material.split[rows]
        truth = Truth.clean(material).added(rows, labels, [f"conflicting {way}" for way in ways])
        return material.added(images, wrong, split), truth
