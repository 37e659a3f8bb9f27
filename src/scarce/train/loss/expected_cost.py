"""The expected cost of the answer, by a cost matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import torch
from torch import Tensor

from scarce.errors import ConfigError
from scarce.train.loss._base import ImbalanceLoss


@final
class ExpectedCost(ImbalanceLoss):
    """Cross-entropy plus what the answers cost on average: ``-log p_y + sum_j costs[y, j] * p_j``.

    Use where errors differ in price in kind, and not only by class: a crack taken for a scratch, and a scratch for a
    crack. Where calibrated probabilities are at hand, ``scarce.rebalance.threshold.cheapest`` needs no training.

    Source: Galdran et al. 2020, Cost-Sensitive Regularization, equation 4.

    Args:
        costs: (K, K) cost of answering the column where the row is true, >= 0.
        others: of :class:`ImbalanceLoss`.
    """

    costs: Tensor

    def __init__(self, costs: Sequence[Sequence[float]], **others: Any) -> None:
        super().__init__(**others)
        if any(len(row) != len(costs) or min(row) < 0 for row in costs) or not costs:
            raise ConfigError("train.loss", f"costs = {[list(row) for row in costs]} are no (K, K) numbers >= 0")
        self.register_buffer("costs", torch.tensor([list(row) for row in costs], dtype=torch.float32))

    def cost(self, log_probs: Tensor) -> Tensor:
        """Return (N, K) what a sample costs where the class is its true one."""
        return -log_probs + log_probs.exp() @ self.costs.T.to(log_probs.dtype)
