"""Champion and challenger on the same samples: does every class keep what it had."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from scarce.dataset import Array, Floats, Mask
from scarce.metric.interval import cluster_weights, group_codes
from scarce.metric.paired import gain_bounds

DRAWS = 2000
PROVEN, WORSE, OPEN = "not worse", "worse", "not provable"
UNDECIDED = "undecided"
"""Of a test that goes on."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the samples of one class, from one place, say.

    Attributes:
        source: ``held-out``, ``production`` or ``trial``.
        name: the class.
        n, groups: samples and the independent groups that they come from.
        worth: independent samples of equal weight that say as much.
        champion, challenger: recall of each.
        gain: challenger minus champion.
        low, high: its one-sided 95 % bounds: the wider of score bounds and a bootstrap over groups.
        verdict: ``not worse`` (low above minus the margin), ``worse`` (high below it), ``not provable``, or in a trial,
            whose bounds hold at every look, ``undecided``.
        needed: samples without a disagreement that would prove it; in a trial samples like those so far, 0 = never.
    """

    source: str
    name: str
    n: int
    groups: int
    champion: float | None
    challenger: float | None
    gain: float
    low: float
    high: float
    verdict: str
    needed: int
    worth: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Samples with what both models say.

    Attributes:
        source: where they come from.
        labels: (N,) true codes.
        answers: codes of champion and challenger, each (N,); -1 = a class that the model does not know.
        groups: (N,) what several samples share.
        weights: (N,) inverse inclusion probabilities; None = all alike.
        learned: (2, N) bool: champion or challenger was trained on it, so that its answer says nothing. Such samples
            cannot be left out where chance drew them: they are the ones that the other model was corrected on. None =
            none of them.
    """

    source: str
    labels: Array
    answers: tuple[Array, Array]
    groups: Array
    weights: Array | None = None
    learned: Mask | None = None


def per_class(
    samples: Samples, classes: tuple[str, ...], *, margin: float, confidence: float = 0.95, seed: int = 0
) -> list[Evidence]:
    """Return the evidence about each class; all of them must hold, so that no correction for their number is due.

    Args:
        samples: champion's and challenger's answers.
        classes: names.
        margin: recall that a class may lose, in (0, 1).
        confidence: of each one-sided bound.
        seed: of the bootstrap.

    Where a model was trained on a sample (``learned``), recalls, gain and lower bound take the worse for the
    challenger, the upper bound the better: what is not known is not left out.

    Source: Manski 1990 on bounds without assumptions about what is missing; Berger 1982 on tests that must all reject;
    Tango 1998 for the bounds.
    """
    found = []
    for code, name in enumerate(classes):
        own = samples.labels == code
        right = [np.asarray(answer[own] == code) for answer in samples.answers]
        weights = None if samples.weights is None else np.asarray(samples.weights[own], np.float64)
        groups = group_codes(samples.groups[own])

        known = np.ones((2, int(own.sum())), bool) if samples.learned is None else ~samples.learned[:, own]
        cases = [[right[0] | ~known[0], right[1] & known[1]], [right[0] & known[0], right[1] | ~known[1]]]
        worst, best = (
            _evidence(samples.source, name, case, groups, weights, margin=margin, confidence=confidence, seed=seed)
            for case in (cases if not known.all() else cases[:1] * 2)
        )
        found.append(replace(worst, high=best.high, verdict=_verdict(worst.low, best.high, margin)))
    return found


def _verdict(low: float, high: float, margin: float) -> str:
    return PROVEN if low > -margin else WORSE if high < -margin else OPEN


def _evidence(  # noqa: PLR0913 - the parts of one row
    source: str, name: str, right: list[Array], groups: Array, weights: Array | None, *, margin: float,
    confidence: float, seed: int,
) -> Evidence:  # fmt: skip
    n = len(groups)
    units = len(np.unique(groups))
    needed = needed_for(margin, confidence)
    if not n:
        return Evidence(source=source, name=name, n=0, groups=0, champion=None, challenger=None, gain=0.0, low=-1.0,
                        high=1.0, verdict=OPEN, needed=needed)  # fmt: skip
    shares = np.ones(n) if weights is None else weights
    shares = shares / shares.sum()
    gain = right[1].astype(np.float64) - right[0]
    lost, won = float(shares[gain < 0].sum()) * n, float(shares[gain > 0].sum()) * n
    effective = min(units, round(float(1 / (shares**2).sum())))  # Kish: what unequal weights leave of n
    low, high = gain_bounds(lost, min(won, n - lost), n, confidence, groups=max(1, effective))
    if units < n or weights is not None:
        drawn = _drawn(gain, shares, groups, seed)
        low = min(low, float(np.quantile(drawn, 1 - confidence)))
        high = max(high, float(np.quantile(drawn, confidence)))
    recalls = [min(float(shares @ one), 1.0) for one in right]  # shares that add up to a hair more than 1
    return Evidence(source=source, name=name, n=n, groups=units, champion=recalls[0], challenger=recalls[1],
                    gain=float(shares @ gain), low=low, high=high,
                    verdict=_verdict(low, high, margin), needed=needed, worth=effective)  # fmt: skip


def _drawn(gain: Floats, shares: Floats, groups: Array, seed: int) -> Floats:
    counts = cluster_weights(groups, repeats=DRAWS, seed=seed) * shares
    return np.asarray((counts @ gain) / counts.sum(1), np.float64)


def needed_for(margin: float, confidence: float = 0.95) -> int:
    """Return how many samples on which both agree prove that the second loses less than the margin.

    Example:
        >>> needed_for(0.05)
        52
    """
    from scipy.special import ndtri

    z = float(ndtri(confidence)) ** 2
    return int(np.floor(z * (1 - margin) / margin)) + 1


def unlosable(
    evidence: Sequence[Evidence], names: tuple[str, str], fresh: Collection[str]
) -> tuple[list[Evidence], list[str]]:
    """Return the evidence, in which a class that the champion cannot name is one that it cannot lose, and sentences.

    Args:
        evidence: a row for each class and source.
        names: of champion and challenger.
        fresh: classes that only the challenger knows.
    """
    told = []
    for row in evidence:
        if row.name in fresh:
            known = f"no {row.source} sample shows whether {names[1]} does"
            if row.n:
                known = f"of {row.n} samples ({row.source}) {names[1]} finds {100 * (row.challenger or 0.0):.0f} %"
            told.append(f"{row.name} is new: {names[0]} does not know it, and {known}.")
    kept = [
        replace(row, low=max(row.low, 0.0), high=max(row.high, 0.0), verdict=PROVEN, needed=0)
        if row.name in fresh else row for row in evidence
    ]  # fmt: skip
    return kept, told
