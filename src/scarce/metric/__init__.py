"""Scores as pure NumPy functions, each held against an outside oracle in the tests.

Use them alone: ``from scarce.metric import macro_f1``. Classes are codes 0..K-1 in ``schema.classes`` order. Every
score is better when higher, but for ``log_loss``. Bounds and bootstraps live in ``scarce.metric.interval``; the metric
that a user chooses by name comes from :func:`scarce.metric.choice.get`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scarce.metric.choice import METRICS, Setting, describe, get, rare_codes, weighted
    from scarce.metric.confusion import (
        accuracy,
        balanced_accuracy,
        confusion_matrix,
        macro_f1,
        precision_recall_f1,
        recalls,
    )
    from scarce.metric.interval import (
        Interval,
        clopper_pearson,
        cluster_bootstrap,
        cluster_weights,
        needed_for,
        provable,
        provable_recall,
        wilson,
    )
    from scarce.metric.loss import log_loss
    from scarce.metric.ranking import (
        area_under_roc,
        average_precision,
        false_positive_rate_at_recall,
        mean_average_precision,
        recall_at_false_positive_rate,
        threshold_at_false_positive_rate,
    )

_HOME = {
    **dict.fromkeys(("METRICS", "Setting", "describe", "get", "rare_codes", "weighted"), "choice"),
    **dict.fromkeys(
        ("accuracy", "balanced_accuracy", "confusion_matrix", "macro_f1", "precision_recall_f1", "recalls"), "confusion"
    ),
    **dict.fromkeys(
        (
            "Interval", "clopper_pearson", "cluster_bootstrap", "cluster_weights", "needed_for", "provable",
            "provable_recall", "wilson",
        ),
        "interval",
    ),
    "log_loss": "loss",
    **dict.fromkeys(
        (
            "area_under_roc", "average_precision", "false_positive_rate_at_recall", "mean_average_precision",
            "recall_at_false_positive_rate", "threshold_at_false_positive_rate",
        ),
        "ranking",
    ),
}  # fmt: skip

__all__ = [
    "METRICS",
    "Interval",
    "Setting",
    "accuracy",
    "area_under_roc",
    "average_precision",
    "balanced_accuracy",
    "clopper_pearson",
    "cluster_bootstrap",
    "cluster_weights",
    "confusion_matrix",
    "describe",
    "false_positive_rate_at_recall",
    "get",
    "log_loss",
    "macro_f1",
    "mean_average_precision",
    "needed_for",
    "precision_recall_f1",
    "provable",
    "provable_recall",
    "rare_codes",
    "recall_at_false_positive_rate",
    "recalls",
    "threshold_at_false_positive_rate",
    "weighted",
    "wilson",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
