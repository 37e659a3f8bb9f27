"""Broken pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, final

import numpy as np

from scarce.dataset import Array
from scarce.synthesize.screen._base import AbstractScreen, Exam, Judgement, opened_rows

BLOCK: Final = 64
"""Pictures that are held at once."""


@final
@dataclass(frozen=True, kw_only=True)
class Broken(AbstractScreen):
    """Refuse samples that cannot be opened or encoded, are blank, or show no change of the picture they were drawn on.

    Use always; it runs first. Texts, sounds and series are only opened and encoded.
    Needs: the samples themselves.
    Writes: score 1 for broken ones, else 0.

    Args:
        span: gray levels between the darkest and the brightest percent of a picture that is not blank.
        changed: pixels that a drawn defect must change at least, by more than ``visible`` gray levels.
        visible: gray levels.
        pixels: shorter side of a picture that shows anything.
    """

    turn: ClassVar[int] = 0
    span: float = 4.0
    changed: int = 4
    visible: int = 3
    pixels: int = 8

    def judge(self, exam: Exam) -> Judgement:
        """Open every sample once, and the pictures that they were drawn on."""
        ds, reasons = exam.ds, {}
        known = set(exam.sound.tolist())
        place_of = {sample: row for row, sample in enumerate(ds.ids.tolist())}
        for start in range(0, len(exam.made), BLOCK):
            places = range(start, min(start + BLOCK, len(exam.made)))
            bases = [place_of.get(exam.canvases[place], -1) for place in places]
            shown = exam.opened(places)
            needed = sorted({row for row in bases if row >= 0})
            under = dict(zip(needed, opened_rows(ds, needed), strict=True))
            for place, picture, base in zip(places, shown, bases, strict=True):
                why = picture if isinstance(picture, str) else self._wrong(picture, under.get(base))
                if not why and place not in known:
                    why = "it could not be encoded"
                if why:
                    reasons[place] = why
        score = np.array([float(place in reasons) for place in range(len(exam.made))])
        return Judgement(score, reasons)

    def _wrong(self, picture: Array, base: Array | str | None) -> str:
        if picture.ndim < 2 or picture.dtype != np.uint8:
            return ""
        if min(picture.shape[:2]) < self.pixels:
            return f"it is {picture.shape[1]} x {picture.shape[0]} pixels, {self.pixels} are needed"
        low, high = np.percentile(picture[:: max(1, len(picture) // 256)], (1, 99))
        if high - low < self.span:
            return f"it is blank: 98 % of its pixels lie within {high - low:.0f} gray levels"
        if isinstance(base, np.ndarray) and base.shape == picture.shape:
            change = np.abs(picture.astype(np.int16) - base)
            change = change.max(axis=2) if change.ndim == 3 else change
            count = int((change > self.visible).sum())
            if count < self.changed:
                return f"nothing was drawn: {count} pixels differ by more than {self.visible} gray levels"
        return ""
