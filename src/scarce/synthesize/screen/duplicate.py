"""Synthetic samples that repeat each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from scarce.synthesize.screen._base import AbstractScreen, Exam, Judgement, unit_rows


@final
@dataclass(frozen=True, kw_only=True)
class Duplicate(AbstractScreen):
    """Refuse samples whose features are nearly those of another synthetic one that was accepted before.

    Use for every generator: repeats weigh a class without teaching it. Of alike ones the first by id stays.
    Needs: features. Small defects on one picture have nearly the same features: a small ``distance`` keeps them.
    Writes: score = likeness to the sample that it repeats, 0 for those that repeat none.

    Args:
        distance: one minus the cosine, after the mean of the real samples was taken off, up to which two repeat
            each other.
    """

    turn: ClassVar[int] = 2
    distance: float = 0.002

    def judge(self, exam: Exam) -> Judgement:
        """Compare the samples of each class in the order of their ids."""
        center = exam.real_features.mean(axis=0)
        rows = unit_rows(exam.made_features - center)
        ids = exam.ds.ids[exam.made].astype(str)
        score, reasons = np.full(len(rows), np.nan), {}
        score[exam.sound] = 0.0
        for code in exam.codes():
            mine = exam.sound[exam.wanted[exam.sound] == code]
            names, before = exam.earlier.get(code, ([], rows[:0]))
            kept = list(names)
            held = np.empty((len(kept) + len(mine), rows.shape[1]), np.float32)
            held[: len(kept)] = unit_rows(before - center) if kept else before
            for row in mine[np.argsort(ids[mine], kind="stable")].tolist():
                if kept:
                    likeness = held[: len(kept)] @ rows[row]
                    best = int(likeness.argmax())
                    if likeness[best] >= 1 - self.distance:
                        score[row] = min(float(likeness[best]), 1.0)
                        reasons[row] = f"repeats {kept[best]}: distance {1 - likeness[best]:.4f}"
                        continue
                held[len(kept)] = rows[row]
                kept.append(str(ids[row]))
        return Judgement(score, reasons, {"distance": self.distance})
