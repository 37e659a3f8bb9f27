"""The frame of a consensus method: votes in, probabilities and annotators' confusion matrices out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from scarce.dataset import Array
from scarce.label._linear import Fitted
from scarce.registry import Plugin


@dataclass(frozen=True, kw_only=True)
class AbstractVote(Plugin, ABC):
    """Base of every way to make one label out of several annotators' votes."""

    with_model: ClassVar[bool] = False
    """Whether it wants a model's out-of-sample probabilities beside the votes."""

    @abstractmethod
    def fit(self, votes: Array, n_classes: int, pred_probs: Array | None = None) -> Fitted:
        """Return what the votes say.

        Args:
            votes: (N, W) class codes, -1 = none.
            n_classes: K.
            pred_probs: (N, K) out-of-sample probabilities of a model; only where ``with_model`` is true.
        """
