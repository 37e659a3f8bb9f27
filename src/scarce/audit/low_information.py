"""Pictures that show next to nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from scarce.audit._base import AbstractCheck, Measurement
from scarce.audit._quality import below, reported
from scarce.dataset import Dataset, Floats


def emptiness_score(entropy: Floats, *, bits: float = 1.5, spreads: float = 4.0) -> Floats:
    """Return (N,) scores in [0, 1], 1 = worst, at least 0.5 = next to empty.

    Args:
        entropy: (N,) bits of the gray levels, 0 to 8.
        bits: how many bits less than the median.
        spreads: and how many robust spreads below it.
    """
    score = below(entropy, least=bits, spreads=spreads, floor=0.05)
    blank = entropy < 0.02
    return np.asarray(np.where(blank & (np.median(entropy) > 0.1), 1.0, score))


@final
@dataclass(frozen=True, kw_only=True)
class LowInformation(AbstractCheck):
    """Find pictures with almost no content: blank, covered lens, single color.

    Use when cameras may fail or placeholders may have slipped in.
    Do not use when blank pictures are a class of their own.
    Needs: scan.entropy (bits).
    Writes: score (N,), at least 0.5 = next to empty. Judged against the other pictures: plain surfaces and black and
    white drawings raise no alarm where they are the rule.

    Args:
        bits: how many bits less than the median.
        spreads: and this many robust spreads below it.
    """

    modalities: ClassVar[tuple[str, ...]] = ("image",)
    needs: ClassVar[tuple[str, ...]] = ("scan.entropy",)
    bits: float = 1.5
    spreads: float = 4.0

    def measure(self, ds: Dataset) -> Measurement:
        """Judge the entropy."""
        entropy = ds["scan.entropy"].astype(float)
        score = emptiness_score(entropy, bits=self.bits, spreads=self.spreads)
        usual = float(np.median(entropy))
        return reported(ds, score, lambda row: f"low information: {entropy[row]:.2f} bits, usual {usual:.2f}")
