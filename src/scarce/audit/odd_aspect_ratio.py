"""Pictures of another shape than the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from scarce.audit._base import AbstractCheck, Measurement
from scarce.audit._quality import below, log_of, reported
from scarce.dataset import Dataset, Floats


def odd_aspect_score(width: Floats, height: Floats, *, factor: float = 2.5, spreads: float = 5.0) -> Floats:
    """Return (N,) scores in [0, 1], 1 = worst, at least 0.5 = odd.

    Args:
        width: (N,) pixels.
        height: (N,) pixels.
        factor: how many times longer or wider than usual; portrait and landscape of one format are equal.
        spreads: and how many robust spreads away.
    """
    long = np.abs(log_of(width, 1) - log_of(height, 1))
    least = float(np.log(factor))
    stretched = below(-long, least=least, spreads=spreads)
    return np.asarray(np.maximum(stretched, below(long, least=least, spreads=spreads)))


@final
@dataclass(frozen=True, kw_only=True)
class OddAspectRatio(AbstractCheck):
    """Find pictures that are much longer or wider than the others.

    Use when pictures come from one process; strips are often panoramas, screenshots or broken crops.
    Do not use when crops of every shape are meant to be there; then nothing is flagged.
    Needs: scan.width, scan.height (pixels).
    Writes: score (N,), at least 0.5 = odd.

    Args:
        factor: how many times longer or wider than usual.
        spreads: and this many robust spreads away.
    """

    modalities: ClassVar[tuple[str, ...]] = ("image",)
    needs: ClassVar[tuple[str, ...]] = ("scan.width", "scan.height")
    factor: float = 2.5
    spreads: float = 5.0

    def measure(self, ds: Dataset) -> Measurement:
        """Judge width over height."""
        width, height = ds["scan.width"].astype(float), ds["scan.height"].astype(float)
        score = odd_aspect_score(width, height, factor=self.factor, spreads=self.spreads)
        usual = float(np.median(width / np.maximum(height, 1)))
        return reported(
            ds, score, lambda row: f"odd aspect ratio: {width[row] / max(height[row], 1):.2f}, usual {usual:.2f}"
        )
