"""Cross-entropy or focal loss weighted by the effective number of samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from scarce.train._named_loss import BETA, effective
from scarce.train.loss._base import ImbalanceLoss, checked_counts


@final
class ClassBalanced(ImbalanceLoss):
    """Each class weighs one over its effective number of samples, (1 - beta^n) / (1 - beta).

    Source: Cui et al. 2019, equation 10; the weights are scaled to 1 on average over the training samples.

    Args:
        counts: (K,) training samples of each class; a class without one weighs 0.
        beta: in [0, 1): 0 = no weights, close to 1 = inverse frequency.
        gamma: focal exponent; 0 = cross-entropy.
    """

    def __init__(self, counts: Sequence[float], *, beta: float = BETA, gamma: float = 0.0) -> None:
        weights = effective(checked_counts("class_balanced", counts).numpy(), beta)
        super().__init__(class_weights=weights, gamma=gamma)
