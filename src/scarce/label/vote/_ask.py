"""Who should label what next: the vote that tells most about the truth."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from scarce.dataset import Array, Floats, Ints
from scarce.errors import DataError
from scarce.label._linear import TINY

WHO: Final = "label.vote"
BLOCK: Final = 1 << 20
"""Numbers in a block of samples, votes and classes."""
SPARE: Final = 4
"""So many times as many samples as votes are wanted are looked at closely; all where these are fewer than a block."""


class Next(NamedTuple):
    """Votes to ask for, the most telling first.

    Attributes:
        rows: (B,) sample.
        voters: (B,) whom to ask.
        gains: (B,) expected bits of information about the sample's class.
    """

    rows: Ints
    voters: Ints
    gains: Floats


def expected_gain(posterior: Array, confusion: Array) -> Floats:
    """Return (N, W) bits that one more vote of each annotator is expected to tell about each sample's class.

    It is the mutual information of the class and the vote, given all votes so far: 0 where the class is certain, or
    where the annotator's votes tell nothing.

    Args:
        posterior: (N, K) probability of each class.
        confusion: (W, K, K) probability of each vote by true class.

    Raises:
        DataError: wrong shapes.

    Source: Lindley 1956; as a choice of annotators Welinder and Perona 2010.
    """
    probs, matrices = np.asarray(posterior, np.float64), np.asarray(confusion, np.float64)
    if probs.ndim != 2 or matrices.ndim != 3 or matrices.shape[1:] != (probs.shape[1],) * 2:
        what = f"posterior has shape {probs.shape}, confusion {matrices.shape}"
        raise DataError(WHO, what, do="pass (N, K) and (W, K, K)")
    out = np.zeros((len(probs), len(matrices)))
    noise = -(matrices * np.log2(np.maximum(matrices, TINY))).sum(axis=2)
    block = max(1, BLOCK // max(probs.shape[1], 1))
    for start in range(0, len(probs), block):
        part = probs[start : start + block]
        for voter, matrix in enumerate(matrices):
            vote = part @ matrix
            said = -(vote * np.log2(np.maximum(vote, TINY))).sum(axis=1)
            out[start : start + block, voter] = np.maximum(said - part @ noise[voter], 0.0)
    return out


def next_votes(
    posterior: Array, confusion: Array, budget: int, *, voted: Array | None = None, most_each: int | None = None
) -> Next:
    """Return whom to ask about which sample next: the most telling votes, one a sample.

    Args:
        posterior: (N, K) probability of each class; class shares where nobody voted yet.
        confusion: (W, K, K) probability of each vote by true class.
        budget: votes to ask for, at most one a sample.
        voted: (N, W) votes so far; nobody is asked twice about a sample.
        most_each: votes that one annotator is asked for at most.

    Raises:
        DataError: wrong shapes, or a negative budget.
    """
    near = _most_telling(np.asarray(posterior), np.asarray(confusion), budget, voted)
    gains = expected_gain(np.asarray(posterior)[near], confusion)
    if budget < 0 or (most_each is not None and most_each < 1):
        raise DataError(WHO, f"a budget of {budget}, at most {most_each} each", do="give a budget >= 0 and at least 1")
    if voted is not None:
        gains[np.asarray(voted)[near] >= 0] = -1.0
    if not gains.size:
        return Next(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    room = np.full(gains.shape[1], len(gains) if most_each is None else most_each)
    rows: list[int] = []
    voters: list[int] = []
    found: list[float] = []
    while len(rows) < budget and (room > 0).any():
        best = np.where(room > 0, gains, -1.0).argmax(axis=1)
        value = gains[np.arange(len(gains)), best]
        order = np.argsort(-value, kind="stable")
        asked = len(rows)
        for row in order[value[order] >= 0]:
            if len(rows) < budget and room[best[row]]:
                rows.append(int(row))
                voters.append(int(best[row]))
                found.append(float(value[row]))
                room[best[row]] -= 1
                gains[row] = -1.0
        if len(rows) == asked:
            break
    return Next(near[np.array(rows, np.int64)], np.array(voters, np.int64), np.array(found))


def _most_telling(posterior: Array, confusion: Array, budget: int, voted: Array | None) -> Ints:
    """Return the samples whose best vote tells most, in order of their rows, without an (N, W) matrix of gains."""
    n, w = len(posterior), len(confusion)
    if voted is not None and np.shape(voted) != (n, w):
        raise DataError(WHO, f"votes have shape {np.shape(voted)}", f"wanted is {(n, w)}")
    if n * w <= BLOCK or n <= SPARE * budget:
        return np.arange(n)
    top = np.empty(n)
    step = max(1, BLOCK // max(w, 1))
    for start in range(0, n, step):
        gains = expected_gain(posterior[start : start + step], confusion)
        if voted is not None:
            gains[np.asarray(voted[start : start + step]) >= 0] = -1.0
        top[start : start + step] = gains.max(axis=1, initial=-1.0)
    return np.sort(np.argsort(-top, kind="stable")[: max(SPARE * budget, 1)])
