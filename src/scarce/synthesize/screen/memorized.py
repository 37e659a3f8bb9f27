"""Near-copies of real samples."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final, final

import numpy as np

from scarce.dataset import Floats, Ints
from scarce.errors import ScarceError
from scarce.synthesize._shape import shape_of
from scarce.synthesize.screen._base import AbstractScreen, Exam, Judgement, nearest_real, real_limits

FEW: Final = 1e-3
"""The limit where too few real samples say one."""
SIDE: Final = 64
SAME: Final = 0.998
"""Correlation of thumbnails of this side from which two pictures are one, whatever their features say."""
CLOSE: Final = 0.25
"""Thumbnails are compared where a sample is nearer to a real one than this share of the real ones are to each other."""


@final
@dataclass(frozen=True, kw_only=True)
class Memorized(AbstractScreen):
    """Refuse samples that are nearer to a real training sample than nearly all real ones are to each other.

    Use for models that may repeat what they were fitted on. The picture that a defect was drawn on, and the others of
    its group, do not count: they are alike by design. Pictures are compared by their thumbnails as well: features of a
    file that was decoded at reduced size differ a little from those of the same picture in full.
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
        for row, alike in self._same_pictures(exam, made, place, real_limits(real, CLOSE)).items():
            reasons.setdefault(row, f"copies {exam.ds.ids[exam.real[place[row]]]}: thumbnails correlate by {alike:.4f}")
        score = np.where(np.isnan(made), np.nan, limit / (limit + np.maximum(made, 0.0) + 1e-12))
        score[list(reasons)] = np.maximum(score[list(reasons)], 0.5)
        return Judgement(score, reasons, {"limit": limit})

    def _same_pictures(self, exam: Exam, made: Floats, place: Ints, bound: float) -> dict[int, float]:
        """Return sample to the correlation of its thumbnail with that of the real sample that is nearest."""
        from scarce import modality

        if exam.ds.schema.modality != "image":
            return {}
        bound = bound if np.isfinite(bound) else np.inf
        close = np.flatnonzero((place >= 0) & np.isfinite(made) & (made <= bound))
        found, kind = {}, modality.of("image")
        for row in close.tolist():
            (sample,) = exam.opened([row])
            if isinstance(sample, str):
                continue
            twin = int(exam.real[place[row]])
            theirs = exam.once(("thumbnail", exam.ds.ids[twin]), partial(_thumbnail, exam, twin))
            alike = float((shape_of(kind.thumbnail(sample, SIDE), SIDE) * theirs).sum())
            if alike >= SAME:
                found[row] = alike
        return found


def _thumbnail(exam: Exam, row: int) -> Floats:
    """Return the shape of a real picture; 0 where it cannot be opened any more."""
    from scarce import modality

    try:
        return shape_of(modality.thumbnails(exam.ds, [row], size=SIDE)[0], SIDE)
    except (ScarceError, OSError):
        return np.zeros((SIDE, SIDE), np.float32)
