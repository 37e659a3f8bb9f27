"""Samples that mix classes: sets of classes that hold the truth, and what saying nothing would gain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from scarce.evaluate._base import AbstractSection, Judged
from scarce.evaluate.conformal import conformal_sets, conformal_threshold, risk_coverage, summary

POINTS = 21


@final
@dataclass(frozen=True, kw_only=True)
class Ambiguous(AbstractSection):
    """How often several classes remain possible, and how the error falls if those samples go to a person.

    Use when a person can look again at what the model is unsure of.
    Needs: labels and probabilities; the model's own threshold or out-of-fold probabilities for the sets, otherwise only
    the curve is given.
    Writes: ``curve``: shares answered, the surest first, with the error among them, and ``area``, its mean; ``sets``
    with ``coverage`` wanted and found, ``mean_size``, the share ``ambiguous``, accuracy with and without them, and
    ``examples``, ids of ambiguous samples with their classes.
    Source: El-Yaniv and Wiener 2010; Sadinle, Lei and Wasserman 2019.

    Args:
        coverage: share of samples whose set shall hold the truth, in (0, 1).
    """

    coverage: float = 0.95

    def measure(self, judged: Judged) -> dict[str, Any]:
        """Return curve and sets."""
        answered, risk = risk_coverage(judged.y, judged.probs)
        places = np.unique(np.linspace(0, len(answered) - 1, POINTS).round().astype(int)[1:])
        curve = [{"answered": answered[place], "error": risk[place]} for place in places]
        return {"area": float(risk.mean()), "curve": curve, "sets": self._sets(judged)}

    def _sets(self, judged: Judged) -> dict[str, Any] | None:
        threshold = judged.set_threshold
        if threshold is None and judged.out_of_fold is not None:
            threshold = conformal_threshold(*judged.out_of_fold, coverage=self.coverage)
        if threshold is None:
            return None
        sets = conformal_sets(judged.probs, threshold)
        rows = np.flatnonzero(sets.sum(1) > 1)
        top = np.sort(judged.probs[rows], axis=1)[:, ::-1]
        order = rows[np.argsort(top[:, 0] - top[:, 1], kind="stable")][: judged.listed]
        examples = [
            {"id": str(judged.ids[row]), "classes": [judged.classes[code] for code in np.flatnonzero(sets[row])]}
            for row in order
        ]
        found = summary(judged.y, judged.probs, threshold)
        return {"coverage": self.coverage, **found, "examples": examples}
