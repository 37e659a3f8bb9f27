"""The share of the votes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np

from scarce.dataset import Array
from scarce.label._ballot import Ballot, valid_votes
from scarce.label._linear import Fitted, confusion_given, first_guess, probabilities
from scarce.label.vote._base import AbstractVote

WHO: Final = "label.vote.majority"


def fit_majority(votes: Array, n_classes: int) -> Fitted:
    """Return each class's share of a sample's votes; all annotators count alike.

    Args:
        votes: (N, W) class codes, -1 = none.
        n_classes: K.

    Returns:
        ``posterior`` (N, K): shares, tied classes tie; the shares of all votes where nobody voted. ``confusion``
        (W, K, K) counts each annotator against those shares, his own vote included.

    Raises:
        DataError: no vote matrix, or an unknown class.
    """
    rows = valid_votes(WHO, votes, n_classes)
    ballot = Ballot.of(rows, n_classes)
    totals = first_guess(ballot)[1]
    prior = (totals + 1e-12) / (totals + 1e-12).sum()
    weights = np.broadcast_to(np.eye(n_classes), (rows.shape[1], n_classes, n_classes))
    posterior = probabilities(rows, weights, prior, shares=True, ballot=ballot)
    return Fitted(posterior, confusion_given(ballot, weights, prior, shares=True), prior, weights, shares=True)


@final
@dataclass(frozen=True, kw_only=True)
class Majority(AbstractVote):
    """Count the votes; every annotator counts alike.

    Use with few votes an annotator, or where all are about as good.
    Do not use where some answer carelessly: their votes weigh as much as anybody's.
    """

    def fit(self, votes: Array, n_classes: int, pred_probs: Array | None = None) -> Fitted:  # noqa: ARG002 - a hook
        """Return the shares."""
        return fit_majority(votes, n_classes)
