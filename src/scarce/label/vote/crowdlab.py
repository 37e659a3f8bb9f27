"""Annotators and a model, weighed against each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, final

import numpy as np

from scarce.dataset import Array, Floats
from scarce.errors import DataError
from scarce.label._ballot import Ballot, valid_votes
from scarce.label._linear import Fitted, probabilities
from scarce.label.vote._base import AbstractVote
from scarce.label.vote.one_coin import coin_weights

WHO: Final = "label.vote.crowdlab"
LEAST: Final = 1e-6


def fit_crowdlab(votes: Array, n_classes: int, pred_probs: Array) -> Fitted:
    """Return the weighted mean of a model's probabilities and of the annotators' votes.

    An annotator weighs as much as he agrees with the others, the model as much as it agrees with the majority, both
    against always naming the most frequent class. A sample without a vote has the model's probabilities.

    Args:
        votes: (N, W) class codes, -1 = none.
        n_classes: K.
        pred_probs: (N, K) out-of-sample probabilities of a model that was fitted on a first consensus.

    Returns:
        ``posterior`` (N, K) and ``confusion`` (W, K, K) against it, 0.01 votes added to each cell.

    Raises:
        DataError: wrong shapes, an unknown class, or no sample with two votes.

    Source: Goh, Tkachenko and Mueller 2022, sections 3 and 4; ties of the majority are broken by the model.
    """
    rows, probs = valid_votes(WHO, votes, n_classes), np.asarray(pred_probs, np.float64)
    if probs.shape != (len(rows), n_classes):
        raise DataError(WHO, f"pred_probs have shape {probs.shape}", f"wanted is {(len(rows), n_classes)}")
    if not np.isfinite(probs).all() or (probs < 0).any() or (probs.sum(axis=1) <= 0).any():
        raise DataError(WHO, "pred_probs hold what is no probability", do="pass finite numbers >= 0, no empty row")
    probs = probs / probs.sum(axis=1, keepdims=True)
    there, counts = rows >= 0, _counted(rows, n_classes)
    if not (there.sum(axis=1) > 1).any():
        raise DataError(WHO, "no sample has two votes", do="take majority, or let a second person label some samples")
    agreement = _agreement(rows, counts)
    posterior = _mixed(rows, counts, probs, agreement, _tie_broken(counts, probs))
    posterior = _mixed(rows, counts, probs, agreement, posterior.argmax(axis=1))
    prior = posterior.mean(axis=0)
    confusion = np.zeros((rows.shape[1], n_classes, n_classes)) + 0.01
    for voter in range(rows.shape[1]):
        cast = there[:, voter]
        np.add.at(confusion[voter].T, rows[cast, voter], posterior[cast])
    confusion /= confusion.sum(axis=2, keepdims=True)
    right = np.einsum("wkk,k->w", confusion, prior)
    return Fitted(posterior.astype(np.float32), confusion, prior, coin_weights(right, n_classes))


def _mixed(rows: Array, counts: Floats, probs: Floats, agreement: Floats, label: Array) -> Floats:
    """Return (N, K) weighted means, weights told by how far annotators and model agree with a first consensus."""
    there, n, k = rows >= 0, counts.sum(axis=1), counts.shape[1]
    several = n > 1
    typical = float((counts[several, label[several]] / n[several]).mean())
    common = np.bincount(label[several], minlength=k).argmax()
    chance = max(float((label[several] != common).mean()), LEAST)
    trust = np.maximum(1 - (1 - agreement) / chance, LEAST)
    model = max(1 - float((probs.argmax(axis=1) != label)[several].mean()) / chance, LEAST)
    model *= float(np.sqrt(n[n > 0].mean()))
    weights = trust[:, None, None] * np.where(np.eye(k, dtype=bool), typical, (1 - typical) / max(k - 1, 1))
    ballot = Ballot.of(rows, k, grouped=False)
    votes = probabilities(rows, weights, probs.mean(axis=0), shares=True, ballot=ballot)
    power = (there @ trust)[:, None]
    return np.asarray((power * votes + model * probs) / (power + model))


def _counted(rows: Array, k: int) -> Floats:
    row, voter = np.nonzero(rows >= 0)
    return np.bincount(row * k + rows[row, voter], minlength=len(rows) * k).reshape(len(rows), k).astype(float)


def _tie_broken(counts: Floats, probs: Floats) -> Array:
    """Return (N,) the majority's class, among tied ones that which the model likes best."""
    tied = counts == counts.max(axis=1, keepdims=True)
    return np.asarray(np.where(tied, probs, -1.0).argmax(axis=1))


def _agreement(rows: Array, counts: Floats) -> Floats:
    """Return (W,) how often a voter agrees with another one about the same sample; the mean for who shares none."""
    row, voter = np.nonzero(rows >= 0)
    same, others = counts[row, rows[row, voter]] - 1, counts.sum(axis=1)[row] - 1
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.bincount(voter, same, rows.shape[1]) / np.bincount(voter, others, rows.shape[1])
    return np.asarray(np.where(np.isfinite(found), found, np.nanmean(found)))


@final
@dataclass(frozen=True, kw_only=True)
class Crowdlab(AbstractVote):
    """Weigh annotators and a model by how far they agree with the others.

    Use with few votes a sample and features that tell the classes apart.
    Do not use where the model is no better than always naming the most frequent class.
    Needs: votes, embedding (N, D) or pred_probs (N, K).
    Source: Goh, Tkachenko and Mueller 2022.
    """

    with_model: ClassVar[bool] = True

    def fit(self, votes: Array, n_classes: int, pred_probs: Array | None = None) -> Fitted:
        """Return the weighted mean.

        Raises:
            DataError: there are no probabilities of a model.
        """
        if pred_probs is None:
            raise DataError(WHO, "there are no probabilities of a model", do="run scarce encode first")
        return fit_crowdlab(votes, n_classes, pred_probs)
