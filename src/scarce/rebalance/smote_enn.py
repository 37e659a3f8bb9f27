"""SMOTE, then no more samples among strangers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, final

from scarce.rebalance._base import AbstractRebalance, Adjustment, Counts
from scarce.rebalance._clean import among_strangers, surroundings, without
from scarce.rebalance._resample import Resampled, Samples
from scarce.rebalance.smote import interpolated
from scarce.rebalance.target import added, check_neighbors, check_target


@final
@dataclass(frozen=True, kw_only=True)
class SmoteEnn(AbstractRebalance):
    """Draw new samples as smote does, then leave out every sample one of whose nearest is of another class.

    Use where classes overlap and precision matters more than keeping every sample.
    Do not use beyond some 100,000 samples (every one is compared with all), or where rare samples must not be lost:
    real ones are left out too, from training only. A class is never emptied.
    Needs: finite features (N, D).
    Writes: nothing to the data; new rows are two parents and a weight until their features are asked for.
    Source: Batista, Prati and Monard 2004 (SMOTE + ENN); editing: Wilson 1972.

    Args:
        neighbors: of the same class that a sample is joined with one of.
        around: nearest others, all of which must be of a sample's own class.
        ratio: wanted ratio of the largest class to any other; 1 = equal, 1 to 3 is usual.
        cap: most new samples for one that is there; None = no cap.
        target_count: class to its wanted size, in place of the ratio.
    """

    interpolates: ClassVar[bool] = True

    around: int = 3
    neighbors: int = 5
    ratio: float = 1.0
    cap: int | None = None
    target_count: Mapping[str, int] | None = None

    def _check(self) -> None:
        """Refuse settings out of range."""
        check_target(self.ratio, self.cap, self.target_count, who="smote_enn")
        check_neighbors("smote_enn", self.neighbors, self.around)

    def adjust(self, counts: Counts) -> Adjustment:
        """Return how many rows to add, before some are left out again."""
        return added(counts, self.ratio, self.cap, self.target_count, who="smote_enn")

    def _draw(self, given: Samples) -> Resampled:
        wanted = given.missing(self.ratio, self.cap, self.target_count)
        made = given.made(*interpolated(given, wanted, self.neighbors, "smote_enn"))
        around, codes = surroundings(made, self.around)
        return without(made, among_strangers(around, codes), given.names)
