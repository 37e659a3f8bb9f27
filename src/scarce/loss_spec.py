"""`LossSpec`: which loss a classifier is trained with, as plain values that the probe and every trainer take."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from scarce.errors import ConfigError

KINDS: Final = ("cross_entropy", "focal")


@dataclass(frozen=True)
class LossSpec:
    """A loss for K classes; all tuples follow ``schema.classes`` order.

    Logits z (N, K), true class y. The trainer computes ``z' = z + prior`` (only in training; predictions use z), then
    ``p = softmax(z')[y]`` and the sample's loss ``class_weights[y] * alpha_y * (1 - p) ** gamma * -log(p)``.

    Args:
        kind: ``cross_entropy`` or ``focal``.
        class_weights: (K,) factor of each class, 1 on average over the training samples; None = all 1.
        prior: (K,) tau * log of the class prior that is added to the logits in training (logit adjustment, balanced
            softmax); None = none.
        gamma: focal exponent >= 0; 0 is cross-entropy.
        alpha: focal factor in (0, 1) of every sample; with two or more classes it scales the whole loss alike, so it
            matters only beside other loss terms; None = 1.
    """

    kind: str = "cross_entropy"
    class_weights: tuple[float, ...] | None = None
    prior: tuple[float, ...] | None = None
    gamma: float = 0.0
    alpha: float | None = None

    def __post_init__(self) -> None:
        """Refuse values that no loss can have."""
        if self.kind not in KINDS:
            raise ConfigError("loss", f"kind = {self.kind!r} is unknown", f"known are {', '.join(KINDS)}")
        if self.gamma < 0 or not math.isfinite(self.gamma):
            raise ConfigError("loss", f"gamma = {self.gamma} is out of range", do="use gamma >= 0; 2 is usual")
        if self.kind == "cross_entropy" and self.gamma:
            raise ConfigError("loss", f"gamma = {self.gamma} needs kind = 'focal'", "kind is 'cross_entropy'")
        if self.alpha is not None and not 0 < self.alpha <= 1:
            raise ConfigError("loss", f"alpha = {self.alpha} is out of range", do="use 0 < alpha <= 1; .25 is usual")
        if self.class_weights is not None and not all(math.isfinite(w) and w >= 0 for w in self.class_weights):
            raise ConfigError("loss", f"class_weights = {self.class_weights} has a negative or infinite value")
        if self.prior is not None and not all(math.isfinite(value) for value in self.prior):
            raise ConfigError("loss", f"prior = {self.prior} is not finite", do="smooth the counts of empty classes")

    @property
    def plain(self) -> bool:
        """Return whether this is ordinary cross-entropy."""
        return self.class_weights is None and self.prior is None and self.gamma == 0.0
