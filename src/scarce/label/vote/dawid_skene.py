"""Dawid and Skene's model: each annotator has a confusion matrix of his own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np

from scarce.dataset import Array, Floats
from scarce.label._ballot import Ballot, refuse_large, valid_votes
from scarce.label._linear import TINY, Fitted, after_silence, confusion_of, maximize, probabilities, smoothed
from scarce.label.vote._base import AbstractVote

WHO: Final = "label.vote.dawid_skene"


def fit_dawid_skene(
    votes: Array, n_classes: int, *, smoothing: float = 0.01, iterations: int = 100, tolerance: float = 1e-5,
    silence_tells: bool = False,
) -> Fitted:  # fmt: skip
    """Return the probability of each class and each annotator's confusion matrix, by expectation-maximization.

    Args:
        votes: (N, W) class codes, -1 = none.
        n_classes: K.
        smoothing: votes that each cell of each confusion matrix has from the start.
        iterations: passes at most.
        tolerance: stop when less than this share of the votes moved between classes in a pass.
        silence_tells: whether giving no vote is an answer like any other, as with labelling functions; for people, who
            did not see every sample, it is not.

    Returns:
        ``posterior`` (N, K) and ``confusion`` (W, K, K), rows by true class; unpacks as these two.

    Raises:
        DataError: no vote matrix, an unknown class, or matrices too large to hold.

    Source: Dawid and Skene 1979; the start is the share of the votes.

    Example:
        >>> import numpy as np
        >>> posterior, confusion = fit_dawid_skene(np.array([[0, 0, 1], [1, 1, 1], [0, 0, 0]]), 2)
        >>> posterior.argmax(axis=1).tolist()
        [0, 1, 0]
    """
    rows = valid_votes(WHO, votes, n_classes)
    refuse_large(WHO, rows.shape[1], n_classes)
    ballot = Ballot.of(rows, n_classes)

    mute = float(ballot.times[np.diff(ballot.starts) == 0].sum()) if silence_tells else 0.0
    state = {"prior": np.full(n_classes, 1 / n_classes), "silence": np.zeros(n_classes)}

    def step(counts: Floats, totals: Floats) -> tuple[Floats, Floats]:
        if not silence_tells:
            shares = totals + max(smoothing, TINY)
            return np.log(smoothed(counts, smoothing)), shares / shares.sum()
        totals = totals + mute * after_silence(state["prior"], state["silence"]) + max(smoothing, TINY)
        state["prior"] = totals / totals.sum()
        silent = np.maximum(totals - counts.sum(axis=1), 0) + smoothing
        every = totals + (n_classes + 1) * smoothing
        state["silence"] = np.log(np.maximum(silent / every, TINY)).sum(axis=0)
        weights = np.log((counts + max(smoothing, TINY)) / np.maximum(silent, TINY)[:, None, :])
        return weights, after_silence(state["prior"], state["silence"])

    weights, prior, passes = maximize(ballot, step, most=iterations, tolerance=tolerance)
    posterior = probabilities(rows, weights, prior, ballot=ballot)
    if not silence_tells:
        return Fitted(posterior, confusion_of(weights), prior, weights, passes)
    confusion = np.exp(weights - weights.max(axis=1, keepdims=True))
    confusion = np.ascontiguousarray((confusion / confusion.sum(axis=1, keepdims=True)).transpose(0, 2, 1))
    return Fitted(posterior, confusion, state["prior"], weights, passes, silence=state["silence"])


@final
@dataclass(frozen=True, kw_only=True)
class DawidSkene(AbstractVote):
    """Learn each annotator's confusion matrix together with the truth.

    Use when annotators differ in skill or in which classes they mix up, and each gave some tens of votes.
    Do not use with a handful of votes an annotator: ``one_coin`` has one number for each to learn.
    Source: Dawid and Skene 1979.

    Args:
        smoothing: votes that each cell of a confusion matrix has from the start.
        iterations: passes at most.
    """

    smoothing: float = 0.01
    iterations: int = 100

    def fit(self, votes: Array, n_classes: int, pred_probs: Array | None = None) -> Fitted:  # noqa: ARG002 - a hook
        """Return the fitted model."""
        return fit_dawid_skene(votes, n_classes, smoothing=self.smoothing, iterations=self.iterations)
