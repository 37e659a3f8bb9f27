"""The largest logit, negated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from scarce.dataset import Array, Floats
from scarce.evaluate.out_of_distribution._base import AbstractDetector, Rows


@final
@dataclass(frozen=True, kw_only=True)
class MaxLogit(AbstractDetector):
    """The largest logit, negated: a sample that no class speaks for loudly is foreign.

    Use with many classes, some of them alike: two that share a probability do not make a sample foreign.
    Needs: logits (N, K), not normalized.
    Source: Hendrycks et al. 2022.
    """

    def _foreign(self, rows: Rows, _state: Mapping[str, Array]) -> Floats:
        return max_logit(rows.logits)


def max_logit(logits: Array) -> Floats:
    """Return (N,) negated largest logits of (N, K)."""
    return np.asarray(-np.asarray(logits, np.float64).max(1))
