"""`LossSpec`: which loss a classifier is trained with, as plain values that the probe and every trainer take."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

from scarce.errors import ConfigError

KINDS: Final = (
    "cross_entropy", "focal", "ldam", "generalized_cross_entropy", "symmetric_cross_entropy", "expected_cost",
)  # fmt: skip
CONVEX: Final = ("cross_entropy", "focal")
"""Kinds that a linear probe can be trained with; networks take all."""


@dataclass(frozen=True)
class LossSpec:
    """A loss for K classes; all tuples follow ``schema.classes`` order.

    Logits z (N, K), true class y. The trainer computes ``z' = z + prior`` (only in training; predictions use z), then
    ``p = softmax(z')[y]`` and the sample's loss ``class_weights[y] * alpha_y * (1 - p) ** gamma * -log(p)``.

    The other kinds replace ``-log(p)``; their files in :mod:`scarce.train.loss` say by what.

    Args:
        kind: ``cross_entropy``, ``focal``, ``ldam``, ``generalized_cross_entropy``, ``symmetric_cross_entropy`` or
            ``expected_cost``.
        class_weights: (K,) factor of each class, 1 on average over the training samples; None = all 1.
        prior: (K,) tau * log of the class prior that is added to the logits in training (logit adjustment, balanced
            softmax); None = none.
        moved: (K,) that is taken off the logits after training (threshold moving); None = nothing.
        gamma: focal exponent >= 0; 0 is cross-entropy.
        alpha: focal factor in (0, 1) of every sample; with two or more classes it scales the whole loss alike, so it
            matters only beside other loss terms; None = 1.
        deferred: share of the training before which class weights are not used (deferred re-weighting); None = 0.
        smoothing: share of the target that is spread over all classes, in [0, 1).
        margins: (K,) by which the true class must win, in logits (ldam).
        exponent: q of generalized cross-entropy, in (0, 1].
        shares: factors of cross-entropy and of reverse cross-entropy (symmetric cross-entropy).
        costs: (K, K) cost of answering the column where the row is true (expected_cost).
    """

    kind: str = "cross_entropy"
    class_weights: tuple[float, ...] | None = None
    prior: tuple[float, ...] | None = None
    moved: tuple[float, ...] | None = None
    gamma: float = 0.0
    alpha: float | None = None
    deferred: float | None = None
    smoothing: float = 0.0
    margins: tuple[float, ...] | None = None
    exponent: float = 0.7
    shares: tuple[float, float] = (0.1, 1.0)
    costs: tuple[tuple[float, ...], ...] | None = None

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
        self._check_other_kinds()
        if self.class_weights is not None and not all(math.isfinite(w) and w >= 0 for w in self.class_weights):
            raise ConfigError("loss", f"class_weights = {self.class_weights} has a negative or infinite value")
        if self.prior is not None and not all(math.isfinite(value) for value in self.prior):
            raise ConfigError("loss", f"prior = {self.prior} is not finite", do="smooth the counts of empty classes")

        if self.moved is not None and not all(math.isfinite(value) for value in self.moved):
            raise ConfigError("loss", f"moved = {self.moved} is not finite", do="smooth the counts of empty classes")

    def _check_other_kinds(self) -> None:
        if self.deferred is not None and not 0 <= self.deferred < 1:
            raise ConfigError("loss", f"deferred = {self.deferred} is out of range", do="use 0 <= deferred < 1")
        if not 0 <= self.smoothing < 1:
            raise ConfigError("loss", f"smoothing = {self.smoothing} is out of range", do="use 0 <= smoothing < 1")
        if not 0 < self.exponent <= 1:
            raise ConfigError("loss", f"exponent = {self.exponent} is out of range", do="use 0 < exponent <= 1")
        if not all(0 <= share < math.inf for share in self.shares) or not any(self.shares):
            raise ConfigError("loss", f"shares = {self.shares} are out of range", do="use two numbers >= 0, not both 0")
        for kind, field in (("ldam", "margins"), ("expected_cost", "costs")):
            if (self.kind == kind) != (getattr(self, field) is not None):
                raise ConfigError("loss", f"{field} and kind = {kind!r} belong together", f"kind is {self.kind!r}")
        if self.margins is not None and not all(0 <= value < math.inf for value in self.margins):
            raise ConfigError("loss", f"margins = {self.margins} are out of range", do="use numbers >= 0")
        rows = self.costs or ()
        if any(len(row) != len(rows) or not all(0 <= value < math.inf for value in row) for row in rows):
            raise ConfigError("loss", f"costs = {self.costs} are no (K, K) numbers >= 0")

    @property
    def plain(self) -> bool:
        """Return whether this is ordinary cross-entropy."""
        plain = self.class_weights is None and self.prior is None and self.gamma == 0.0
        return plain and self.kind in CONVEX and not self.smoothing and self.moved is None

    @property
    def folded(self) -> LossSpec:
        """Return the same with what is moved after training added to the logits in training instead.

        For networks: both have the same optimum (Menon et al. 2021, section 4), and a network's head is not the only
        thing that adapts.
        """
        if self.moved is None:
            return self
        before = self.prior or (0.0,) * len(self.moved)
        return replace(self, prior=tuple(a + b for a, b in zip(before, self.moved, strict=True)), moved=None)
