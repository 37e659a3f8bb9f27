"""Largest-entropy sampling."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

from scarce.dataset import Array, Floats, Ints
from scarce.label.query._base import AbstractQuery, Pool
from scarce.label.query._uncertainty import uncertainty


def entropy_utility(pred_probs: Array) -> Floats:
    """Return (N,) entropy of the probabilities over log K, in [0, 1]: 1 = all classes alike, NaN where a row has NaN.

    Args:
        pred_probs: (N, K) out-of-sample probabilities; with K = 1 nothing is in doubt and all are 0.

    Raises:
        DataError: rows that are no probabilities.
    """
    nats = uncertainty(pred_probs)[0]
    k = len(pred_probs[0]) if len(pred_probs) else 2
    out: Floats = nats / math.log(k) if k > 1 else nats * 0
    return out


@final
@dataclass(frozen=True, kw_only=True)
class Entropy(AbstractQuery):
    """Ask first about samples whose predicted classes are spread most evenly.

    Use when doubt among many classes matters, not only between the first two.
    Do not use with many classes and a weak model: the tail of small probabilities decides then; prefer margin.
    Needs: pred_probs (N, K), K >= 2, out-of-sample.
    Source: Shannon 1948; Settles 2009, section 3.1.
    """

    needs: ClassVar[tuple[str, ...]] = ("pred_probs",)

    def utility(self, pool: Pool) -> Floats:
        """Return (M,) in [0, 1]; 1 = ask first."""
        return entropy_utility(pool.probs)

    def say(self, pool: Pool, rows: Ints, value: Floats) -> list[str]:
        """Return the reasons."""
        return [
            f"the model is undecided ({100 * share:.0f} % of the largest entropy): {pool.likely(row, 3)}"
            for row, share in zip(rows, value, strict=True)
        ]
