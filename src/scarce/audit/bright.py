"""Overexposed pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from scarce.audit._base import AbstractCheck, Measurement
from scarce.audit._quality import below, graded, log_of, reported
from scarce.dataset import Dataset, Floats


def bright_score(shadows: Floats, *, level: float = 192.0, spreads: float = 3.0) -> Floats:
    """Return (N,) scores in [0, 1], 1 = worst, at least 0.5 = too bright.

    Args:
        shadows: (N,) 1st percentile of the gray levels, 0 to 255.
        level: shadows brighter than this may be a fault.
        spreads: and they must have less than half the others' distance to white and lie this many robust spreads away
            (logarithms).
    """
    absolute = graded(shadows / level)
    relative = below(log_of(255.0 - shadows, 16), least=float(np.log(2)), spreads=spreads, floor=0.05)
    return np.asarray(np.where(shadows > level, np.minimum(absolute, relative), 0.5 * np.minimum(absolute, relative)))


@final
@dataclass(frozen=True, kw_only=True)
class Bright(AbstractCheck):
    """Find pictures that are washed out.

    Use when exposure may fail; a data set on white ground throughout raises no alarm.
    Do not use when glare is a class of its own.
    Needs: scan.p01 (gray levels, 0 to 255).
    Writes: score (N,), at least 0.5 = too bright.

    Args:
        level: shadows brighter than this may be a fault, 0 to 255.
        spreads: and this many robust spreads away from the other pictures.
    """

    modalities: ClassVar[tuple[str, ...]] = ("image",)
    needs: ClassVar[tuple[str, ...]] = ("scan.p01",)
    level: float = 192.0
    spreads: float = 3.0

    def measure(self, ds: Dataset) -> Measurement:
        """Judge the shadows."""
        shadows = ds["scan.p01"].astype(float)
        score = bright_score(shadows, level=self.level, spreads=self.spreads)
        usual = float(np.median(shadows))
        return reported(ds, score, lambda row: f"bright: shadows at {shadows[row]:.0f} of 255, usual {usual:.0f}")
