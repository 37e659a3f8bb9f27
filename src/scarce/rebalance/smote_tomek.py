"""SMOTE, then no more pairs across a border."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, final

from scarce.rebalance._base import AbstractRebalance, Adjustment, Counts
from scarce.rebalance._clean import surroundings, tomek_links, without
from scarce.rebalance._resample import Resampled, Samples
from scarce.rebalance.smote import interpolated
from scarce.rebalance.target import added, check_neighbors, check_target


@final
@dataclass(frozen=True, kw_only=True)
class SmoteTomek(AbstractRebalance):
    """Draw new samples as smote does, then leave out pairs of different class that are each other's nearest.

    Use where classes touch and a border without doubles helps, as for trees and nearest neighbors.
    Do not use beyond some 100,000 samples (every one is compared with all), or where rare samples must not be lost:
    real ones are left out too, from training only. A class is never emptied.
    Needs: finite features (N, D).
    Writes: nothing to the data; new rows are two parents and a weight until their features are asked for.
    Source: Batista, Prati and Monard 2004 (SMOTE + Tomek links); links: Tomek 1976.

    Args:
        neighbors: of the same class that a sample is joined with one of.
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
        check_target(self.ratio, self.cap, self.target_count, who="smote_tomek")
        check_neighbors("smote_tomek", self.neighbors)

    def adjust(self, counts: Counts) -> Adjustment:
        """Return how many rows to add, before some are left out again."""
        return added(counts, self.ratio, self.cap, self.target_count, who="smote_tomek")

    def _draw(self, given: Samples) -> Resampled:
        wanted = given.missing(self.ratio, self.cap, self.target_count)
        made = given.made(*interpolated(given, wanted, self.neighbors, "smote_tomek"))
        around, codes = surroundings(made, 1)
        return without(made, tomek_links(around[:, 0], codes), given.names)
