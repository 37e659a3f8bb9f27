"""Samples by chance: what every other strategy must beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from scarce.dataset import Floats, Ints
from scarce.label.query._arrays import checked_count
from scarce.label.query._base import AbstractQuery, Picks, Pool


def select_random(candidates: Ints, n: int, *, seed: int) -> Ints:
    """Return (n,) of the (M,) candidates by chance, none twice; all of them if n is larger.

    Raises:
        DataError: there is no candidate.
    """
    rows = np.asarray(candidates)
    return np.asarray(np.random.default_rng(seed).choice(rows, checked_count(n, len(rows)), replace=False))


@final
@dataclass(frozen=True, kw_only=True)
class Random(AbstractQuery):
    """Ask about samples by chance.

    Use to compare with, and for the labels that estimate how good a model is.
    Do not use when a class is rare: 1 % of the pool is 1 % of the labels.
    Needs: nothing.

    Args:
        seed: of the draw.
    """

    seed: int = 0

    def utility(self, pool: Pool) -> Floats:
        """Return (M,) random numbers."""
        return np.random.default_rng(self.seed).random(len(pool.candidates))

    def rank(self, pool: Pool, n: int) -> Picks:
        """Return n picks; what a label costs does not matter."""
        if not len(pool.candidates):
            return self.picks(pool, pool.candidates, np.zeros(0))
        rows = select_random(pool.candidates, n, seed=self.seed)
        return self.picks(pool, rows, np.full(len(rows), 1 / len(pool.candidates)))

    def say(self, pool: Pool, rows: Ints, value: Floats) -> list[str]:  # noqa: ARG002  the shape of the base class
        """Return the reasons."""
        return [f"drawn by chance from {len(pool.candidates)} samples"] * len(rows)
