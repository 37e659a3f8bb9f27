"""Losses for imbalanced classes as ``torch.nn.Module``: ``loss(logits, target, weight=None) -> scalar``.

``target`` is (N,) codes or (N, K) soft labels, ``weight`` (N,) sample weights. Predictions use the plain logits: what a
loss adds to them (the prior of balanced softmax) is for training only.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scarce.train.loss._base import ImbalanceLoss
    from scarce.train.loss.balanced_softmax import BalancedSoftmax
    from scarce.train.loss.class_balanced import ClassBalanced
    from scarce.train.loss.class_balanced_focal import ClassBalancedFocal
    from scarce.train.loss.cross_entropy import CrossEntropy
    from scarce.train.loss.deferred import Deferred
    from scarce.train.loss.expected_cost import ExpectedCost
    from scarce.train.loss.focal import Focal
    from scarce.train.loss.generalized_cross_entropy import GeneralizedCrossEntropy
    from scarce.train.loss.label_smoothing import LabelSmoothing
    from scarce.train.loss.ldam import Ldam
    from scarce.train.loss.logit_adjustment import LogitAdjustment
    from scarce.train.loss.symmetric_cross_entropy import SymmetricCrossEntropy

_HOME = {
    "BalancedSoftmax": "balanced_softmax",
    "ClassBalanced": "class_balanced",
    "ClassBalancedFocal": "class_balanced_focal",
    "CrossEntropy": "cross_entropy",
    "Deferred": "deferred",
    "ExpectedCost": "expected_cost",
    "Focal": "focal",
    "GeneralizedCrossEntropy": "generalized_cross_entropy",
    "ImbalanceLoss": "_base",
    "LabelSmoothing": "label_smoothing",
    "Ldam": "ldam",
    "LogitAdjustment": "logit_adjustment",
    "SymmetricCrossEntropy": "symmetric_cross_entropy",
}
__all__ = [
    "BalancedSoftmax", "ClassBalanced", "ClassBalancedFocal", "CrossEntropy", "Deferred",
    "ExpectedCost", "Focal", "GeneralizedCrossEntropy", "ImbalanceLoss", "LabelSmoothing", "Ldam",
    "LogitAdjustment", "SymmetricCrossEntropy",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOME]
