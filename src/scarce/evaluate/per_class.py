"""Recall, precision, F1 and average precision of every class, with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from scarce.evaluate._base import AbstractSection, Judged
from scarce.metric.choice import Setting, weighted_rare_average_precision
from scarce.metric.confusion import confusion_matrix, precision_recall_f1
from scarce.metric.interval import clopper_pearson, cluster_bootstrap


@final
@dataclass(frozen=True, kw_only=True)
class PerClass(AbstractSection):
    """Every class with its own recall, precision, F1 and average precision, and how sure they are.

    Use when the rare class is the point: the mean over classes hides it.
    Needs: labels and probabilities.
    Writes: one entry a class: ``n`` and ``groups`` on test, ``train`` real training samples, ``recall`` with the exact
    two-sided 95 % Clopper-Pearson bounds ``low`` and ``high``; ``precision`` with ``precision_low`` and
    ``precision_high``, likewise; ``f1``; ``average_precision`` with a bootstrap over whole groups
    (``average_precision_low``, ``average_precision_high``) and ``chance``, its value for a model that knows nothing.
    Where several samples share a group the exact bounds are too narrow, and ``grouped`` says so.

    Args:
        confidence: of all intervals.
    """

    confidence: float = 0.95

    def measure(self, judged: Judged) -> dict[str, Any]:
        """Return the table, class name to figures."""
        matrix = confusion_matrix(judged.y, judged.pred, judged.n_classes)
        precision, recall, f1 = precision_recall_f1(judged.y, judged.pred, judged.n_classes)
        right = np.diag(matrix)
        low, high = clopper_pearson(right, matrix.sum(1), self.confidence)
        exact_low, exact_high = clopper_pearson(right, matrix.sum(0), self.confidence)
        table: dict[str, Any] = {}
        for code, name in enumerate(judged.classes):
            inside = judged.y == code
            groups = judged.group_count(inside)
            table[name] = {
                "n": int(inside.sum()), "groups": groups, "grouped": groups < int(inside.sum()),
                "train": int(judged.train_counts[code]),
                "recall": recall[code], "low": low[code] if inside.any() else np.nan,
                "high": high[code] if inside.any() else np.nan,
                "precision": precision[code], "precision_low": exact_low[code] if matrix[:, code].any() else np.nan,
                "precision_high": exact_high[code] if matrix[:, code].any() else np.nan,
                "f1": f1[code], "chance": float(inside.mean()) if len(inside) else np.nan,
                **self._average_precision(judged, code),
            }  # fmt: skip
        return table

    def _average_precision(self, judged: Judged, code: int) -> dict[str, float]:
        names = ("average_precision", "average_precision_low", "average_precision_high")
        if not (judged.y == code).any():
            return dict.fromkeys(names, float("nan"))
        setting = Setting(rare=(code,))
        found = cluster_bootstrap(
            judged.groups,
            lambda draws: weighted_rare_average_precision(judged.y, judged.probs, draws, setting),
            repeats=max(50, judged.draws // 4), confidence=self.confidence, seed=judged.seed, strata=judged.y,
        )  # fmt: skip
        return dict(zip(names, (found.value, found.low, found.high), strict=True))
