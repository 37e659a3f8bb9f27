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
    from scarce.train.loss.cross_entropy import CrossEntropy
    from scarce.train.loss.focal import Focal

_HOME = {
    "BalancedSoftmax": "balanced_softmax",
    "ClassBalanced": "class_balanced",
    "CrossEntropy": "cross_entropy",
    "Focal": "focal",
    "ImbalanceLoss": "_base",
}
__all__ = ["BalancedSoftmax", "ClassBalanced", "CrossEntropy", "Focal", "ImbalanceLoss"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
