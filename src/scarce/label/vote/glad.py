"""Annotators of different skill, samples of different difficulty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np

from scarce.dataset import Array
from scarce.label._ballot import valid_votes
from scarce.label._linear import Fitted
from scarce.label.vote._base import AbstractVote
from scarce.label.vote.one_coin import coin_weights

WHO: Final = "label.vote.glad"


def fit_glad(votes: Array, n_classes: int, *, iterations: int = 100, tolerance: float = 1e-5) -> Fitted:
    """Return the probability of each class where annotator j is right about sample i with probability s(a_j b_i).

    a_j is the annotator's skill (below 0: he says the wrong class on purpose), b_i > 0 the sample's ease, s the
    logistic function; wrong answers are spread evenly. Skill and the logarithm of ease have the prior N(1, 1), so that
    an annotator with one vote is hardly told from the mean one.

    Args:
        votes: (N, W) class codes, -1 = none.
        n_classes: K.
        iterations: passes at most.
        tolerance: stop when the log likelihood gains less than this a vote.

    Returns:
        ``posterior`` (N, K) and ``confusion`` (W, K, K), that of a sample of median ease.

    Raises:
        DataError: no vote matrix, or an unknown class.

    Source: Whitehill, Ruvolo, Wu, Bergsma and Movellan 2009; one Newton step a pass in place
    of a search. All classes are as likely beforehand, as there.
    """
    from scarce.label import _glad

    rows = valid_votes(WHO, votes, n_classes)
    row, voter = np.nonzero(rows >= 0)
    said = rows[row, voter]
    starts = np.searchsorted(row, np.arange(len(rows) + 1))
    skill, ease = np.ones(rows.shape[1]), np.ones(len(rows))
    prior = np.full(n_classes, 1 / n_classes)
    posterior = np.tile(prior, (len(rows), 1))
    before, passes = -np.inf, iterations
    for number in range(1, iterations + 1):
        likelihood = _glad.expect(starts, voter, said, skill, ease, np.log(prior), posterior)
        if likelihood - before < tolerance * max(len(said), 1):
            passes = number
            break
        before = likelihood
        _glad.maximize(starts, voter, said, posterior, skill, ease)
    known = ease[np.diff(starts) > 0]
    middle = float(np.exp(np.median(known))) if len(known) else 1.0
    weights = coin_weights(1 / (1 + np.exp(-skill * middle)), n_classes)
    confusion = np.ascontiguousarray(np.exp(weights).transpose(0, 2, 1))
    return Fitted(posterior.astype(np.float32), confusion, prior, weights, passes)


@final
@dataclass(frozen=True, kw_only=True)
class Glad(AbstractVote):
    """Learn each annotator's skill and each sample's difficulty.

    Use where some samples are hard for everybody, with three votes a sample or more.
    Source: Whitehill, Ruvolo, Wu, Bergsma and Movellan 2009.

    Args:
        iterations: passes at most.
    """

    iterations: int = 100

    def fit(self, votes: Array, n_classes: int, pred_probs: Array | None = None) -> Fitted:  # noqa: ARG002 - a hook
        """Return the fitted model."""
        return fit_glad(votes, n_classes, iterations=self.iterations)
