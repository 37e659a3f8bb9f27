"""Deferred re-weighting: plain first, weighted late."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from scarce.train._named_loss import LATE, LATE_BETA, effective
from scarce.train.loss._base import ImbalanceLoss, checked_counts


@final
class Deferred(ImbalanceLoss):
    """Cross-entropy that weighs the classes only in the last part of the training.

    Features are learnt from the data as they are; the weights then move the borders. The training loop says how far it
    is by ``at(progress)``; before anything is said, the weights count.

    Source: Cao et al. 2019, algorithm 1 (DRW), with the weights of Cui et al. 2019.

    Args:
        counts: (K,) training samples of each class.
        start: share of the training after which the weights count, in [0, 1).
        beta: of the effective number.
    """

    def __init__(self, counts: Sequence[float], *, start: float = LATE, beta: float = LATE_BETA) -> None:
        values = checked_counts("deferred", counts).numpy()
        super().__init__(class_weights=effective(values, beta), deferred=start)
