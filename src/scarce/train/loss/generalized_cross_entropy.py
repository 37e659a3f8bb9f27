"""Generalized cross-entropy, for noisy labels."""

from __future__ import annotations

from typing import Any, final

from torch import Tensor

from scarce.errors import ConfigError
from scarce.train.loss._base import ImbalanceLoss


@final
class GeneralizedCrossEntropy(ImbalanceLoss):
    """A sample costs ``(1 - p ** q) / q``: between cross-entropy (q to 0) and mean absolute error (q = 1).

    Wrong labels, which stay improbable, pull less than in cross-entropy. It learns slower; rare classes may be taken
    for noise, so compare it with and without class weights.

    Source: Zhang and Sabuncu 2018, Generalized Cross Entropy Loss, equation 6.

    Args:
        exponent: q in (0, 1].
        others: of :class:`ImbalanceLoss`.
    """

    def __init__(self, *, exponent: float = 0.7, **others: Any) -> None:
        if not 0 < exponent <= 1:
            raise ConfigError("train.loss", f"exponent = {exponent} is out of range", do="use 0 < exponent <= 1")
        super().__init__(**others)
        self.exponent = exponent

    def cost(self, log_probs: Tensor) -> Tensor:
        """Return (N, K) what a sample costs where the class is its true one."""
        return (1 - (self.exponent * log_probs).exp()) / self.exponent
