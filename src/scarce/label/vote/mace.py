"""Annotators who sometimes know and sometimes guess."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np

from scarce.dataset import Array, Floats
from scarce.label._ballot import Ballot, refuse_large, valid_votes
from scarce.label._linear import TINY, Fitted, confusion_of, maximize, probabilities
from scarce.label.vote._base import AbstractVote

WHO: Final = "label.vote.mace"


def fit_mace(
    votes: Array, n_classes: int, *, smoothing: float = 0.1, iterations: int = 100, tolerance: float = 1e-5
) -> Fitted:
    """Return the probability of each class where annotators tell the truth or answer by a habit of their own.

    Annotator j knows with probability t_j and then says the truth; otherwise he answers by his own distribution,
    whatever the truth is. That describes people who click one answer, or at random, with few numbers.

    Args:
        votes: (N, W) class codes, -1 = none.
        n_classes: K.
        smoothing: known answers, and guesses of each class, that each annotator has from the start.
        iterations: passes at most.
        tolerance: stop when less than this share of the votes moved between classes in a pass.

    Returns:
        ``posterior`` (N, K) and ``confusion`` (W, K, K), rows by true class.

    Raises:
        DataError: no vote matrix, an unknown class, or matrices too large to hold.

    Source: Hovy, Berg-Kirkpatrick, Vaswani and Hovy 2013; plain expectation-maximization with class shares learned, in
    place of their variational one with even shares and restarts.
    """
    rows = valid_votes(WHO, votes, n_classes)
    refuse_large(WHO, rows.shape[1], n_classes)
    ballot = Ballot.of(rows, n_classes)
    knows = np.full(rows.shape[1], 0.5)
    habit = np.full((rows.shape[1], n_classes), 1 / n_classes)

    def step(counts: Floats, totals: Floats) -> tuple[Floats, Floats]:
        right = np.einsum("wkk->wk", counts)
        guess = (1 - knows[:, None]) * habit
        lucky = right * guess / np.maximum(knows[:, None] + guess, TINY)
        guessed = counts.sum(axis=2) - right + lucky + max(smoothing, TINY)
        known = (right - lucky).sum(axis=1) + smoothing
        knows[:] = known / (known + guessed.sum(axis=1))
        habit[:] = guessed / guessed.sum(axis=1, keepdims=True)
        table = np.repeat(((1 - knows[:, None]) * habit)[:, :, None], n_classes, axis=2)
        table += knows[:, None, None] * np.eye(n_classes)
        shares = totals + max(smoothing, TINY)
        return np.log(np.maximum(table, TINY)), shares / shares.sum()

    weights, prior, passes = maximize(ballot, step, most=iterations, tolerance=tolerance)
    posterior = probabilities(rows, weights, prior, ballot=ballot)
    return Fitted(posterior, confusion_of(weights), prior, weights, passes)


@final
@dataclass(frozen=True, kw_only=True)
class Mace(AbstractVote):
    """Tell annotators who know from those who click one answer, or any.

    Use where some are suspected not to look at the samples.
    Source: Hovy, Berg-Kirkpatrick, Vaswani and Hovy 2013.

    Args:
        smoothing: known answers, and guesses of each class, that each annotator has from the start.
        iterations: passes at most.
    """

    smoothing: float = 0.1
    iterations: int = 100

    def fit(self, votes: Array, n_classes: int, pred_probs: Array | None = None) -> Fitted:  # noqa: ARG002 - a hook
        """Return the fitted model."""
        return fit_mace(votes, n_classes, smoothing=self.smoothing, iterations=self.iterations)
