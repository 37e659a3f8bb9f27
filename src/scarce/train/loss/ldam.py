"""LDAM: the rarer the class, the wider the margin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from scarce.train._named_loss import LATE_BETA, MARGIN, SCALE, effective, margins_of
from scarce.train.loss._base import ImbalanceLoss, checked_counts


@final
class Ldam(ImbalanceLoss):
    """Label-distribution-aware margins: the true class's logit is lowered by a margin, widest for the rarest class.

    The margins are meant for logits that are ``scale`` times a cosine; `finetune` gives the network such a head.

    Source: Cao et al. 2019, Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss. Theirs takes
    cosines and multiplies them itself; here the logits come multiplied.

    Args:
        counts: (K,) training samples of each class.
        margin: of the rarest class, between cosines.
        scale: what cosines are multiplied with.
        deferred: share of the training after which classes are weighted by the effective number (DRW: .8); None =
            never.
    """

    def __init__(
        self, counts: Sequence[float], *, margin: float = MARGIN, scale: float = SCALE, deferred: float | None = None
    ) -> None:
        values = checked_counts("ldam", counts).numpy()
        weights = None if deferred is None else effective(values, LATE_BETA)
        margins = margins_of(values, largest=margin, scale=scale)
        super().__init__(margins=margins, class_weights=weights, deferred=deferred)
