"""Accuracies in closed form, from how often three functions agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, final

import numpy as np

from scarce.dataset import Array, Floats
from scarce.errors import DataError
from scarce.label._ballot import Ballot, refuse_large, valid_votes
from scarce.label._linear import Fitted, confusion_of, first_guess, probabilities
from scarce.label.rule._base import AbstractLabelModel, balance_of

WHO: Final = "label.rule.triplet"
LEAST: Final = 1e-4


def fit_triplet(
    votes: Array, n_classes: int, gold: Array | None = None, *, class_balance: tuple[float, ...] = ()
) -> Fitted:
    """Return the probability of each class, without any iteration.

    For each class, whether a function names it is one yes or no. If functions err independently given the class, the
    covariance of two of them is a product of one number each, so any three give each number in closed form; the median
    over all pairs of others is taken. A function is taken to be right more often than not. Naming a class tells one
    thing of all others alike.

    Args:
        votes: (N, m) class codes, -1 = abstained; at least three functions.
        n_classes: K.
        gold: (N,) right codes, -1 = not known; only their class shares are used.
        class_balance: K shares of the classes; else those of the gold labels, else those of the votes.

    Raises:
        DataError: fewer than three functions vote, no vote matrix, or an unknown class.

    Source: Fu, Chen, Sala, Hooper, Fatahalian and Re 2020 (FlyingSquid), with covariances of one class against all
    others (Jaffe, Nadler and Kluger 2015) in place of agreements, so that functions that only ever name one class are
    judged, too.
    """
    from scarce.label import _kernel

    rows = valid_votes(WHO, votes, n_classes)
    refuse_large(WHO, rows.shape[1], n_classes)
    if int((rows >= 0).any(axis=0).sum()) < 3:
        what = f"{int((rows >= 0).any(axis=0).sum())} functions vote"
        raise DataError(WHO, what, f"there are {rows.shape[1]}", "write at least three, or take majority")
    ballot = Ballot.of(rows, n_classes)
    totals = first_guess(ballot)[1] + 1.0
    prior = balance_of(WHO, n_classes, class_balance, gold, totals / totals.sum())
    together = np.zeros((n_classes, rows.shape[1], rows.shape[1]))
    _kernel.same_pairs(ballot.votes, ballot.times, together)
    together = (together + np.triu(together, 1).transpose(0, 2, 1)) / max(len(rows), 1)
    named = np.einsum("kww->wk", together)
    likely = np.empty((rows.shape[1], n_classes, n_classes))
    for code in range(n_classes):
        spread = max(prior[code] * (1 - prior[code]), LEAST)
        gap = _triplets(together[code] - np.outer(named[:, code], named[:, code])) / np.sqrt(spread)
        likely[:, code] = (named[:, code] - prior[code] * gap)[:, None]
        likely[:, code, code] = named[:, code] + (1 - prior[code]) * gap
    floor = np.maximum(LEAST, 0.02 * named)[:, :, None]
    weights = np.log(np.clip(likely, floor, 1.0))
    posterior = probabilities(rows, weights, prior, ballot=ballot)
    shares = np.exp(weights) / np.exp(weights).sum(axis=1, keepdims=True)
    return Fitted(posterior, confusion_of(np.log(shares)), prior, weights)


def _triplets(covariance: Floats) -> Floats:
    """Return (m,) numbers whose products are the covariances of different functions; 0 where none can be told."""
    m = len(covariance)
    out = np.zeros(m)
    size = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    told = np.abs(covariance) > 1e-3 * size + 1e-12
    for one in range(m):
        others = np.flatnonzero(told[one] & (np.arange(m) != one))
        if len(others) < 2:
            continue
        between = covariance[np.ix_(others, others)]
        with np.errstate(divide="ignore", invalid="ignore"):
            square = np.outer(covariance[one, others], covariance[one, others]) / between
        pairs = np.triu(told[np.ix_(others, others)] & (square > 0), 1)
        if pairs.any():
            out[one] = np.sqrt(np.median(square[pairs]))
    return np.minimum(out, np.sqrt(np.maximum(np.diag(covariance), 0)))


@final
@dataclass(frozen=True, kw_only=True)
class Triplet(AbstractLabelModel):
    """Solve for the functions' accuracies in closed form, from triples of functions.

    Use with three functions or more for each class, and many samples: it takes one pass.
    Source: Fu et al. 2020 (FlyingSquid); Jaffe, Nadler and Kluger 2015.

    Args:
        class_balance: shares of the classes; empty = those of gold labels, else those of the votes.
    """

    learns_from_gold: ClassVar[bool] = True
    class_balance: tuple[float, ...] = ()

    def fit(self, votes: Array, n_classes: int, gold: Array | None = None) -> Fitted:
        """Return the fitted model."""
        return fit_triplet(votes, n_classes, gold, class_balance=self.class_balance)
