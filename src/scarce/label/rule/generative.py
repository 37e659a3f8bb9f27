"""Snorkel's label model: conditional probabilities that explain how often two functions vote together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, final

import numpy as np

from scarce.dataset import Array
from scarce.errors import DataError
from scarce.label._ballot import Ballot, valid_votes
from scarce.label._linear import Fitted, confusion_of, probabilities
from scarce.label.rule._base import AbstractLabelModel, balance_of

WHO: Final = "label.rule.generative"
MOST: Final = 4000
"""Functions times classes at most: their joint frequencies are a matrix of that size."""
RATE: Final = 0.01
MOMENTUM: Final = 0.9


def fit_generative(
    votes: Array, n_classes: int, gold: Array | None = None, *, class_balance: tuple[float, ...] = (),
    precision: float = 0.7, iterations: int = 100,
) -> Fitted:  # fmt: skip
    """Return the probability of each class, by matching the joint frequencies of every two functions' votes.

    Args:
        votes: (N, m) class codes, -1 = abstained.
        n_classes: K.
        gold: (N,) right codes, -1 = not known; only their class shares are used.
        class_balance: K shares of the classes; else those of the gold labels, else even.
        precision: how often a vote is right, to begin with.
        iterations: gradient steps. Few are better than many: they keep the model near its start, where functions are
            trusted; run to the end it trades the classes where functions depend on each other.

    Raises:
        DataError: no vote matrix, an unknown class, or too many functions times classes.

    Source: Ratner, Hancock, Dunnmon, Sala, Pandey and Re 2019, as Snorkel's ``LabelModel`` has it, its start
    without the random factor.
    """
    from scarce.label import _kernel

    rows = valid_votes(WHO, votes, n_classes)
    m, k = rows.shape[1], n_classes
    if m * k > MOST:
        what = f"{m} functions times {k} classes are {m * k}"
        raise DataError(WHO, what, f"at most {MOST} are compared", "use weighted or majority")
    ballot = Ballot.of(rows, k)
    joint = np.zeros((m * k, m * k))
    _kernel.pair_counts(ballot.votes, ballot.times, k, joint)
    joint = (joint + np.triu(joint, 1).T) / max(len(rows), 1)
    prior = balance_of(WHO, k, class_balance, gold, np.full(k, 1 / k))
    named = np.diag(joint)
    apart = np.kron(1 - np.eye(m), np.ones((k, k)))
    hit = np.tile(np.eye(k), (m, 1))
    start = np.minimum(named[:, None] * hit * precision / prior, 1.0)

    likely, speed = start.copy(), np.zeros_like(start)
    for _ in range(iterations):
        off = apart * (likely * prior @ likely.T - joint)
        slope = 4 * (off @ likely) * prior + 2 * np.outer(likely @ prior - named, prior)
        speed = MOMENTUM * speed + slope
        likely = np.clip(likely - RATE * min(1.0, 50 / m) * speed, 0.0, 1.0)
    least = min(0.01, 10.0 ** -np.ceil(np.log10(max(len(rows), 2))))
    likely = np.clip(likely, least, 1 - least).reshape(m, k, k)
    weights = np.log(likely)
    posterior = probabilities(rows, weights, prior, ballot=ballot)
    confusion = confusion_of(weights - np.log(likely.sum(axis=1, keepdims=True)))
    return Fitted(posterior, confusion, prior, weights, iterations)


@final
@dataclass(frozen=True, kw_only=True)
class Generative(AbstractLabelModel):
    """Match how often every two functions vote together, as Snorkel's label model does.

    Use when the class shares are known, or gold labels tell them.
    Source: Ratner et al. 2019.

    Args:
        class_balance: shares of the classes; empty = those of gold labels, else even.
        precision: how often a vote is right, to begin with.
        iterations: gradient steps.
    """

    learns_from_gold: ClassVar[bool] = True
    class_balance: tuple[float, ...] = ()
    precision: float = 0.7
    iterations: int = 100

    def fit(self, votes: Array, n_classes: int, gold: Array | None = None) -> Fitted:
        """Return the fitted model."""
        return fit_generative(
            votes, n_classes, gold, class_balance=self.class_balance, precision=self.precision,
            iterations=self.iterations,
        )  # fmt: skip
