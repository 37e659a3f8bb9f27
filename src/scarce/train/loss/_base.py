"""The loss that a :class:`~scarce.loss_spec.LossSpec` describes; the named losses are special cases of it."""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn

from scarce.errors import ConfigError, DataError
from scarce.loss_spec import LossSpec


class ImbalanceLoss(nn.Module):
    """Cross-entropy with class weights, a prior on the logits, a focal exponent and label smoothing, in any mix.

    With z' = logits + prior - target * margins and p = softmax(z'), a sample costs
    ``sum_k target_k * class_weights_k * alpha * (1 - p_k) ** gamma * -log p_k``; the batch costs the mean weighted by
    ``weight``. Other losses put another cost in the place of ``(1 - p_k) ** gamma * -log p_k``.

    Args:
        class_weights: (K,) factors; None = 1.
        prior: (K,) added to the logits in training; None = 0.
        gamma: focal exponent >= 0.
        alpha: factor of the whole loss.
        label_smoothing: share of the target that is spread over all classes, in [0, 1).
        margins: (K,) that the true class's logit is lowered by in training; None = 0.
        deferred: share of the training before which class weights are not used; a training loop tells by ``at``.
    """

    class_weights: Tensor | None
    prior: Tensor | None
    margins: Tensor | None

    def __init__(  # noqa: PLR0913  one knob each
        self, *, class_weights: Sequence[float] | None = None, prior: Sequence[float] | None = None,
        gamma: float = 0.0, alpha: float = 1.0, label_smoothing: float = 0.0, margins: Sequence[float] | None = None,
        deferred: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        numbers: tuple[tuple[str, Any], ...] = (("gamma", gamma), ("alpha", alpha))
        for name, number in numbers:
            if isinstance(number, bool) or not isinstance(number, Real) or not 0 <= float(number) < math.inf:
                more = "; factors of single classes are class_weights" if name == "alpha" else ""
                raise ConfigError("train.loss", f"{name} = {number!r}", do=f"use one number >= 0{more}")
        self.gamma, self.alpha, self.label_smoothing, self.deferred = gamma, alpha, label_smoothing, deferred
        self.progress = 1.0
        for name, values in (("class_weights", class_weights), ("prior", prior), ("margins", margins)):
            if values is not None and not all(math.isfinite(value) for value in values):
                raise ConfigError("train.loss", f"{name} = {list(values)} are not all finite")
            if values is not None and name != "prior" and min(values) < 0:
                raise ConfigError("train.loss", f"{name} = {list(values)} has a value below 0", do="use numbers >= 0")
            held = None if values is None else torch.as_tensor(list(values), dtype=torch.float32)
            self.register_buffer(name, held)

    @classmethod
    def from_spec(cls, spec: LossSpec, *, label_smoothing: float = 0.0) -> ImbalanceLoss:
        """Build the loss of a specification; its own smoothing goes before the given one."""
        made: ImbalanceLoss = _kind(spec)(
            class_weights=spec.class_weights, prior=spec.prior, gamma=spec.gamma, alpha=spec.alpha or 1.0,
            label_smoothing=spec.smoothing or label_smoothing, margins=spec.margins, deferred=spec.deferred,
            **_own_settings(spec),
        )  # fmt: skip
        return made

    def at(self, progress: float) -> None:
        """Say how much of the training is over, in [0, 1]: deferred class weights wait for their time."""
        self.progress = progress

    def cost(self, log_probs: Tensor) -> Tensor:
        """Return (N, K) what a sample costs where the class is its true one."""
        out = -log_probs
        return out * (1 - log_probs.exp()).clamp_min(1e-12) ** self.gamma if self.gamma else out

    def forward(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the mean loss: in float64 where the logits are, else in float32.

        Args:
            logits: (N, K).
            target: (N,) int64 codes or (N, K) soft labels.
            weight: (N,) finite sample weights >= 0.

        Raises:
            DataError: shapes that do not fit, codes outside the classes, or weights that are no weights.
        """
        self._check(logits, target)
        _check_weight(weight, len(logits))
        logits = logits if logits.dtype == torch.float64 else logits.float()
        n_classes = logits.shape[1]
        soft = (nn.functional.one_hot(target.long(), n_classes) if target.ndim == 1 else target).to(logits.dtype)
        if self.label_smoothing:
            soft = soft * (1 - self.label_smoothing) + self.label_smoothing / n_classes
        if self.prior is not None:
            logits = logits + self.prior
        if self.margins is not None:
            logits = logits - soft * self.margins
        each = self.cost(logits.log_softmax(1))
        if self.class_weights is not None and self.progress >= (self.deferred or 0.0):
            soft = soft * self.class_weights
        cost = self.alpha * (soft * each).sum(1)
        return cost.mean() if weight is None else (cost * weight).sum() / weight.sum().clamp_min(1e-12)

    def _check(self, logits: Tensor, target: Tensor) -> None:
        """Refuse what does not fit; codes are looked at where that costs no waiting for a device."""
        who = "train.loss"
        fits = logits.ndim == 2 and (tuple(target.shape) in {(len(logits),), tuple(logits.shape)})
        if not fits:
            raise DataError(who, f"logits of shape {tuple(logits.shape)} for a target of shape {tuple(target.shape)}",
                            do="give (N, K) logits, and (N,) codes or (N, K) shares")  # fmt: skip
        n_classes = logits.shape[1]
        for name in ("class_weights", "prior", "margins"):
            held = getattr(self, name)
            if held is not None and len(held) != n_classes:
                raise DataError(who, f"{len(held)} {name}", f"the logits have {n_classes} classes",
                                "give one for each class")  # fmt: skip
        if target.ndim > 1:
            return
        if target.is_floating_point() or target.is_complex() or target.dtype == torch.bool:
            raise DataError(who, f"a target of type {target.dtype} holds no codes", do="give int64 codes")
        if target.device.type == "cpu" and len(target) and not 0 <= int(target.min()) <= int(target.max()) < n_classes:
            found = f"codes reach from {int(target.min())} to {int(target.max())}"
            raise DataError(who, "a target is outside the classes", f"{found}, and there are {n_classes} classes",
                            "leave unlabelled samples out")  # fmt: skip


def _check_weight(weight: Tensor | None, rows: int) -> None:
    """Refuse what are no weights of samples; numbers are looked at where that costs no waiting for a device."""
    if weight is None:
        return
    who = "train.loss"
    if tuple(weight.shape) != (rows,):
        raise DataError(who, f"weights of shape {tuple(weight.shape)} for {rows} samples",
                        do=f"give one weight for each sample, of shape ({rows},)")  # fmt: skip
    if weight.device.type == "cpu" and not bool((weight.isfinite() & (weight >= 0)).all()):
        found = "is negative" if bool((weight < 0).any()) else "is not finite"
        raise DataError(who, f"a weight {found}", do="give finite weights >= 0")


def _kind(spec: LossSpec) -> Any:
    """Return the class whose cost a kind has; cross-entropy, focal and ldam are the base itself."""
    if spec.kind in ("cross_entropy", "focal", "ldam"):
        return ImbalanceLoss
    module = importlib.import_module(f"scarce.train.loss.{spec.kind}")
    return getattr(module, "".join(part.capitalize() for part in spec.kind.split("_")))


def _own_settings(spec: LossSpec) -> dict[str, Any]:
    if spec.kind == "generalized_cross_entropy":
        return {"exponent": spec.exponent}
    if spec.kind == "symmetric_cross_entropy":
        return {"shares": spec.shares}
    return {"costs": spec.costs} if spec.kind == "expected_cost" else {}


def checked_counts(who: str, counts: Sequence[float]) -> Tensor:
    """Return (K,) counts.

    Raises:
        DataError: a count is negative, or all are 0.
    """
    values = torch.as_tensor(list(counts), dtype=torch.float64)
    if values.ndim != 1 or not len(values) or bool((values < 0).any()) or float(values.sum()) <= 0:
        raise DataError(f"train.loss.{who}", f"counts {list(counts)}", do="give one count >= 0 per class, not all 0")
    return values
