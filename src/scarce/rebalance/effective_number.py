"""Class weights by the effective number of samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from scarce.dataset import Floats
from scarce.errors import ConfigError
from scarce.loss_spec import LossSpec
from scarce.rebalance._base import AbstractRebalance, Adjustment, Counts, checked_counts, normalized


@final
@dataclass(frozen=True, kw_only=True)
class EffectiveNumber(AbstractRebalance):
    """Weigh each class by the inverse of its effective number of samples.

    Use when the large classes hold many near-repeats: beyond some size more samples add little, so their weight stops
    falling, and the rare classes are not blown up as by the plain inverse.
    Do not use when every sample is new evidence; then beta -> 1 and it is the plain inverse.
    Needs: class counts.
    Writes: loss.class_weights (K,), 1 on average over the training samples (the paper scales them to sum K).
    Source: Cui, Jia, Lin, Song and Belongie 2019, Class-Balanced Loss Based on Effective Number of Samples, eq. 12.

    Args:
        beta: in [0, 1); the effective number never passes 1 / (1 - beta). 0 = no weights.
    """

    beta: float = 0.999

    def _check(self) -> None:
        """Refuse a beta outside [0, 1)."""
        if not 0 <= self.beta < 1:
            raise ConfigError("rebalance.effective_number", f"beta = {self.beta} is out of range",
                              do="use 0 <= beta < 1; .99 to .9999 are usual")  # fmt: skip

    def adjust(self, counts: Counts) -> Adjustment:
        """Return the loss with class weights."""
        weights = effective_number_weights(counts, beta=self.beta)
        return Adjustment(LossSpec(class_weights=tuple(weights.tolist())))


def effective_number_weights(counts: Counts, *, beta: float = 0.999) -> Floats:
    """Return (K,) weights ``(1 - beta) / (1 - beta ** n)``, 1 on average over the samples; empty classes get 1."""
    values = checked_counts(counts, "effective_number")
    if beta == 0:
        return np.ones(len(values))
    share = -np.expm1(np.maximum(values, 1e-12) * np.log(beta))
    return normalized((1 - beta) / share, values)
