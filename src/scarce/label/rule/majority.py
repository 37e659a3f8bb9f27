"""The share of the functions that name a class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from scarce.dataset import Array
from scarce.label._linear import Fitted
from scarce.label.rule._base import AbstractLabelModel
from scarce.label.vote.majority import fit_majority

__all__ = ["Majority", "fit_majority"]


@final
@dataclass(frozen=True, kw_only=True)
class Majority(AbstractLabelModel):
    """Count the functions; each counts alike.

    Use with few functions, or without gold labels to compare models on.
    """

    def fit(self, votes: Array, n_classes: int, gold: Array | None = None) -> Fitted:  # noqa: ARG002 - a hook
        """Return the shares."""
        return fit_majority(votes, n_classes)
