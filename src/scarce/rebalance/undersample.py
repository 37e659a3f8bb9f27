"""Random undersampling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from scarce.dataset import Ints
from scarce.errors import ConfigError
from scarce.rebalance._base import AbstractRebalance, Adjustment, Counts, checked_counts
from scarce.rebalance._resample import Resampled, Samples


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
    """

    ratio: float = 10.0

    def __post_init__(self) -> None:
        """Refuse a ratio under 1."""
        if self.ratio < 1:
            raise ConfigError("rebalance.undersample", f"ratio = {self.ratio} is out of range", do="use 1 or more")

    def adjust(self, counts: Counts) -> Adjustment:
        """Return how many rows to train on."""
        return Adjustment(keep=tuple(int(value) for value in kept_counts(counts, ratio=self.ratio)))

    def _draw(self, given: Samples) -> Resampled:
        most = kept_counts(given.counts, ratio=self.ratio)
        mask = np.zeros(len(given.codes), bool)
        for code, size in enumerate(most):
            own = np.flatnonzero(given.codes == code)
            mask[given.rng.permutation(own)[:size]] = True
        if mask.all():
            given.notes.append(f"ratio = {self.ratio:g} is met already by {given.counts}: nothing was left out")
        return given.made([], []).only(mask)


def kept_counts(counts: Counts, ratio: float = 10.0) -> Ints:
    """Return (K,) sizes of at most ``ratio`` times the smallest class that has samples."""
    values = np.floor(checked_counts(counts, "undersample")).astype(np.int64)
    most = int(np.floor(values[values > 0].min() * max(ratio, 1.0)))
    kept: Ints = np.minimum(values, most)
    return kept
