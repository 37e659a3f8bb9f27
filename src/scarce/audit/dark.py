"""Underexposed pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from scarce.audit._base import AbstractCheck, Measurement
from scarce.audit._quality import below, graded, log_of, reported
from scarce.dataset import Dataset, Floats


def dark_score(highlights: Floats, *, level: float = 64.0, spreads: float = 3.0) -> Floats:
    """Return (N,) scores in [0, 1], 1 = worst, at least 0.5 = too dark.

    Args:
        highlights: (N,) 95th percentile of the gray levels, 0 to 255.
        level: highlights darker than this may be a fault.
        spreads: and they must have less than half the light of the others and lie this many robust spreads below them
            (logarithms).
    """
    absolute = graded((255.0 - highlights) / (255.0 - level))
    relative = below(log_of(highlights, 1), least=float(np.log(2)), spreads=spreads, floor=0.05)
    return np.asarray(
        np.where(highlights < level, np.minimum(absolute, relative), 0.5 * np.minimum(absolute, relative))
    )


@final
@dataclass(frozen=True, kw_only=True)
class Dark(AbstractCheck):
    """Find pictures that are too dark to show anything.

    Use when exposure may fail; a data set that is dark throughout raises no alarm.
    Do not use when darkness is a class of its own.
    Needs: scan.p95 (gray levels, 0 to 255).
    Writes: score (N,), at least 0.5 = too dark.

    Args:
        level: highlights darker than this may be a fault, 0 to 255.
        spreads: and this many robust spreads away from the other pictures.
    """

    modalities: ClassVar[tuple[str, ...]] = ("image",)
    needs: ClassVar[tuple[str, ...]] = ("scan.p95",)
    level: float = 64.0
    spreads: float = 3.0

    def measure(self, ds: Dataset) -> Measurement:
        """Judge the highlights."""
        highlights = ds["scan.p95"].astype(float)
        score = dark_score(highlights, level=self.level, spreads=self.spreads)
        usual = float(np.median(highlights))
        return reported(ds, score, lambda row: f"dark: highlights at {highlights[row]:.0f} of 255, usual {usual:.0f}")
