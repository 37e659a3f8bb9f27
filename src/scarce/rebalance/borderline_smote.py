"""SMOTE at the border to other classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from scarce.dataset import Ints, Mask
from scarce.rebalance._base import AbstractRebalance, Adjustment, Counts
from scarce.rebalance._resample import Resampled, Samples
from scarce.rebalance.target import added, check_neighbors, check_target


@final
@dataclass(frozen=True, kw_only=True)
class BorderlineSmote(AbstractRebalance):
    """Draw new samples only from samples of a rare class that lie at the border to others.

    Use where the rare class is one clump that overlaps another class at its edge.
    Do not use where labels are noisy: wrong labels lie at borders. A class without a sample at the border gets none.
    Needs: finite features (N, D). The search among all samples is what takes time: hand over ``neighbors`` if known.
    Writes: nothing to the data; new rows are two parents and a weight until their features are asked for.
    Source: Han, Wang and Mao 2005, Borderline-SMOTE (the first of its two variants).

    Args:
        neighbors: of the same class that a sample is joined with one of.
        around: neighbors of any class that say where a sample lies: at the border if half of them or more, but not
            all, are of other classes.
        ratio: wanted ratio of the largest class to any other; 1 = equal, 1 to 3 is usual.
        cap: most new samples for one that is there; None = no cap.
        target_count: class to its wanted size, in place of the ratio.
    """

    interpolates: ClassVar[bool] = True

    around: int = 10
    neighbors: int = 5
    ratio: float = 1.0
    cap: int | None = None
    target_count: Mapping[str, int] | None = None

    def _check(self) -> None:
        """Refuse settings out of range."""
        check_target(self.ratio, self.cap, self.target_count, who="borderline_smote")
        check_neighbors("borderline_smote", self.neighbors, self.around)

    def adjust(self, counts: Counts) -> Adjustment:
        """Return how many rows to add, where every class has samples at a border."""
        return added(counts, self.ratio, self.cap, self.target_count, who="borderline_smote")

    def _draw(self, given: Samples) -> Resampled:
        parents, weight = [], []
        for code, extra in given.missing(self.ratio, self.cap, self.target_count):
            own = given.own(code, "borderline_smote")
            edge = np.flatnonzero(at_border(given.codes[given.around(own, self.around)], code))
            if not len(edge):
                given.notes.append(f"no sample of {given.names[code]!s} lies at a border: nothing was added to it")
                continue
            pairs, share = given.pairs(own[edge], given.kin(own, self.neighbors, of=edge), extra)
            parents.append(pairs)
            weight.append(share)
        return given.made(parents, weight)


def at_border(around: Ints, code: int) -> Mask:
    """Return (n,) whether half of the neighbors or more, but not all, are of other classes than ``code``.

    Args:
        around: (n, m) classes of each sample's neighbors.
        code: the class of the samples.
    """
    others = (around != code).sum(axis=1)
    return np.asarray((2 * others >= around.shape[1]) & (others < around.shape[1]))
