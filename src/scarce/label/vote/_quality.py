"""How good each annotator is, with intervals, and who answers nonsense."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from scarce.dataset import Array, Floats
from scarce.errors import DataError
from scarce.label._ballot import valid_votes
from scarce.label._linear import Fitted

WHO: Final = "label.vote"
FEW_VOTES: Final = 10
"""Nobody is called careless on fewer votes than this."""


@dataclass(frozen=True, eq=False)
class Annotator:
    """What is known about one annotator.

    Attributes:
        name: who.
        votes: how many votes.
        accuracy, low, high: how often right, with its interval; from gold labels where there are any, else expected.
        skill, skill_low, skill_high: (sum over classes of the share found - 1) / (classes - 1): 1 = perfect, 0 = the
            votes tell nothing, whatever they are (always one class, or at random), below 0 = rather the opposite. Of
            the classes that the annotator was shown (some sample of his is most likely of it); NaN where those are
            fewer than two.
        confusion: (K, K) probability of each vote by true class.
        verdict: ``constant``, ``random``, ``contrary``, or empty.
    """

    name: str
    votes: int
    accuracy: float
    low: float
    high: float
    skill: float
    skill_low: float
    skill_high: float
    confusion: Floats
    verdict: str

    def to_json(self) -> dict[str, Any]:
        """Return plain values; NaN becomes None."""
        numbers = ("accuracy", "low", "high", "skill", "skill_low", "skill_high")
        body = {name: float(getattr(self, name)) for name in numbers}
        plain = {name: value if np.isfinite(value) else None for name, value in body.items()}
        return {"name": self.name, "votes": self.votes, **plain, "confusion": self.confusion.tolist(),
                "verdict": self.verdict}  # fmt: skip


def annotator_quality(
    votes: Array, fitted: Fitted, names: Sequence[str] | None = None, *, gold: Array | None = None,
    confidence: float = 0.95,
) -> list[Annotator]:  # fmt: skip
    """Return how good each annotator is, the best first; those without a vote last.

    The interval is that of a proportion whose trials may be uncertain: where the truth of a sample is itself only
    probable, the interval is wider. With gold labels only samples with gold count.

    Args:
        votes: (N, W) class codes, -1 = none.
        fitted: what a method made of them.
        names: of the W annotators; their numbers by default.
        gold: (N,) right codes, -1 = not known; None = the posterior is the truth.
        confidence: of the intervals.
    """
    k = len(fitted.prior)
    rows = valid_votes(WHO, votes, k)
    names = [str(number) for number in range(rows.shape[1])] if names is None else list(names)
    truth: Array = np.asarray(fitted.posterior, np.float64)
    if len(names) != rows.shape[1] or len(truth) != len(rows):
        what = f"{len(names)} names and {len(truth)} fitted samples"
        raise DataError(WHO, what, f"votes have shape {rows.shape}", "pass what was fitted on these votes")
    if gold is not None:
        known = np.asarray(gold)
        if known.shape != (len(rows),) or (len(known) and (known.min() < -1 or known.max() >= k)):
            raise DataError(WHO, f"gold has shape {known.shape} or codes beyond {k - 1}", do="pass (N,), -1 = unknown")
        truth = np.where(known[:, None] >= 0, np.eye(k)[np.maximum(known, 0)], np.nan)
    found = [_judged(names[voter], rows[:, voter], truth, confidence) for voter in range(rows.shape[1])]
    return sorted(found, key=lambda one: (-np.nan_to_num(one.accuracy, nan=-1.0), one.name))


def _judged(name: str, said: Array, truth: Array, confidence: float) -> Annotator:
    from scipy.special import betaincinv, ndtri

    k = truth.shape[1]
    cast = np.flatnonzero(said >= 0)
    judged = cast[np.isfinite(truth[cast, 0])]
    right = truth[judged, said[judged]]
    counts = np.zeros((k, k))
    np.add.at(counts.T, said[judged], truth[judged])
    confusion = (counts + 0.01) / (counts + 0.01).sum(axis=1, keepdims=True)
    nan = float("nan")
    if not len(judged):
        return Annotator(name, len(cast), nan, 0.0, 1.0, nan, -1.0, 1.0, confusion, "")
    n, alpha = len(judged), (1 - confidence) / 2
    mean = (right.sum() + 0.5) / (n + 1)
    spread = mean * (1 - mean) / (n + 2) + (right * (1 - right)).sum() / n**2
    trials = max(mean * (1 - mean) / spread - 1, 1e-3)
    low, high = betaincinv(mean * trials, (1 - mean) * trials, [alpha, 1 - alpha])
    size = counts.sum(axis=1)
    met = np.bincount(truth[judged].argmax(axis=1), minlength=k) > 0
    share = (np.diag(counts) + 0.5) / (size + 1) if k > 1 else np.ones(1)
    unsure = (truth[judged] * (1 - truth[judged])).sum(axis=0) / np.maximum(size, 1) ** 2
    spared = (share * (1 - share) / (size + 2) + unsure)[met].sum()
    error = ndtri(1 - alpha) * float(np.sqrt(spared)) / max(int(met.sum()) - 1, 1)
    skill = (float(np.diag(confusion)[met].sum()) - 1) / max(int(met.sum()) - 1, 1)
    if met.sum() < min(k, 2):
        skill, error = nan, nan
    verdict = _verdict(np.unique(said[cast]), truth[judged], (skill - error, skill + error))
    return Annotator(
        name, len(cast), float(right.mean()), float(low), float(high), skill, float(np.fmax(skill - error, -1.0)),
        float(np.fmin(skill + error, 1.0)), confusion, verdict,
    )  # fmt: skip


def _verdict(said: Array, truth: Array, skill: tuple[float, float]) -> str:
    """Return what is wrong with an annotator, if enough votes say so."""
    if len(truth) < FEW_VOTES:
        return ""
    if len(said) == 1:
        others = len(truth) - float(truth[:, said[0]].sum())
        return "constant" if others >= 3 else ""
    if skill[1] < 0:
        return "contrary"
    return "random" if skill[0] < 0 and skill[1] < 0.5 else ""
