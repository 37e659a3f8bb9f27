"""A model of the real samples does not see the class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np

from scarce.dataset import Ints
from scarce.probe import LinearProbe, cross_val_probs
from scarce.synthesize.screen._base import AbstractScreen, Exam, Judgement

FEWEST: Final = 8
"""Real training samples of a class that a limit can be read from."""


@final
@dataclass(frozen=True, kw_only=True)
class ProbeConfidence(AbstractScreen):
    """Refuse samples that a probe of the real samples gives less to their class than it gives to most real ones.

    Use where the class can be told at all from the features. It cannot prove that a sample is right: what a weak probe
    takes for the class may be wrong, and new looks of a class are refused first.
    Needs: features; 8 real training samples of the class, else it is not judged.
    Writes: score = 1 - probability of the class, all classes taken as equally frequent.
    Source: the filter of generated samples in He et al. 2023, section 3.3, with limits from real samples.

    Args:
        share: of the real samples of the class that would be refused too: the limit is this quantile of their
            out-of-fold probabilities.
        least: the limit is never lower; in [0, 1].
        most: the limit is never higher; in [0, 1].
        folds: of the cross-validation that the limits come from.
    """

    share: float = 0.1
    least: float = 0.0
    most: float = 0.5
    folds: int = 5

    def judge(self, exam: Exam) -> Judgement:
        """Judge by a probe that was fitted on all real training samples."""
        k, labels = len(exam.ds.schema.classes), exam.labels
        counts = np.bincount(labels, minlength=k)
        weights = (counts.sum() / np.maximum(counts, 1) / max(int((counts > 0).sum()), 1))[labels]
        given = exam.real_features
        fitted, limits = exam.once(
            self, lambda: (LinearProbe().fit(given, labels, k, weights=weights), self._limits(exam, counts, k))
        )
        probs = np.full((len(exam.made), k), np.nan)
        probs[exam.sound] = fitted.predict_proba(exam.made_features[exam.sound])
        own = probs[np.arange(len(probs)), exam.wanted]
        own[counts[exam.wanted] < FEWEST] = np.nan
        reasons = {}
        for place in exam.sound.tolist():
            code = int(exam.wanted[place])
            if counts[code] < FEWEST:
                continue
            if own[place] < limits[code]:
                guess = exam.name(int(probs[place].argmax()))
                rather = f"; it looks like {guess}" if guess != exam.name(code) else ""
                reasons[place] = (
                    f"probability of {exam.name(code)} is {own[place]:.3f}, under {limits[code]:.3f}{rather}"
                )
        told: dict[str, Any] = {}
        for code in exam.codes():
            if counts[code] < FEWEST:
                told[exam.name(code)] = {"not_measured": f"{counts[code]} real training samples; {FEWEST} are needed"}
                continue
            mine = own[exam.sound[exam.wanted[exam.sound] == code]]
            told[exam.name(code)] = {"limit": limits[code], "mean": float(mine.mean()) if len(mine) else None}
        return Judgement(1 - own, reasons, {"classes": told})

    def _limits(self, exam: Exam, counts: Ints, k: int) -> list[float]:
        """Return (K,) limits from out-of-fold probabilities of real samples, at equal frequencies."""
        labels = exam.labels
        probs = cross_val_probs(
            exam.real_features, labels, k, groups=exam.groups[exam.real], folds=self.folds, seed=exam.seed
        )
        probs = probs / np.maximum(counts, 1)
        own = probs[np.arange(len(labels)), labels] / np.maximum(probs.sum(axis=1), 1e-12)
        return [
            float(np.clip(np.quantile(own[labels == code], self.share), self.least, self.most)) if counts[code]
            else self.least
            for code in range(k)
        ]  # fmt: skip
