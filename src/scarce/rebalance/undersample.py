"""Random undersampling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from scarce.rebalance._base import AbstractRebalance, Adjustment, Counts
from scarce.rebalance._resample import Resampled, Samples
from scarce.rebalance.target import check_target, kept_counts


@final
@dataclass(frozen=True, kw_only=True)
class Undersample(AbstractRebalance):
    """Train on a random part of the large classes.

    Use when the majority has far more samples than it needs and training time counts.
    Do not use when the rare class has only dozens: matching it throws nearly everything away. Rows are never deleted,
    only left out of training.
    Needs: class counts.
    Writes: keep (K,) rows to train on.

    Args:
        ratio: wanted ratio of any class to the smallest, 1 = equal.
        target_count: class to the size it is cut to, in place of the ratio; a class that is not named stays whole.
    """

    ratio: float = 10.0
    target_count: Mapping[str, int] | None = None

    def _check(self) -> None:
        """Refuse a ratio under 1, and sizes that are no counts."""
        check_target(self.ratio, None, self.target_count, who="undersample")

    def adjust(self, counts: Counts) -> Adjustment:
        """Return how many rows to train on."""
        kept = kept_counts(counts, self.ratio, target_count=self.target_count)
        return Adjustment(keep=tuple(int(value) for value in kept))

    def _draw(self, given: Samples) -> Resampled:
        most = kept_counts(given.counts, self.ratio, target_count=self.target_count)
        mask = np.zeros(len(given.codes), bool)
        for code, size in enumerate(most):
            own = np.flatnonzero(given.codes == code)
            mask[given.rng.permutation(own)[:size]] = True
        if mask.all():
            wanted = f"ratio = {self.ratio:g}" if self.target_count is None else f"target_count = {self.target_count}"
            given.notes.append(f"{wanted} is met already by {given.counts}: nothing was left out")
        return given.made([], []).only(mask)
