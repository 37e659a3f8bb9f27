"""The gate: from which confidence on labels are taken over, so that a wanted precision is proven and not hoped for.

Thresholds are tried along the coverage of the unlabelled rows, which the labelled ones do not influence. Each is judged
by the exact one-sided bound of the held-out labelled rows above it. The fallback procedure shares the chance of a
false promise between a few starting points and hands it on from each threshold that holds to the next, so that all
thresholds together break the promise in at most that share of the cases.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from scarce.dataset import Array, Floats, Ints
from scarce.errors import DataError
from scarce.metric.interval import clopper_pearson, group_codes, needed_for

STEPS: Final = 48
"""Thresholds that are tried."""
SPARE: Final = 1.15
"""The first start expects so many times the rows that prove the promise without a single error."""
SHOWN: Final = 20
"""Points of the coverage curve."""


@dataclass(frozen=True)
class Point:
    """One threshold, as the held-out labelled rows judge it.

    Attributes:
        coverage: share of the unlabelled rows that it takes.
        threshold: lowest confidence that it takes.
        precision: share of right ones among the labelled rows that it takes; NaN without any.
        low, high: two-sided exact bounds.
        n: labelled rows that it takes.
    """

    coverage: float
    threshold: float
    precision: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Gate:
    """The chosen threshold.

    Attributes:
        wanted: precision that was asked for.
        threshold: lowest confidence that is taken over; infinite where nothing could be proven.
        coverage: share of the unlabelled rows that it takes.
        precision: share of right ones among the held-out labelled rows above it.
        low: one-sided exact bound of the precision.
        n: held-out labelled rows above it.
        labelled: held-out labelled rows in all.
        needed: rows without an error that would prove the wanted precision; 0 = no number does.
        curve: precision against coverage.
    """

    wanted: float
    threshold: float
    coverage: float
    precision: float
    low: float
    n: int
    labelled: int
    needed: int
    curve: tuple[Point, ...]

    @property
    def opens(self) -> bool:
        """Return whether any threshold keeps the promise."""
        return math.isfinite(self.threshold)

    @property
    def reason(self) -> str:
        """Return why it stays shut; empty where it opens."""
        if self.opens:
            return ""
        if not self.needed:
            return f"no number of labelled rows proves a precision of {self.wanted:g}"
        if self.labelled < self.needed:
            return (
                f"a precision of {self.wanted:g} needs {self.needed} held-out labelled rows without an error, "
                f"there are {self.labelled}"
            )
        known = [point for point in self.curve if point.n]
        best = max(known, key=lambda point: point.low, default=None)
        seen = f"; the best is {best.precision:.3f} (at least {best.low:.3f}) at {best.coverage:.0%}" if best else ""
        return f"no threshold proves a precision of {self.wanted:g}{seen}"

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        body = asdict(self)
        body["threshold"] = self.threshold if self.opens else None
        return {**body, "opens": self.opens, "reason": self.reason}


def choose_threshold(
    pool: Array,
    score: Array,
    right: Array,
    *,
    precision: float,
    confidence: float = 0.95,
    groups: Array | None = None,
) -> Gate:
    """Return the threshold that takes as many rows as possible while the wanted precision is proven.

    Args:
        pool: (M,) confidences of the rows to be labelled.
        score: (N,) confidences of held-out labelled rows, a random draw of what is to be labelled.
        right: (N,) whether their proposed label is right.
        precision: wanted share of right ones among what is taken over, 0 < precision <= 1.
        confidence: chance with which the promise holds at least.
        groups: (N,) groups of the labelled rows; samples of one group count as one observation.

    Raises:
        DataError: shapes that do not fit, or shares out of range.

    Source: Wiens 2003 (the fallback procedure); Angelopoulos et al. 2021, Learn then Test, section 2.
    """
    score, right = np.asarray(score, np.float64), np.asarray(right, bool)
    if len(score) != len(right) or not 0 < precision <= 1 or not 0 < confidence < 1:
        what = f"{len(score)} confidences, {len(right)} answers, precision {precision}, confidence {confidence}"
        raise DataError("label.zero_shot", what, do="give one answer a confidence, and shares between 0 and 1")
    seen = _Seen.of(score, right, groups)
    shares, alpha = _levels(seen.units, precision, 1 - confidence)
    ranked = np.sort(np.asarray(pool, np.float64))[::-1]
    cuts = ranked[np.maximum(np.ceil(shares * len(ranked)).astype(int), 1) - 1] if len(ranked) else np.zeros(0)
    best, level = -1, 0.0
    for place, cut in enumerate(cuts):
        level += alpha[place]
        if level > 0 and precision < 1 and seen.bound(cut, 1 - level) >= precision:
            best = place
        else:
            level = 0.0
    needed = needed_for(precision, confidence) if precision < 1 else 0
    curve = _curve(ranked, seen)
    if best < 0:
        return Gate(precision, math.inf, 0.0, math.nan, 0.0, 0, len(score), needed, curve)
    cut = float(cuts[best])
    hits, count, _ = seen.above(cut)
    coverage = float((ranked >= cut).mean())
    low = seen.bound(cut, confidence)
    return Gate(precision, cut, coverage, hits / count, low, count, len(score), needed, curve)


@dataclass(frozen=True)
class _Seen:
    """Held-out labelled rows by falling confidence, with running counts."""

    score: Floats
    hits: Ints
    groups: Ints

    @classmethod
    def of(cls, score: Floats, right: Array, groups: Array | None) -> _Seen:
        order = np.argsort(-score, kind="stable")
        codes = np.arange(len(score)) if groups is None else group_codes(groups)
        first = np.zeros(len(score), np.int64)
        first[np.unique(codes[order], return_index=True)[1]] = 1
        return cls(score[order], np.cumsum(right[order]), np.cumsum(first))

    @property
    def units(self) -> int:
        """Independent observations."""
        return int(self.groups[-1]) if len(self.groups) else 0

    def above(self, cut: float) -> tuple[int, int, int]:
        """Return right ones, rows and groups at or above a threshold."""
        n = int(np.searchsorted(-self.score, -cut, side="right"))
        return (int(self.hits[n - 1]), n, int(self.groups[n - 1])) if n else (0, 0, 0)

    def bound(self, cut: float, confidence: float) -> float:
        """Return the one-sided lower bound of the precision above a threshold."""
        hits, n, units = self.above(cut)
        return clopper_pearson(hits, n, confidence, "lower", groups=units)[0] if n else 0.0


def _levels(units: int, precision: float, alpha: float) -> tuple[Floats, Floats]:
    """Return the shares of the unlabelled rows that are tried, rising, and how much of alpha each starts with."""
    starts = 4
    if precision >= 1 or not units:
        return np.ones(1), np.full(1, alpha)
    least = math.log(alpha / starts) / math.log(precision) * SPARE / units
    places = [share for share in (least * 2**power for power in range(starts - 1)) if share < 1]
    if not places:
        return np.ones(1), np.full(1, alpha)
    shares = np.unique(np.concatenate([np.linspace(min(places), 1.0, STEPS), places]))
    given = np.zeros(len(shares))
    at = np.append(np.searchsorted(shares, places), len(shares) - 1)
    given[at] = alpha / len(at)
    return shares, given


def _curve(ranked: Floats, seen: _Seen) -> tuple[Point, ...]:
    out = []
    for share in np.arange(1, SHOWN + 1) / SHOWN if len(ranked) else ():
        cut = float(ranked[math.ceil(share * len(ranked)) - 1])
        hits, n, units = seen.above(cut)
        low, high = clopper_pearson(hits, n, groups=units) if n else (0.0, 1.0)
        out.append(Point(float(share), cut, hits / n if n else math.nan, low, high, n))
    return tuple(out)
