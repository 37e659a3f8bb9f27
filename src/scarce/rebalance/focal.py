"""Focal loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from scarce.dataset import Array, Floats
from scarce.loss_spec import LossSpec
from scarce.rebalance._base import AbstractRebalance, Adjustment, Counts, checked_counts


@final
@dataclass(frozen=True, kw_only=True)
class Focal(AbstractRebalance):
    """Let samples that are already answered well count less, so that training looks at the hard ones.

    Use when easy majority samples drown the rest, as with detectors and ratios of 50:1 and more.
    Do not use when labels are noisy: wrong labels are the hardest samples of all. Clean first.
    Needs: nothing; it does not use the class counts.
    Writes: loss.kind = focal, loss.gamma, loss.alpha.
    Source: Lin, Goyal, Girshick, He and Dollar 2017, Focal Loss for Dense Object Detection, eq. 5. Theirs is for two
    classes, where alpha weighs object against ground; with K classes one alpha scales every sample alike.

    Args:
        gamma: >= 0; how fast an easy sample's weight falls.
        alpha: in (0, 1]; factor of the loss.
    """

    gamma: float = 2.0
    alpha: float = 0.25

    def _check(self) -> None:
        """Refuse what no focal loss can have."""
        LossSpec(kind="focal", gamma=self.gamma, alpha=self.alpha)

    def adjust(self, counts: Counts) -> Adjustment:
        """Return the focal loss."""
        checked_counts(counts, "focal")
        return Adjustment(LossSpec(kind="focal", gamma=self.gamma, alpha=self.alpha))


def focal_loss(probs: Array, labels: Array, *, gamma: float = 2.0, alpha: float = 0.25) -> Floats:
    """Return (N,) losses ``-alpha * (1 - p) ** gamma * log(p)`` with p the probability of the true class.

    Args:
        probs: (N, K) probabilities.
        labels: (N,) codes.
        gamma: focal exponent.
        alpha: factor.
    """
    p = np.clip(np.asarray(probs, np.float64)[np.arange(len(labels)), labels], 1e-12, 1.0)
    loss: Floats = -alpha * (1 - p) ** gamma * np.log(p)
    return loss
