"""Inverse-frequency class weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from scarce.dataset import Floats
from scarce.errors import ConfigError
from scarce.loss_spec import LossSpec
from scarce.rebalance._base import AbstractRebalance, Adjustment, Counts, checked_counts, normalized


@final
@dataclass(frozen=True, kw_only=True)
class ClassWeight(AbstractRebalance):
    """Weigh each class by the inverse of its size.

    Use when the imbalance is mild (10:1 to 50:1) and the model is simple; compare with balanced softmax.
    Do not use when a class has a handful of samples: its noise gets a huge weight. On CIFAR-10-LT at 100:1 plain
    training reached 70.4 %, class weights 68.3 %, balanced softmax 77.5 %.
    Needs: class counts.
    Writes: loss.class_weights (K,), 1 on average over the training samples.
    Source: King and Zeng 2001; scikit-learn's ``class_weight="balanced"`` is power 1.

    Args:
        power: exponent of the inverse frequency in [0, 1]; 1 gives every class the same say, .5 is milder.
    """

    power: float = 1.0

    def _check(self) -> None:
        """Refuse an exponent outside [0, 1]."""
        if not 0 <= self.power <= 1:
            raise ConfigError("rebalance.class_weight", f"power = {self.power} is out of range", do="use 0 to 1")

    def adjust(self, counts: Counts) -> Adjustment:
        """Return the loss with class weights."""
        weights = class_weights(counts, power=self.power)
        return Adjustment(LossSpec(class_weights=tuple(weights.tolist())))


def class_weights(counts: Counts, *, power: float = 1.0) -> Floats:
    """Return (K,) weights ``counts ** -power``, 1 on average over the samples; empty classes get 1."""
    values = checked_counts(counts, "class_weight")
    return normalized(np.maximum(values, 1e-12) ** -power, values)
