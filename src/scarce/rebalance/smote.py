"""SMOTE: new samples between neighbors of one class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, final

from scarce.dataset import Floats, Ints
from scarce.rebalance._base import AbstractRebalance, Adjustment, Counts
from scarce.rebalance._resample import Resampled, Samples
from scarce.rebalance.target import added, check_neighbors, check_target


@final
@dataclass(frozen=True, kw_only=True)
class Smote(AbstractRebalance):
    """Draw new samples on the lines between samples of a rare class and their nearest of the same class.

    Use on tables of numbers, and on features of pictures and texts, where a class has dozens of samples or more.
    Do not use on raw pixels (a new sample is two pictures over each other), where classes overlap widely, or to help
    a model whose loss can be weighted or whose threshold can be moved: compare with these first.
    Needs: finite features (N, D).
    Writes: nothing to the data; new rows are two parents and a weight until their features are asked for.
    Source: Chawla, Bowyer, Hall and Kegelmeyer 2002, SMOTE: Synthetic Minority Over-sampling Technique.

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
        check_target(self.ratio, self.cap, self.target_count, who="smote")
        check_neighbors("smote", self.neighbors)

    def adjust(self, counts: Counts) -> Adjustment:
        """Return how many rows to add."""
        return added(counts, self.ratio, self.cap, self.target_count, who="smote")

    def _draw(self, given: Samples) -> Resampled:
        wanted = given.missing(self.ratio, self.cap, self.target_count)
        return given.made(*interpolated(given, wanted, self.neighbors, "smote"))


def interpolated(
    given: Samples, wanted: list[tuple[int, int]], neighbors: int, who: str
) -> tuple[list[Ints], list[Floats]]:
    """Return the parents and weights of the new rows of every class that gets some."""
    parents, weight = [], []
    for code, extra in wanted:
        own = given.own(code, who)
        pairs, share = given.pairs(own, given.kin(own, neighbors), extra)
        parents.append(pairs)
        weight.append(share)
    return parents, weight
