"""Each function weighs as much as it is right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, final

import numpy as np

from scarce.dataset import Array
from scarce.errors import DataError
from scarce.label._ballot import Ballot, valid_votes
from scarce.label._linear import Fitted, confusion_of, first_guess, probabilities
from scarce.label.rule._base import AbstractLabelModel, balance_of, valid_gold
from scarce.label.vote.one_coin import coin_weights

WHO: Final = "label.rule.weighted"


def fit_weighted(votes: Array, n_classes: int, gold: Array | None = None, *, smoothing: float = 2.0) -> Fitted:
    """Return the probability of each class where functions err independently and as often as they were seen to.

    How often is counted on gold labels where there are any, else against the shares of the votes of each sample, the
    function's own included. A function that is no better than chance has no weight.

    Args:
        votes: (N, m) class codes, -1 = abstained.
        n_classes: K.
        gold: (N,) right codes, -1 = not known.
        smoothing: votes of the mean function that each function has from the start.

    Raises:
        DataError: no vote matrix, an unknown class, or gold of another length.

    Source: Nitzan and Paroush 1982 (the best weight of an independent voter is the logarithm of its odds).
    """
    rows = valid_votes(WHO, votes, n_classes)
    known = np.full(len(rows), -1) if gold is None else np.asarray(gold)
    if len(valid_gold(WHO, gold, n_classes)) and known.shape != (len(rows),):
        raise DataError(WHO, f"gold has shape {known.shape}", f"there are {len(rows)} samples")
    ballot = Ballot.of(rows, n_classes)
    counts, _ = first_guess(ballot)
    right, cast = np.einsum("wkk->w", counts), counts.sum(axis=(1, 2))
    if (known >= 0).any():
        part = rows[known >= 0]
        right = (part == known[known >= 0][:, None]).sum(axis=0).astype(float)
        cast = (part >= 0).sum(axis=0).astype(float)
    mean = right.sum() / cast.sum() if cast.sum() else 1 / n_classes
    accuracy = (right + smoothing * mean) / (cast + smoothing)
    weights = coin_weights(np.clip(accuracy, 1 / n_classes, 1 - 1e-3), n_classes)
    prior = balance_of(WHO, n_classes, (), gold, np.full(n_classes, 1 / n_classes))
    posterior = probabilities(rows, weights, prior, ballot=ballot)
    return Fitted(posterior, confusion_of(weights), prior, weights)


@final
@dataclass(frozen=True, kw_only=True)
class Weighted(AbstractLabelModel):
    """Weigh each function by the logarithm of its odds of being right, counted on gold labels if there are some.

    Use with a few dozen gold labels or more.
    Source: Nitzan and Paroush 1982.

    Args:
        smoothing: votes of the mean function that each function has from the start.
    """

    learns_from_gold: ClassVar[bool] = True
    smoothing: float = 2.0

    def fit(self, votes: Array, n_classes: int, gold: Array | None = None) -> Fitted:
        """Return the fitted model."""
        return fit_weighted(votes, n_classes, gold, smoothing=self.smoothing)
