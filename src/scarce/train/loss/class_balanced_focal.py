"""Focal loss weighted by the effective number of samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from scarce.train._named_loss import BETA, effective
from scarce.train.loss._base import ImbalanceLoss, checked_counts


@final
class ClassBalancedFocal(ImbalanceLoss):
    """Focal loss in which each class weighs one over its effective number of samples.

    Source: Cui et al. 2019, section 4.3 (there over sigmoids, here over a softmax).

    Args:
        counts: (K,) training samples of each class; a class without one weighs 0.
        beta: in [0, 1): 0 = no weights, close to 1 = inverse frequency.
        gamma: focal exponent.
    """

    def __init__(self, counts: Sequence[float], *, beta: float = BETA, gamma: float = 2.0) -> None:
        weights = effective(checked_counts("class_balanced_focal", counts).numpy(), beta)
        super().__init__(class_weights=weights, gamma=gamma)
