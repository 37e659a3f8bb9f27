"""Smallest-margin sampling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from scarce.dataset import Array, Floats, Ints
from scarce.label.query._base import AbstractQuery, Pool
from scarce.label.query._uncertainty import uncertainty


def margin_utility(pred_probs: Array) -> Floats:
    """Return (N,) one minus the gap between the two likeliest classes, in [0, 1]: 1 = tied, NaN where a row has NaN.

    Args:
        pred_probs: (N, K) out-of-sample probabilities; with K = 1 nothing is in doubt and all are 0.

    Raises:
        DataError: rows that are no probabilities.
    """
    out: Floats = 1 - uncertainty(pred_probs, entropy=False)[1]
    return out


@final
@dataclass(frozen=True, kw_only=True)
class Margin(AbstractQuery):
    """Ask first about samples whose two likeliest classes are nearly tied.

    Use when the model is roughly calibrated; it is hard to beat with one label at a time.
    Do not use for large batches with many near-equal samples: prefer badge.
    Needs: pred_probs (N, K), K >= 2, out-of-sample.
    Source: Scheffer, Decomain and Wrobel 2001.
    """

    needs: ClassVar[tuple[str, ...]] = ("pred_probs",)

    def utility(self, pool: Pool) -> Floats:
        """Return (M,) in [0, 1]; 1 = ask first."""
        return margin_utility(pool.probs)

    def say(self, pool: Pool, rows: Ints, value: Floats) -> list[str]:  # noqa: ARG002  the shape of the base class
        """Return the reasons."""
        return [f"the model hesitates between {pool.likely(row)}" for row in rows]
