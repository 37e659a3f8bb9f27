"""Near-copies of real samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np

from scarce.synthesize.screen._base import AbstractScreen, Exam, Judgement, nearest_real, real_limits

FEW: Final = 1e-3
"""The limit where too few real samples say one."""


@final
@dataclass(frozen=True, kw_only=True)
class Memorized(AbstractScreen):
    """Refuse samples that are nearer to a real training sample than nearly all real ones are to each other.

    Use for models that may repeat what they were fitted on. The picture that a defect was drawn on, and the others of
    its group, do not count: they are alike by design.
    Needs: features; 8 real samples that have others outside their group.
    Writes: score = 1 at distance 0, 0.5 at the limit.
    Source: the nearest-neighbor test of Meehan, Chaudhuri and Dasgupta 2020, per sample.

    Args:
        share: of the real samples that are as near to one of another group; the limit is this quantile.
    """

    share: float = 0.01

    def judge(self, exam: Exam) -> Judgement:
        """Judge by the nearest real sample outside the canvas's group."""
        real, made, place = nearest_real(exam)
        limit = real_limits(real, self.share)
        limit = limit if np.isfinite(limit) else FEW
        near = made <= limit
        reasons = {
            int(row): f"copies {exam.ds.ids[exam.real[place[row]]]}: distance {made[row]:.4f}, limit {limit:.4f}"
            for row in np.flatnonzero(near)
        }
        score = np.where(np.isnan(made), np.nan, limit / (limit + np.maximum(made, 0.0) + 1e-12))
        return Judgement(score, reasons, {"limit": limit})
