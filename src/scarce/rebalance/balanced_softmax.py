"""Logit adjustment by the class prior."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from scarce.dataset import Floats
from scarce.errors import ConfigError
from scarce.loss_spec import LossSpec
from scarce.rebalance._base import AbstractRebalance, Adjustment, Counts, checked_counts


@final
@dataclass(frozen=True, kw_only=True)
class BalancedSoftmax(AbstractRebalance):
    """Add the log of the class prior to the logits in training, so that plain logits answer as if classes were equal.

    Use when balanced accuracy or the recall of rare classes counts: the first thing to try under imbalance.
    Do not use when the field has the same imbalance and plain accuracy is the aim.
    Needs: class counts of the rows that are trained on.
    Writes: loss.prior (K,) = tau * log(n_k / n); added in training only.
    Source: Ren et al. 2020, Balanced Meta-Softmax (tau = 1); Menon et al. 2021, Logit adjustment.

    Args:
        tau: strength >= 0; 1 is consistent for the balanced error, 0 is plain training.
    """

    tau: float = 1.0

    def _check(self) -> None:
        """Refuse a negative strength."""
        if not 0 <= self.tau <= 10:
            raise ConfigError("rebalance.balanced_softmax", f"tau = {self.tau} is out of range", do="use 0 to 10")

    def adjust(self, counts: Counts) -> Adjustment:
        """Return the loss with the prior."""
        return Adjustment(LossSpec(prior=tuple(logit_prior(counts, tau=self.tau).tolist())))


def logit_prior(counts: Counts, tau: float = 1.0) -> Floats:
    """Return (K,) offsets ``tau * log(n_k / n)``; an empty class counts as half a sample, which keeps it finite."""
    values = np.maximum(checked_counts(counts, "balanced_softmax"), 0.5)
    prior: Floats = tau * np.log(values / values.sum())
    return prior
