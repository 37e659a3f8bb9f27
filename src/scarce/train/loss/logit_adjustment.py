"""Logit adjustment in training, with a strength."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from scarce.train._named_loss import prior_of
from scarce.train.loss._base import ImbalanceLoss, checked_counts


@final
class LogitAdjustment(ImbalanceLoss):
    """Cross-entropy on logits to which ``tau * log(prior)`` is added; predictions leave it out.

    With tau = 1 it is balanced softmax; tau is chosen on validation data. The same after training:
    ``scarce.rebalance.threshold.moved_prior``.

    Source: Menon et al. 2021, Long-tail learning via logit adjustment, equation 10.

    Args:
        counts: (K,) training samples of each class; classes without one are treated as half a sample.
        tau: strength; 1 is consistent for the balanced error, 0 is cross-entropy.
    """

    def __init__(self, counts: Sequence[float], *, tau: float = 1.0) -> None:
        super().__init__(prior=prior_of(checked_counts("logit_adjustment", counts).numpy(), tau))
