"""Core-set: k-center greedy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.dataset import Array, Floats, Ints
from scarce.execute.local import single_threaded_algebra
from scarce.label.query._arrays import checked_count, checked_features, row_numbers
from scarce.label.query._base import AbstractQuery, Picks, Pool
from scarce.label.query._farthest import Race


def select_core_set(embeddings: Array, labeled: Any, n: int) -> Ints:
    """Return (n,) row numbers, each the farthest from all labeled and picked rows when it is picked.

    Exact; the extra memory is a few MiB beside (N,) numbers. Without a labeled row the first is the one nearest to the
    mean. Ties go to the earlier row.

    Args:
        embeddings: (N, D) finite features; Euclidean distance.
        labeled: (N,) bool, or row numbers; may be empty.
        n: how many; all that are left if it is larger.

    Raises:
        DataError: features that are not finite, rows that do not exist, or nothing is left.
    """
    rows = checked_features(embeddings)
    known = row_numbers(labeled, len(rows))
    free = np.ones(len(rows), np.bool_)
    free[known] = False
    left = np.flatnonzero(free)
    return picked(rows, known, left, checked_count(n, len(left)))[0]


def picked(rows: Array, centers: Ints, entrants: Ints, n: int, *, cost: Floats | None = None) -> tuple[Ints, Floats]:
    """Return (n,) picks among the entrants and their distances (over cost) to the nearest center."""
    if not n or not len(entrants):
        return np.zeros(0, np.int64), np.zeros(0)
    with single_threaded_algebra():
        first: Ints = np.zeros(0, np.int64)
        if not len(centers):
            first = entrants[[nearest_to_mean(rows, entrants)]]
            entrants = entrants[entrants != first[0]]
        race = Race(rows=rows, entrants=entrants, centers=[*centers.tolist(), *first.tolist()], cost=cost)
        found, gains = race.run(n - len(first))
    return np.concatenate([first, found]), np.concatenate([np.full(len(first), np.inf), gains])


def nearest_to_mean(rows: Array, entrants: Ints) -> int:
    """Return the place of the entrant nearest to the mean of all."""
    mean = np.zeros(rows.shape[1])
    for start in range(0, len(entrants), 1024):
        mean += rows[entrants[start : start + 1024]].sum(axis=0, dtype=np.float64)
    mean /= len(entrants)
    far = np.empty(len(entrants))
    for start in range(0, len(entrants), 1024):
        gap = rows[entrants[start : start + 1024]] - mean
        far[start : start + 1024] = np.einsum("nd,nd->n", gap, gap)
    return int(far.argmin())


@final
@dataclass(frozen=True, kw_only=True)
class CoreSet(AbstractQuery):
    """Ask about the sample that is farthest from everything labeled, again and again (k-center greedy).

    Use when the features are good and the labeled ones miss regions of the data.
    Do not use when the pool holds junk: what is far from everything may be a broken picture; audit outliers first.
    Needs: embedding (N, D).
    Source: Sener and Savarese 2018; Gonzalez 1985.
    """

    needs: ClassVar[tuple[str, ...]] = ("embedding",)

    def utility(self, pool: Pool) -> Floats:
        """Return (M,) distance to the nearest labeled or asked sample; without one, the nearer to the mean the more."""
        if not len(pool.covered):
            out = np.zeros(len(pool.candidates))
            out[nearest_to_mean(pool.features, pool.candidates)] = 1
            return out
        with single_threaded_algebra():
            race = Race(rows=pool.features, entrants=pool.candidates, centers=pool.covered.tolist())
        return np.asarray(race.worth(), np.float64)

    def rank(self, pool: Pool, n: int) -> Picks:
        """Return the picks of the greedy cover."""
        rows, gains = picked(
            pool.features, pool.covered, pool.candidates, n, cost=pool.costs if len(pool.covered) else None
        )
        return self.picks(pool, rows, gains)

    def say(self, pool: Pool, rows: Ints, value: Floats) -> list[str]:
        """Return the reasons."""
        return [
            f"the farthest from all {len(pool.covered) + place} samples that are labeled or asked (distance {gain:.3g})"
            if np.isfinite(gain) else f"nearest to the middle of all {len(pool.candidates)} samples"
            for place, (_, gain) in enumerate(zip(rows, value, strict=True))
        ]  # fmt: skip
