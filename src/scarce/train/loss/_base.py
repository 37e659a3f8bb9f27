"""The loss that a :class:`~scarce.loss_spec.LossSpec` describes; the named losses are special cases of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn

from scarce.errors import DataError
from scarce.loss_spec import LossSpec


class ImbalanceLoss(nn.Module):
    """Cross-entropy with class weights, a prior on the logits, a focal exponent and label smoothing, in any mix.

    With z' = logits + prior and p = softmax(z'), a sample costs
    ``sum_k target_k * class_weights_k * alpha * (1 - p_k) ** gamma * -log p_k``; the batch costs the mean weighted by
    ``weight``.

    Args:
        class_weights: (K,) factors; None = 1.
        prior: (K,) added to the logits in training; None = 0.
        gamma: focal exponent >= 0.
        alpha: factor of the whole loss.
        label_smoothing: share of the target that is spread over all classes, in [0, 1).
    """

    class_weights: Tensor | None
    prior: Tensor | None

    def __init__(
        self, *, class_weights: Sequence[float] | None = None, prior: Sequence[float] | None = None,
        gamma: float = 0.0, alpha: float = 1.0, label_smoothing: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.gamma, self.alpha, self.label_smoothing = gamma, alpha, label_smoothing
        for name, values in (("class_weights", class_weights), ("prior", prior)):
            held = None if values is None else torch.as_tensor(list(values), dtype=torch.float32)
            self.register_buffer(name, held)

    @classmethod
    def from_spec(cls, spec: LossSpec, *, label_smoothing: float = 0.0) -> Self:
        """Build the loss of a specification."""
        return cls(
            class_weights=spec.class_weights, prior=spec.prior, gamma=spec.gamma, alpha=spec.alpha or 1.0,
            label_smoothing=label_smoothing,
        )  # fmt: skip

    def forward(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the mean loss.

        Args:
            logits: (N, K).
            target: (N,) int64 codes or (N, K) soft labels.
            weight: (N,) sample weights >= 0.
        """
        logits = logits.float()
        n_classes = logits.shape[1]
        soft = nn.functional.one_hot(target, n_classes).float() if target.ndim == 1 else target.float()
        if self.label_smoothing:
            soft = soft * (1 - self.label_smoothing) + self.label_smoothing / n_classes
        if self.prior is not None:
            logits = logits + self.prior
        log_probs = logits.log_softmax(1)
        if self.class_weights is not None:
            soft = soft * self.class_weights
        if self.gamma:
            soft = soft * (1 - log_probs.exp()).clamp_min(1e-12) ** self.gamma
        cost = -self.alpha * (soft * log_probs).sum(1)
        return cost.mean() if weight is None else (cost * weight).sum() / weight.sum().clamp_min(1e-12)


def checked_counts(who: str, counts: Sequence[float]) -> Tensor:
    """Return (K,) counts.

    Raises:
        DataError: a count is negative, or all are 0.
    """
    values = torch.as_tensor(list(counts), dtype=torch.float64)
    if values.ndim != 1 or not len(values) or bool((values < 0).any()) or float(values.sum()) <= 0:
        raise DataError(f"train.loss.{who}", f"counts {list(counts)}", do="give one count >= 0 per class, not all 0")
    return values
