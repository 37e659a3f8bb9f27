"""How well a classifier tells synthetic from real samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.errors import DataError
from scarce.synthesize.screen._base import AbstractScreen, Exam, Judgement
from scarce.two_sample import told_apart


@final
@dataclass(frozen=True, kw_only=True)
class DomainGap(AbstractScreen):
    """Train a classifier to tell synthetic from real samples of one class, and report its AUROC with its interval.

    Use to see whether a model could learn "synthetic" in place of the defect: 0.5 = no gap, 1 = always told apart.
    Do not use as the only reason to refuse: drawn defects are nearly always told apart, and may help all the same.
    Needs: features; 8 groups of real and of synthetic training samples.
    Writes: score = out-of-fold probability of being synthetic. Refuses a class's samples only with ``most`` below 1.
    Source: classifier two-sample tests, Lopez-Paz and Oquab 2017; compared within classes and grouped by canvas.

    Args:
        most: AUROC whose lower end, when higher, refuses all samples of the class; 1 = only measured.
        folds: of the cross-fitting.
    """

    turn: ClassVar[int] = 3
    most: float = 1.0
    folds: int = 5

    def judge(self, exam: Exam) -> Judgement:
        """Compare within classes that have synthetic samples."""
        codes = np.array(exam.codes())
        own = np.flatnonzero(np.isin(exam.labels, codes))
        features = np.concatenate([exam.real_features[own], exam.made_features[exam.sound]])
        side = np.concatenate([np.zeros(len(own), bool), np.ones(len(exam.sound), bool)])
        labels = np.concatenate([exam.labels[own], exam.wanted[exam.sound]])
        groups = exam.groups[np.concatenate([exam.real[own], exam.made[exam.sound]])]
        score = np.full(len(exam.made), np.nan)
        try:
            gap = told_apart(features, side, labels, groups=groups, folds=self.folds, seed=exam.seed)
        except DataError as error:
            return Judgement(score, {}, {"not_measured": error.what})
        score[exam.sound] = gap.own[len(own) :]
        told: dict[str, Any] = {
            exam.name(code): {"auroc": auroc, "low": low, "high": high}
            for code, (auroc, low, high) in gap.per_class.items()
        }
        reasons: dict[int, str] = {}
        warnings = []
        for code, (auroc, low, high) in gap.per_class.items():
            if self.most < 1 and low > self.most:
                why = f"a classifier tells its class from real ones with AUROC {auroc:.3f} ({low:.3f} to {high:.3f})"
                rows = exam.sound[exam.wanted[exam.sound] == code].tolist()
                reasons |= dict.fromkeys(rows, f"{why}, over {self.most:g}")
                warnings.append(f"{exam.name(code)}: all {len(rows)} refused: {why}, over {self.most:g}")
        body = {"auroc": gap.auroc, "low": gap.low, "high": gap.high, "classes": told}
        return Judgement(score, reasons, body, warnings)
