"""Pictures much smaller or larger than the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from scarce.audit._base import AbstractCheck, Measurement
from scarce.audit._quality import below, log_of, reported
from scarce.dataset import Dataset, Floats


def odd_size_score(width: Floats, height: Floats, *, factor: float = 3.0, spreads: float = 5.0) -> Floats:
    """Return (N,) scores in [0, 1], 1 = worst, at least 0.5 = odd.

    Args:
        width: (N,) pixels.
        height: (N,) pixels.
        factor: how many times smaller or larger than usual (edge of the square of equal area).
        spreads: and how many robust spreads away.
    """
    edge = 0.5 * (log_of(width, 1) + log_of(height, 1))
    least = float(np.log(factor))
    small = below(edge, least=least, spreads=spreads)
    return np.asarray(np.maximum(small, below(-edge, least=least, spreads=spreads)))


@final
@dataclass(frozen=True, kw_only=True)
class OddSize(AbstractCheck):
    """Find pictures whose size in pixels is far from the others'.

    Use when pictures come from one process; a thumbnail among photographs is usually a mistake.
    Do not use when crops of every size are meant to be there; then nothing is flagged.
    Needs: scan.width, scan.height (pixels).
    Writes: score (N,), at least 0.5 = odd.

    Args:
        factor: how many times smaller or larger than usual.
        spreads: and this many robust spreads away.
    """

    modalities: ClassVar[tuple[str, ...]] = ("image",)
    needs: ClassVar[tuple[str, ...]] = ("scan.width", "scan.height")
    factor: float = 3.0
    spreads: float = 5.0

    def measure(self, ds: Dataset) -> Measurement:
        """Judge the area."""
        width, height = ds["scan.width"].astype(float), ds["scan.height"].astype(float)
        score = odd_size_score(width, height, factor=self.factor, spreads=self.spreads)
        usual = f"{np.median(width):.0f} x {np.median(height):.0f}"
        return reported(ds, score, lambda row: f"odd size: {width[row]:.0f} x {height[row]:.0f} pixels, usual {usual}")
