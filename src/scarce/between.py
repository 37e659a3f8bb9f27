"""`Between`: rows that lie between others in the space of features, as pairs of row numbers and weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False)
class Between:
    """Virtual rows ``X[first] + share * (X[second] - X[first])`` with the label of the first: 12 bytes each.

    Attributes:
        parents: (m, 2) row numbers that a virtual row lies between.
        share: (m,) float32 in [0, 1).
    """

    parents: Array
    share: Array

    def __len__(self) -> int:
        """Return m."""
        return len(self.share)

    def points(self, features: Array) -> Array:
        """Return (m, D) float32 features of the virtual rows, made of (N, D) features."""
        first, second = (np.asarray(features[side], np.float32) for side in self.parents.T)
        return np.asarray(first + np.asarray(self.share, np.float32)[:, None] * (second - first), np.float32)

    def within(self, rows: Array) -> Between:
        """Return those whose parents are both among the rows: nothing else may be learned from."""
        inside = np.isin(self.parents, rows).all(1)
        return Between(self.parents[inside], self.share[inside])

    def renumbered(self, place: Array) -> Between:
        """Return the same with row ``n`` called ``place[n]``."""
        return Between(np.asarray(place)[self.parents], self.share)


def nothing_between() -> Between:
    """Return no virtual rows."""
    return Between(np.zeros((0, 2), np.int64), np.zeros(0, np.float32))
