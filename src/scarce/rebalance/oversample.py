"""Oversampling, with augmented copies where there are some."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from scarce.dataset import Ints
from scarce.errors import ConfigError
from scarce.rebalance._base import AbstractRebalance, Adjustment, Counts, checked_counts


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
        cap: most copies of one original.
    """

    ratio: float = 3.0
    cap: int = 20

    def __post_init__(self) -> None:
        """Refuse a ratio under 1 and a negative cap."""
        if self.ratio < 1 or self.cap < 0:
            raise ConfigError("rebalance.oversample", f"ratio = {self.ratio}, cap = {self.cap} are out of range",
                              do="use ratio >= 1 and cap >= 0")  # fmt: skip

    def adjust(self, counts: Counts) -> Adjustment:
        """Return how many rows to add."""
        extra = target_counts(counts, ratio=self.ratio, cap=self.cap) - np.ceil(np.asarray(counts)).astype(np.int64)
        return Adjustment(extra=tuple(int(value) for value in extra))


def target_counts(counts: Counts, ratio: float = 3.0, cap: int = 20) -> Ints:
    """Return (K,) target sizes: at least ``largest / ratio``, at most ``1 + cap`` times what is there.

    Classes that are large enough stay as they are; an empty class stays empty.
    """
    values = np.ceil(checked_counts(counts, "oversample")).astype(np.int64)
    wanted = int(np.ceil(values.max() / max(ratio, 1.0)))
    targets: Ints = np.minimum(np.maximum(values, wanted), values * (1 + cap))
    return targets
