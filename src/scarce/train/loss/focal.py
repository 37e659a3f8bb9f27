"""Focal loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from scarce.train.loss._base import ImbalanceLoss


@final
class Focal(ImbalanceLoss):
    """Focal loss: what is answered rightly and surely already counts little.

    Source: Lin et al. 2017 (there for one class against the background; here over a softmax).

    Args:
        gamma: exponent >= 0; 0 is cross-entropy, 2 is usual.
        alpha: factor of the whole loss.
        class_weights: (K,) factors; None = 1.
    """

    def __init__(
        self, *, gamma: float = 2.0, alpha: float = 0.25, class_weights: Sequence[float] | None = None
    ) -> None:
        super().__init__(gamma=gamma, alpha=alpha, class_weights=class_weights)
