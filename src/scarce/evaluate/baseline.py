"""The model that always answers the commonest class: what every score must beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from scarce.evaluate._base import AbstractSection, Judged
from scarce.metric.confusion import accuracy, balanced_accuracy, macro_f1


@final
@dataclass(frozen=True, kw_only=True)
class Baseline(AbstractSection):
    """Scores of always answering the class that is commonest in training.

    Use when an accuracy looks high: on 1 defect in 100 this baseline reaches 99 %.
    Needs: labels.
    Writes: ``answers`` (the class), ``accuracy``, ``balanced_accuracy``, ``macro_f1``.
    """

    def measure(self, judged: Judged) -> dict[str, Any]:
        """Return the scores."""
        code = int(np.argmax(judged.train_counts))
        pred = np.full(len(judged.y), code)
        return {
            "answers": judged.classes[code], "accuracy": accuracy(judged.y, pred),
            "balanced_accuracy": balanced_accuracy(judged.y, pred, judged.n_classes),
            "macro_f1": macro_f1(judged.y, pred, judged.n_classes),
        }  # fmt: skip
