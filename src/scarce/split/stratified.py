"""The split that ignores groups, to show how much it flatters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from scarce.dataset import Ints
from scarce.split._base import AbstractSplitter, Units
from scarce.split.grouped import assign_groups


@final
@dataclass(frozen=True, kw_only=True)
class Stratified(AbstractSplitter):
    """Cut through groups and duplicates: a baseline that leaks, only to measure how much a random split flatters.

    Use when a report should show the flattering figure beside the honest one.
    Do not use when a score should be believed: photos of one part on both sides are recognized, not judged.
    Needs: label.
    Writes: split; split_group stays empty.
    Source: the usual stratified hold-out, as in scikit-learn's ``train_test_split``.
    """

    whole: ClassVar[bool] = False

    def assign(self, units: Units, *, seed: int = 0) -> Ints:
        """Return (n,) splits; every row is a unit."""
        return assign_groups(units.counts, units.ratios, seed=seed, restarts=1)
