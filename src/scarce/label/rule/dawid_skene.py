"""Each labelling function has a confusion matrix of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from scarce.dataset import Array
from scarce.label._linear import Fitted
from scarce.label.rule._base import AbstractLabelModel
from scarce.label.vote.dawid_skene import fit_dawid_skene

__all__ = ["DawidSkene", "fit_dawid_skene"]


@final
@dataclass(frozen=True, kw_only=True)
class DawidSkene(AbstractLabelModel):
    """Learn each function's confusion matrix together with the truth, by expectation-maximization.

    Use with many samples and functions that err apart from each other.
    Do not use where several functions look at the same words: they count as if they were independent witnesses.
    Source: Dawid and Skene 1979.

    Args:
        smoothing: votes that each cell of a confusion matrix has from the start.
        iterations: passes at most.
        silence_tells: whether abstaining is an answer like any other; functions that only ever name one class can be
            told from each other by nothing else.
    """

    smoothing: float = 0.01
    iterations: int = 100
    silence_tells: bool = True

    def fit(self, votes: Array, n_classes: int, gold: Array | None = None) -> Fitted:  # noqa: ARG002 - a hook
        """Return the fitted model."""
        return fit_dawid_skene(
            votes, n_classes, smoothing=self.smoothing, iterations=self.iterations, silence_tells=self.silence_tells
        )
