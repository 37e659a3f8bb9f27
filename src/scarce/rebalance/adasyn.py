"""ADASYN: more new samples where a class is harder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from scarce.dataset import Floats, Ints
from scarce.rebalance._base import AbstractRebalance, Adjustment, Counts
from scarce.rebalance._resample import Resampled, Samples
from scarce.rebalance.target import added, check_neighbors, check_target


@final
@dataclass(frozen=True, kw_only=True)
class Adasyn(AbstractRebalance):
    """Draw more new samples from samples of a rare class that have more neighbors of other classes.

    Use where the hard regions of a class are few and its labels are right.
    Do not use where labels are noisy: a wrong label has only strangers around it and gets the most copies.
    Needs: finite features (N, D). The search among all samples is what takes time: hand over ``neighbors`` if known.
    Writes: nothing to the data; new rows are two parents and a weight until their features are asked for. Rounding
    for each sample may miss the wanted size by a few.
    Source: He, Bai, Garcia and Li 2008, ADASYN: Adaptive synthetic sampling approach for imbalanced learning.

    Args:
        neighbors: of any class, which say how hard a sample is, and of the same class, to join it with one of.
        ratio: wanted ratio of the largest class to any other; 1 = equal, 1 to 3 is usual.
        cap: most new samples for one that is there; None = no cap.
        target_count: class to its wanted size, in place of the ratio.
    """

    interpolates: ClassVar[bool] = True

    neighbors: int = 5
    ratio: float = 1.0
    cap: int | None = None
    target_count: Mapping[str, int] | None = None

    def _check(self) -> None:
        """Refuse settings out of range."""
        check_target(self.ratio, self.cap, self.target_count, who="adasyn")
        check_neighbors("adasyn", self.neighbors)

    def adjust(self, counts: Counts) -> Adjustment:
        """Return how many rows to add, up to rounding."""
        return added(counts, self.ratio, self.cap, self.target_count, who="adasyn")

    def _draw(self, given: Samples) -> Resampled:
        parents, weight = [], []
        for code, extra in given.missing(self.ratio, self.cap, self.target_count):
            own = given.own(code, "adasyn")
            times = shares_of(given.codes[given.around(own, self.neighbors)], code, extra)
            if not times.any():
                given.notes.append(f"no sample of {given.names[code]!s} has a neighbor of another class: "
                                   "nothing was added to it, take smote")  # fmt: skip
                continue
            pairs, share = given.pairs(own, given.kin(own, self.neighbors), times)
            parents.append(pairs)
            weight.append(share)
        return given.made(parents, weight)


def shares_of(around: Ints, code: int, extra: int) -> Ints:
    """Return (n,) how many of the new samples each one gets: in proportion to its neighbors of other classes.

    Args:
        around: (n, m) classes of each sample's neighbors.
        code: the class of the samples.
        extra: new samples in all; rounding may give a few more or less.
    """
    strange: Floats = (around != code).mean(axis=1)
    total = strange.sum()
    return np.asarray(np.rint(strange / total * extra) if total else np.zeros(len(around)), np.int64)
