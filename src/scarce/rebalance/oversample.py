"""Oversampling, with augmented copies where there are some."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from scarce.rebalance._base import AbstractRebalance, Adjustment, Counts
from scarce.rebalance._resample import Resampled, Samples
from scarce.rebalance.target import added, check_target


@final
@dataclass(frozen=True, kw_only=True)
class Oversample(AbstractRebalance):
    """Raise the rare classes to a target size with augmented copies.

    Use when the total is small (under 10,000), so that each class is seen often enough in an epoch.
    Do not use when a class has a handful of originals: copies of five photos teach five photos. Mind the cap.
    Needs: class counts; the copies come from ``augment``, plain repeats where there is no operation for the data.
    Writes: extra (K,) rows to add.

    Args:
        ratio: wanted ratio of the largest class to any other, 1 = equal; 1 to 3 is usual.
        cap: most copies of one original; None = no cap.
        target_count: class to its wanted size, in place of the ratio; the cap holds.
    """

    ratio: float = 3.0
    cap: int | None = 20
    target_count: Mapping[str, int] | None = None

    def _check(self) -> None:
        """Refuse a ratio under 1 and a negative cap."""
        check_target(self.ratio, self.cap, self.target_count, who="oversample")

    def adjust(self, counts: Counts) -> Adjustment:
        """Return how many rows to add."""
        return added(counts, self.ratio, self.cap, self.target_count, who="oversample")

    def _draw(self, given: Samples) -> Resampled:
        parents = []
        for code, extra in given.missing(self.ratio, self.cap, self.target_count):
            own = np.flatnonzero(given.codes == code).astype(np.int32)
            parents.append(np.repeat(np.resize(given.rng.permutation(own), extra)[:, None], 2, axis=1))
        return given.made(parents, [np.zeros(len(pairs), np.float32) for pairs in parents])
