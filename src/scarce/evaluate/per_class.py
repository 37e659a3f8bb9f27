"""Recall, precision, F1 and average precision of every class, with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from scarce.dataset import Array
from scarce.evaluate._base import AbstractSection, Judged
from scarce.metric.choice import Setting, weighted_rare_average_precision
from scarce.metric.confusion import confusion_matrix, precision_recall_f1
from scarce.metric.interval import clopper_pearson, cluster_bootstrap, plausible_confusions

MOST_CELLS = 20_000_000
"""Cells of confusion matrices that are drawn at most."""


@final
@dataclass(frozen=True, kw_only=True)
class PerClass(AbstractSection):
    """Every class with its own recall, precision, F1 and average precision, and how sure they are.

    Use when the rare class is the point: the mean over classes hides it.
    Needs: labels and probabilities.
    Writes: one entry a class: ``n`` and ``groups`` on test, ``train`` real samples that the model was fitted on,
    ``recall`` with the exact two-sided 95 % Clopper-Pearson bounds ``low`` and ``high``; ``precision`` with
    ``precision_low`` and ``precision_high``, likewise; ``f1``; ``average_precision`` with a bootstrap over whole groups
    (``average_precision_low``, ``average_precision_high``; null for a class from one group) and ``chance``, its value
    for a model that knows nothing; ``f1_low`` and ``f1_high``: 95 % of the confusion matrices that the counts leave
    possible.
    Where several samples share a group the bounds are counted by group, and ``grouped`` says so: k hits of n samples
    from g groups count as k g/n hits of g. The bounds of precision count the groups of what was named.

    Args:
        confidence: of all intervals.
    """

    confidence: float = 0.95

    def measure(self, judged: Judged) -> dict[str, Any]:
        """Return the table, class name to figures."""
        matrix = confusion_matrix(judged.y, judged.pred, judged.n_classes)
        precision, recall, f1 = precision_recall_f1(judged.y, judged.pred, judged.n_classes)
        right = np.diag(matrix)
        held, said = (_groups_of(judged, codes) for codes in (judged.y, judged.pred))
        low, high = clopper_pearson(right, matrix.sum(1), self.confidence, groups=held)
        named_low, named_high = clopper_pearson(right, matrix.sum(0), self.confidence, groups=said)
        f1_low, f1_high = self._f1_bounds(judged, matrix, held)
        table: dict[str, Any] = {}
        for code, name in enumerate(judged.classes):
            inside = judged.y == code
            table[name] = {
                "n": int(inside.sum()), "groups": int(held[code]), "grouped": bool(held[code] < inside.sum()),
                "train": int(judged.train_counts[code]),
                "recall": recall[code], "low": low[code] if inside.any() else np.nan,
                "high": high[code] if inside.any() else np.nan,
                "precision": precision[code], "precision_low": named_low[code] if matrix[:, code].any() else np.nan,
                "precision_high": named_high[code] if matrix[:, code].any() else np.nan,
                "f1": f1[code], "f1_low": f1_low[code], "f1_high": f1_high[code],
                "chance": float(inside.mean()) if len(inside) else np.nan,
                **self._average_precision(judged, code),
            }  # fmt: skip
        return table

    def _f1_bounds(self, judged: Judged, matrix: Array, held: Array) -> tuple[Array, Array]:
        """Return (K,) bounds; NaN for a class without samples, or where the matrix is too large to be drawn."""
        k = judged.n_classes
        draws = min(judged.draws, MOST_CELLS // (k * k))
        nothing = np.full(k, np.nan)
        if not draws:
            return nothing, nothing
        found = plausible_confusions(matrix, held, draws=draws, seed=judged.seed)
        sums = found.sum(1) + found.sum(2)
        each = 2 * np.einsum("bkk->bk", found) / np.maximum(sums, 1e-12)
        tail = (1 - self.confidence) / 2
        low, high = np.quantile(each, [tail, 1 - tail], axis=0)
        inside = matrix.sum(1) > 0
        return np.where(inside, low, np.nan), np.where(inside, high, np.nan)

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
        alone = judged.group_count(judged.y == code) < 2  # drawn again and again: its own spread is not known
        bounds = (np.nan, np.nan) if alone else (found.low, found.high)
        return dict(zip(names, (found.value, *bounds), strict=True))


def _groups_of(judged: Judged, codes: Array) -> Array:
    """Return (K,) from how many groups the samples of each code come."""
    return np.array([judged.group_count(codes == code) for code in range(judged.n_classes)])
