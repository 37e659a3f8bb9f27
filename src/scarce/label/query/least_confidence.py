"""Least confidence: the likeliest class is not likely."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from scarce.dataset import Array, Floats, Ints
from scarce.label.query._base import AbstractQuery, Pool
from scarce.label.query._uncertainty import uncertainty


def least_confidence_utility(pred_probs: Array) -> Floats:
    """Return (N,) one minus the largest probability, scaled to [0, 1]: 1 = all classes alike, NaN where a row has NaN.

    Args:
        pred_probs: (N, K) out-of-sample probabilities; with K = 1 nothing is in doubt and all are 0.

    Raises:
        DataError: rows that are no probabilities.
    """
    top = uncertainty(pred_probs, entropy=False)[2]
    k = len(pred_probs[0]) if len(pred_probs) else 2
    out: Floats = (1 - top) * (k / (k - 1) if k > 1 else 0)
    return out


@final
@dataclass(frozen=True, kw_only=True)
class LeastConfidence(AbstractQuery):
    """Ask first about samples whose likeliest class has the least probability.

    Use when any wrong answer costs the same.
    Do not use with many near-equal samples: it asks about all of them; badge spreads.
    Needs: pred_probs (N, K), K >= 2, out-of-sample.
    Source: Lewis and Gale 1994.
    """

    needs: ClassVar[tuple[str, ...]] = ("pred_probs",)

    def utility(self, pool: Pool) -> Floats:
        """Return (M,) in [0, 1]; 1 = ask first."""
        return least_confidence_utility(pool.probs)

    def say(self, pool: Pool, rows: Ints, value: Floats) -> list[str]:  # noqa: ARG002  the shape of the base class
        """Return the reasons."""
        return [f"the model is not sure of its best guess {pool.likely(row, 1)}" for row in rows]
