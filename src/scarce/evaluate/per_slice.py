"""Scores under each condition: camera, light, batch ..."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from scarce.dataset import Array
from scarce.evaluate._base import AbstractSection, Judged
from scarce.metric.confusion import accuracy, balanced_accuracy, macro_f1
from scarce.metric.interval import clopper_pearson


@final
@dataclass(frozen=True, kw_only=True)
class PerSlice(AbstractSection):
    """Scores for every value of the manifest's own columns (camera, light, angle, batch ...).

    Use when the test set was taken under several conditions: one bad camera hides in a good mean.
    Needs: ``meta.*`` columns with at most ``most`` values each.
    Writes: column to value to ``n``, ``accuracy`` with exact 95 % bounds ``low`` and ``high`` (counted by group
    where samples share one), ``balanced_accuracy`` and ``macro_f1`` over the classes that occur there.

    Args:
        most: columns with more different values are left out.
    """

    most: int = 30

    def measure(self, judged: Judged) -> dict[str, Any]:
        """Return the tables."""
        tables: dict[str, Any] = {}
        for column, values in judged.slices.items():
            names = np.array([_name(value) for value in values.tolist()])
            kinds = np.unique(names)
            if 2 <= len(kinds) <= self.most:
                tables[column] = {str(kind): self._scores(judged, names == kind) for kind in kinds}
        return tables

    def _scores(self, judged: Judged, mask: Array) -> dict[str, Any]:
        y, pred = judged.y[mask], judged.pred[mask]
        low, high = clopper_pearson(int((y == pred).sum()), len(y), 0.95, groups=judged.group_count(mask))
        return {
            "n": len(y), "accuracy": accuracy(y, pred), "low": low, "high": high,
            "balanced_accuracy": balanced_accuracy(y, pred, judged.n_classes),
            "macro_f1": macro_f1(y, pred, judged.n_classes),
        }  # fmt: skip


def _name(value: object) -> str:
    missing = value is None or (isinstance(value, float) and np.isnan(value))
    return "(missing)" if missing else str(value)
