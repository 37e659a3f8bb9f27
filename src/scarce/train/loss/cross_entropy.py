"""Cross-entropy, plain or with class weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from scarce.train.loss._base import ImbalanceLoss


@final
class CrossEntropy(ImbalanceLoss):
    """Cross-entropy; with ``class_weights`` the rare classes cost more.

    Args:
        class_weights: (K,) factors; None = 1.
        label_smoothing: in [0, 1).
    """

    def __init__(self, *, class_weights: Sequence[float] | None = None, label_smoothing: float = 0.0) -> None:
        super().__init__(class_weights=class_weights, label_smoothing=label_smoothing)
