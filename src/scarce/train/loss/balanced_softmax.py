"""Balanced softmax: logit adjustment in training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from scarce.train._named_loss import prior_of
from scarce.train.loss._base import ImbalanceLoss, checked_counts


@final
class BalancedSoftmax(ImbalanceLoss):
    """Cross-entropy on logits to which the log of the class prior is added; predictions leave it out.

    The model then answers as if all classes were equally common.

    Source: Ren et al. 2020 (balanced meta-softmax); Menon et al. 2021 (logit adjustment, with tau).

    Args:
        counts: (K,) training samples of each class; classes without one are treated as half a sample.
        tau: strength; 1 is the balanced optimum, 0 is cross-entropy.
        label_smoothing: in [0, 1).
    """

    def __init__(self, counts: Sequence[float], *, tau: float = 1.0, label_smoothing: float = 0.0) -> None:
        prior = prior_of(checked_counts("balanced_softmax", counts).numpy(), tau)
        super().__init__(prior=prior, label_smoothing=label_smoothing)
