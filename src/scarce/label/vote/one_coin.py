"""One number an annotator: how often he is right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np

from scarce.dataset import Array, Floats
from scarce.label._ballot import Ballot, valid_votes
from scarce.label._linear import TINY, Fitted, confusion_of, maximize, probabilities
from scarce.label.vote._base import AbstractVote

WHO: Final = "label.vote.one_coin"


def fit_one_coin(
    votes: Array, n_classes: int, *, smoothing: float = 0.01, iterations: int = 100, tolerance: float = 1e-5
) -> Fitted:
    """Return the probability of each class where annotator j is right with probability p_j, and errs evenly.

    Args:
        votes: (N, W) class codes, -1 = none.
        n_classes: K.
        smoothing: right and wrong votes that each annotator has from the start.
        iterations: passes at most.
        tolerance: stop when less than this share of the votes moved between classes in a pass.

    Returns:
        ``posterior`` (N, K) and ``confusion`` (W, K, K): p_j on the diagonal, the rest spread evenly.

    Raises:
        DataError: no vote matrix, or an unknown class.

    Source: Zhang, Chen, Zhou and Jordan 2014, section 2.
    """
    rows = valid_votes(WHO, votes, n_classes)
    ballot = Ballot.of(rows, n_classes)

    def step(counts: Floats, totals: Floats) -> tuple[Floats, Floats]:
        right = np.einsum("wkk->w", counts) + smoothing
        share = right / np.maximum(counts.sum(axis=(1, 2)) + 2 * smoothing, TINY)
        shares = totals + max(smoothing, TINY)
        return coin_weights(share, n_classes), shares / shares.sum()

    weights, prior, passes = maximize(ballot, step, most=iterations, tolerance=tolerance)
    posterior = probabilities(rows, weights, prior, ballot=ballot)
    return Fitted(posterior, confusion_of(weights), prior, weights, passes)


def coin_weights(accuracy: Floats, n_classes: int) -> Floats:
    """Return (W, K, K) log weights of voters who are right with some probability (W,) and err evenly."""
    right = np.clip(accuracy, TINY, 1 - TINY if n_classes > 1 else 1.0)
    wrong = np.log((1 - right + TINY) / max(n_classes - 1, 1))
    return np.asarray(np.where(np.eye(n_classes, dtype=bool), np.log(right)[:, None, None], wrong[:, None, None]))


@final
@dataclass(frozen=True, kw_only=True)
class OneCoin(AbstractVote):
    """Learn how often each annotator is right, one number each.

    Use with few votes an annotator, or many classes.
    Do not use where annotators mix up certain classes: ``dawid_skene`` learns which.
    Source: Zhang, Chen, Zhou and Jordan 2014.

    Args:
        smoothing: right and wrong votes that each annotator has from the start.
        iterations: passes at most.
    """

    smoothing: float = 0.01
    iterations: int = 100

    def fit(self, votes: Array, n_classes: int, pred_probs: Array | None = None) -> Fitted:  # noqa: ARG002 - a hook
        """Return the fitted model."""
        return fit_one_coin(votes, n_classes, smoothing=self.smoothing, iterations=self.iterations)
