"""What votes alone say about the truth: each annotator's confusion, kept near that of all annotators together."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from scarce.dataset import Array, Floats, Ints

POOLED_VOTES: Final = 10.0
"""So many votes, shared out like those of all annotators, an annotator's confusion has from the start."""
MOST_PASSES, ENOUGH = 100, 1e-4
TINY: Final = 1e-9


class Consensus(NamedTuple):
    """What CROWDLAB, or the votes alone, say of N items and R annotators.

    Attributes:
        label: (N,) consensus class, -1 without a vote.
        quality: (N,) probability that the consensus is right; NaN without a vote.
        annotator: (R,) how far each annotator's labels are to be trusted, in [0, 1]; NaN without a vote.
    """

    label: Ints
    quality: Floats
    annotator: Floats


def votes_consensus(ratings: Array, classes: int) -> Consensus:
    """Return the consensus of annotators without any model: expectation-maximization over their confusions.

    An annotator of few votes is taken to err as all of them do together; with more votes his own errors count. The
    votes are read as a list, so that time and memory grow with their number.

    Args:
        ratings: (N, R) class codes; -1 = no vote.
        classes: K.

    Source: Dawid and Skene 1979, with confusions shrunk toward their mean.
    """
    rows = np.asarray(ratings)
    n, raters = rows.shape
    item, rater = np.nonzero(rows >= 0)
    said = rows[item, rater].astype(np.int64)
    belief = np.bincount(item * classes + said, minlength=n * classes).reshape(n, classes).astype(np.float64)
    voted = belief.sum(axis=1) > 0
    belief[voted] /= belief[voted].sum(axis=1, keepdims=True)
    confusion: Floats = np.zeros((raters, classes, classes))
    for _ in range(MOST_PASSES):
        before = belief
        confusion = _confusions(belief[item], rater * classes + said, raters, classes)
        prior = belief[voted].sum(axis=0) + 1.0
        log = np.log(np.maximum(confusion, TINY))[rater, :, said]
        total = np.stack([np.bincount(item, log[:, code], minlength=n) for code in range(classes)], axis=1)
        total += np.log(prior / prior.sum())
        belief = np.exp(total - total.max(axis=1, keepdims=True))
        belief /= belief.sum(axis=1, keepdims=True)
        belief[~voted] = 0.0
        if np.abs(belief - before).sum() < ENOUGH * max(int(voted.sum()), 1):
            break
    right = np.bincount(rater, belief[item, said], minlength=raters)
    cast = np.bincount(rater, minlength=raters)
    return Consensus(
        np.where(voted, belief.argmax(axis=1), -1), np.where(voted, belief.max(axis=1), np.nan),
        np.where(cast > 0, right / np.maximum(cast, 1), np.nan),
    )  # fmt: skip


def _confusions(belief: Floats, vote: Ints, raters: int, classes: int) -> Floats:
    """Return (R, K, K) probability of each vote (last axis) by true class, from (V, K) beliefs about V votes' items."""
    counts = np.stack(
        [np.bincount(vote, belief[:, code], minlength=raters * classes) for code in range(classes)]
    ).reshape(classes, raters, classes).transpose(1, 0, 2)  # fmt: skip
    pooled = counts.sum(axis=0) + 1 / classes
    pooled /= pooled.sum(axis=1, keepdims=True)
    counts = counts + POOLED_VOTES * pooled
    return np.asarray(counts / counts.sum(axis=2, keepdims=True))
