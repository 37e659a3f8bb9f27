"""What gold labels prove: whether a label model beats chance, and which functions do worse than chance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from scarce.dataset import Array, Floats, Ints

if TYPE_CHECKING:
    from scarce.label.rule._apply import Applied

BOUND: Final = 0.95
"""Confidence of the one-sided lower bound."""
SINGLE: Final = 5
"""Fewer labels than this may well be of one class without a fault."""


@dataclass(frozen=True)
class Proof:
    """How a label model does on gold labels that it had not seen.

    Attributes:
        balanced_accuracy: mean share found of the classes that have gold labels.
        low: its one-sided 95 % lower bound.
        chance: what it is where the answers do not depend on the sample, always the same class included: 1 / classes.
    """

    balanced_accuracy: float
    low: float
    chance: float

    @property
    def holds(self) -> bool:
        """Whether it is better than chance."""
        return self.low > self.chance

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {**asdict(self), "holds": self.holds}


def prove(credit: Floats, truth: Array) -> Proof:
    """Return what gold labels prove.

    The bound draws each class's share towards one half by half a hit and half a miss, so that a class of a few samples,
    all found, does not count as certain.

    Args:
        credit: (J,) 1 where right, a share of it where classes tie.
        truth: (J,) right codes, of two classes at least.
    """
    from scipy.special import ndtri

    parts = [credit[truth == code] for code in np.unique(truth)]
    shares = np.array([(part.sum() + 0.5) / (len(part) + 1) for part in parts])
    error = np.sqrt(sum(p * (1 - p) / (len(part) + 2) for p, part in zip(shares, parts, strict=True))) / len(parts)
    value = float(np.mean([part.mean() for part in parts]))
    return Proof(value, float(shares.mean() - ndtri(BOUND) * error), 1 / len(parts))


def worse_than_chance(votes: Array, gold: Array, n_classes: int) -> Ints:
    """Return the columns of functions whose votes are right less often than by chance, proven by gold labels.

    By chance a vote for a class is right as often as the class is among all gold labels; a function is named where the
    upper end of the exact 95 % interval of its own share lies below.

    Args:
        votes: (N, m) class codes, -1 = abstained.
        gold: (N,) right codes, -1 = not known.
        n_classes: K.
    """
    from scarce.metric.interval import clopper_pearson

    known = np.asarray(gold) >= 0
    truth, said = np.asarray(gold)[known], np.asarray(votes)[known]
    if not len(truth):
        return np.zeros(0, np.int64)
    shares = np.bincount(truth, minlength=n_classes) / len(truth)
    found = []
    for column in range(said.shape[1]):
        cast = said[:, column] >= 0
        judged, right = int(cast.sum()), int((said[cast, column] == truth[cast]).sum())
        if judged and clopper_pearson(right, judged)[1] < shares[said[cast, column]].mean():
            found.append(column)
    return np.array(found, np.int64)


def without(applied: Applied, columns: Ints) -> tuple[Array, Mapping[int, Floats]]:
    """Return votes and soft votes without some functions."""
    kept = np.setdiff1d(np.arange(applied.votes.shape[1]), columns)
    place = {int(column): new for new, column in enumerate(kept)}
    soft = {place[column]: probs for column, probs in applied.soft.items() if column in place}
    return np.ascontiguousarray(applied.votes[:, kept]), soft
