"""What a label model knows after fitting, and the expectation-maximization that several of them share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Self

import numpy as np

from scarce.dataset import Array, Floats, Ints
from scarce.errors import DataError
from scarce.execute.local import cores
from scarce.label._ballot import Ballot, valid_votes

TINY: Final = 1e-12
LEAST: Final = 1e-290
PARTS, PART_ROWS = 4, 1 << 16
"""A pass over many rows is made in four parts, whatever the number of threads, so that sums do not depend on it."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted label model; unpacks as ``posterior, confusion``.

    Attributes:
        posterior: (N, K) float32 probability of each class; the class shares where nobody voted.
        confusion: (W, K, K) probability of each vote (last axis) by true class, given that there is a vote.
        prior: (K,) class shares.
        weights: (W, K, K) log weight that a vote (second axis) gives each class (last axis).
        silence: (K,) log weight that all voters' silence gives each class, before any of them votes.
        iterations: passes that fitting took; 0 = closed form.
        shares: whether probabilities are shares of the weights rather than their softmax (majority).
    """

    posterior: Floats
    confusion: Floats
    prior: Floats
    weights: Floats = field(repr=False)
    iterations: int = 0
    shares: bool = False
    silence: Floats | None = None

    def __iter__(self) -> Iterator[Floats]:
        """Yield posterior and confusion."""
        return iter((self.posterior, self.confusion))

    @cached_property
    def accuracy(self) -> Floats:
        """(W,) how often each voter is right, classes weighted by their share."""
        return np.asarray(np.einsum("wkk,k->w", self.confusion, self.prior))

    def predict_proba(self, votes: Array, *, soft: Mapping[int, Array] | None = None) -> Floats:
        """Return (N, K) probabilities of other samples.

        Args:
            votes: (N, W) of the same voters, -1 = none.
            soft: column to (N, K) probabilities by a voter who said more than one class; a row of NaN = none.
        """
        rows = valid_votes("label", votes, len(self.prior))
        if rows.shape[1] != len(self.weights):
            raise DataError("label", f"votes of {rows.shape[1]} voters", f"fitted were {len(self.weights)}")
        prior = self.prior if self.silence is None else after_silence(self.prior, self.silence)
        return probabilities(rows, self.weights, prior, shares=self.shares, soft=soft)


def probabilities(
    votes: Ints, weights: Floats, prior: Floats, *, shares: bool = False, soft: Mapping[int, Array] | None = None,
    ballot: Ballot | None = None,
) -> Floats:  # fmt: skip
    """Return (N, K) float32 probabilities by log-linear votes.

    A soft vote counts as the mean of the weights of the votes that it spreads over.

    Args:
        votes: (N, W) valid votes.
        weights: (W, K, K) weight that a vote (second axis) gives each class (last axis).
        prior: (K,) class shares.
        shares: see :class:`Fitted`.
        soft: column to (N, K) probabilities; see :meth:`Fitted.predict_proba`.
        ballot: the votes, encoded already.
    """
    from scarce.label import _kernel

    k = len(prior)
    shift = np.zeros((0, 0))
    if soft:
        shift = np.zeros((len(votes), k))
        for column, said in soft.items():
            there = np.flatnonzero(np.isfinite(said).all(axis=1) & (votes[:, column] >= 0))
            shift[there] += said[there] @ weights[column] - weights[column][votes[there, column]]
    coded = Ballot.of(votes, k, grouped=not soft) if ballot is None or soft else ballot
    out = np.empty((len(coded.votes), k), np.float32)
    work, start = (_kernel.share_rows, prior) if shares else (_kernel.soft_rows, np.log(np.maximum(prior, LEAST)))
    work(coded.starts, coded.tokens, coded.folded(weights), start, shift, out)
    return np.asarray(coded.expanded(out))


def after_silence(prior: Floats, silence: Floats) -> Floats:
    """Return (K,) class shares among samples on which nobody votes; the least is e^-600, so that its logarithm is one.

    Args:
        prior: (K,) class shares.
        silence: (K,) log weight that silence gives each class.
    """
    logs = np.log(np.maximum(prior, TINY)) + silence
    shares = np.exp(np.maximum(logs - logs.max(), -600.0))
    return np.asarray(shares / shares.sum())


def first_guess(ballot: Ballot) -> tuple[Floats, Floats]:
    """Return (W, K, K) expected votes by vote and class, and (K,) rows by class, truth being the votes' shares.

    Source: the start of Dawid and Skene 1979.
    """
    from scarce.label import _kernel

    k = ballot.classes
    sums, totals = np.zeros((ballot.tables, k)), np.zeros(k)
    alike = ballot.folded(np.broadcast_to(np.eye(k), (ballot.columns, k, k)))
    _kernel.expect_shares(ballot.starts, ballot.tokens, ballot.times, alike, sums, totals)
    return ballot.unfolded(sums), totals


Step = Callable[[Floats, Floats], tuple[Floats, Floats]]
"""From (W, K, K) expected votes by vote and class, and (K,) rows by class, to log weights (W, K, K) and shares (K,)."""


def maximize(ballot: Ballot, step: Step, *, most: int, tolerance: float) -> tuple[Floats, Floats, int]:
    """Alternate expectation and a model's own maximization until the expected votes stand still.

    Args:
        ballot: the votes.
        step: the maximization.
        most: passes at most.
        tolerance: stop when less than this share of the votes moved between classes in a pass.

    Returns:
        The weights (W, K, K), the class shares (K,) and how many passes it took.
    """
    counts, totals = first_guess(ballot)
    weights, prior = step(counts, totals)
    votes = max(float(counts.sum()), 1.0)
    passes = most
    with _Passes(ballot) as one_pass:
        for number in range(1, most + 1):
            before = counts
            counts, totals = one_pass(weights, prior)
            weights, prior = step(counts, totals)
            if np.abs(counts - before).sum() < 2 * tolerance * votes:
                passes = number
                break
    return weights, prior, passes


class _Passes:
    """The expectation over all rows, in parts that run on threads of their own."""

    def __init__(self, ballot: Ballot) -> None:
        self.ballot = ballot
        rows = len(ballot.votes)
        parts = PARTS if rows >= PARTS * PART_ROWS else 1
        self.edges = [rows * part // parts for part in range(parts + 1)]

    def __enter__(self) -> Self:
        self.pool = ThreadPoolExecutor(min(cores(), len(self.edges) - 1))
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown()

    def __call__(self, weights: Floats, prior: Floats) -> tuple[Floats, Floats]:
        """Return votes by vote and class (W, K, K), and rows by class (K,)."""
        logs, log_prior = self.ballot.folded(weights), np.log(np.maximum(prior, LEAST))
        spans = zip(self.edges[:-1], self.edges[1:], strict=True)
        found = list(self.pool.map(lambda span: self._part(span, logs, log_prior), spans))
        sums = sum(part[0] for part in found)
        return self.ballot.unfolded(np.asarray(sums)), np.asarray(sum(part[1] for part in found))

    def _part(self, span: tuple[int, int], logs: Floats, log_prior: Floats) -> tuple[Floats, Floats]:
        from scarce.label import _kernel

        k, ballot = len(log_prior), self.ballot
        sums, totals = np.zeros((ballot.tables, k)), np.zeros(k)
        work = _kernel.expect_two if k == 2 else _kernel.expect
        starts, times = ballot.starts[span[0] : span[1] + 1], ballot.times[span[0] : span[1]]
        work(starts, ballot.tokens, times, logs, log_prior, sums, totals)
        return sums, totals


def confusion_given(ballot: Ballot, weights: Floats, prior: Floats, *, shares: bool = False) -> Floats:
    """Return (W, K classes, K votes) confusion of the voters against what weights make of their votes.

    Args:
        ballot: the votes.
        weights: (W, K, K) weight that a vote (second axis) gives each class (last axis).
        prior: (K,) class shares.
        shares: see :class:`Fitted`.
    """
    if shares:
        counts = first_guess(ballot)[0]
    else:
        with _Passes(ballot) as one_pass:
            counts = one_pass(weights, prior)[0]
    return confusion_of(np.log(smoothed(counts)))


def smoothed(counts: Floats, smoothing: float = 0.01) -> Floats:
    """Return (W, K, K) probability of each vote (second axis) by class (last axis) of expected counts."""
    table = counts + max(smoothing, TINY)
    return np.asarray(table / table.sum(axis=1, keepdims=True))


def confusion_of(weights: Floats) -> Floats:
    """Return (W, K classes, K votes) probabilities of log weights (W, K votes, K classes)."""
    return np.ascontiguousarray(np.exp(weights).transpose(0, 2, 1))
