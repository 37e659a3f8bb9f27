"""Symmetric cross-entropy, for noisy labels."""

from __future__ import annotations

from typing import Any, Final, final

from torch import Tensor

from scarce.errors import ConfigError
from scarce.train.loss._base import ImbalanceLoss

LOG_ZERO: Final = -4.0
"""What the logarithm of a target of 0 counts as (A of the paper)."""


@final
class SymmetricCrossEntropy(ImbalanceLoss):
    """Cross-entropy and, added to it, the cross-entropy with target and answer in exchanged places.

    For a hard label the reverse part is ``-A * (1 - p)``: bounded, so that a wrong label cannot pull without end.

    Source: Wang et al. 2019, Symmetric Cross Entropy for Robust Learning with Noisy Labels, equation 7 (A = -4).

    Args:
        shares: factors of cross-entropy (alpha) and of its reverse (beta).
        others: of :class:`ImbalanceLoss`.
    """

    def __init__(self, *, shares: tuple[float, float] = (0.1, 1.0), **others: Any) -> None:
        if min(shares) < 0 or not any(shares):
            raise ConfigError(
                "train.loss", f"shares = {shares} are out of range", do="use two numbers >= 0, not both 0"
            )
        super().__init__(**others)
        self.shares = shares

    def cost(self, log_probs: Tensor) -> Tensor:
        """Return (N, K) what a sample costs where the class is its true one."""
        return self.shares[0] * -log_probs - self.shares[1] * LOG_ZERO * (1 - log_probs.exp())
