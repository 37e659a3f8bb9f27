"""Wrong labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, final

import numpy as np

from scarce.dataset import Floats, Ints
from scarce.errors import DataError
from scarce.faults._base import AbstractFault, Material, Truth


def flip_labels(labels: Ints, noise: Floats, *, seed: int = 0) -> Ints:
    """Return (N,) labels redrawn from a noise matrix.

    Args:
        labels: (N,) right codes.
        noise: (K, K) probability of the given class (column) by right class (row); rows sum to 1.
        seed: of the draw.
    """
    edges = np.cumsum(noise, axis=1)[labels]
    drawn = (np.random.default_rng(seed).random(len(labels))[:, None] * edges[:, -1:] > edges).sum(axis=1)
    return np.asarray(drawn, np.int64)


@final
@dataclass(frozen=True, kw_only=True)
class LabelFlip(AbstractFault):
    """Give a share of the samples the wrong label.

    Use when you want to know how many label errors an audit finds.

    Args:
        rate: share of the samples (of the rare class, for ``rare``).
        kind: ``symmetric`` any other class; ``asymmetric`` always the next class; ``rare`` as many labels out of the
            rare class as into it, each ``rate`` of its size.
        rare: name of the rare class; empty = the smallest.
    """

    kind: Literal["symmetric", "asymmetric", "rare"] = "symmetric"
    rare: str = ""

    def plant(self, material: Material, *, seed: int = 0) -> tuple[Material, Truth]:
        """Return the material with wrong labels, and which they are."""
        rng = np.random.default_rng([seed, 1])
        labels, k = np.asarray(material.labels, np.int64).copy(), len(material.classes)
        if k < 2:
            raise DataError("faults.label_flip", "there is only one class", do="give at least two")
        if self.kind == "rare":
            self._rare(labels, material.classes, rng)
        else:
            rows = self.drawn(np.arange(len(labels)), rng)
            step = rng.integers(1, k, len(rows)) if self.kind == "symmetric" else np.ones(len(rows), np.int64)
            labels[rows] = (labels[rows] + step) % k
        truth = Truth.clean(material)
        faulty = labels != truth.labels
        truth.how[faulty] = f"label_flip {self.kind}"
        return replace(material, labels=labels), replace(truth, faulty=faulty)

    def _rare(self, labels: Ints, classes: tuple[str, ...], rng: np.random.Generator) -> None:
        counts = np.bincount(labels, minlength=len(classes))
        rare = classes.index(self.rare) if self.rare else int(np.where(counts > 0, counts, counts.max() + 1).argmin())
        inside = self.drawn(np.flatnonzero(labels == rare), rng)
        others = np.flatnonzero(labels != rare)
        outside = rng.choice(others, min(len(inside), len(others)), replace=False)
        labels[inside] = rng.choice(
            [code for code in range(len(classes)) if code != rare and counts[code]], len(inside)
        )
        labels[outside] = rare
