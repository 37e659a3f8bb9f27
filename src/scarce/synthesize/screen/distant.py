"""Samples far from everything real."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from scarce.synthesize.screen._base import AbstractScreen, Exam, Judgement, nearest_real, real_limits


@final
@dataclass(frozen=True, kw_only=True)
class Distant(AbstractScreen):
    """Refuse samples that are farther from every real training sample than nearly all real ones are from the others.

    Use for models that may leave the domain: wrong object, wrong style, text in the picture.
    Do not use when the real samples are so few that a new look of the class is expected.
    Needs: features; 8 real samples that have others outside their group.
    Writes: score = 0.5 at the limit, towards 1 beyond.
    Source: the support test of Kynkaanniemi et al. 2019 (improved precision), with one radius for all.

    Args:
        share: of the real samples that are farther from all others; the limit is the other quantile.
        slack: factor on the limit.
    """

    share: float = 0.01
    slack: float = 1.1

    def judge(self, exam: Exam) -> Judgement:
        """Judge by the nearest real sample; where a canvas's group counts, it can only be nearer."""
        real, made, _ = nearest_real(exam)
        limit = real_limits(real, 1 - self.share) * self.slack
        known = np.isfinite(limit)
        reasons = {
            int(row): f"distance {made[row]:.3f} to the nearest real sample, limit {limit:.3f}"
            for row in np.flatnonzero(known & (made > limit))
        }
        share = np.where(np.isinf(made), 1.0, made / (made + limit)) if known else np.full(len(made), np.nan)
        return Judgement(np.clip(share, 0, 1), reasons, {"limit": limit})
