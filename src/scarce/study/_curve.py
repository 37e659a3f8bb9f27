"""Learning curves over seeds: bands, labels needed to reach a target, and the saving against another curve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from scarce.dataset import Array, Floats

REPEATS: Final = 2000
"""Draws of seeds for every interval."""


@dataclass(frozen=True, eq=False)
class Curves:
    """One strategy's scores.

    Attributes:
        labels: (T,) labels so far, rising.
        scores: (S, T) score after each round, one row a seed.
    """

    labels: Array
    scores: Floats

    @property
    def mean(self) -> Floats:
        """(T,) mean over seeds."""
        return np.asarray(self.scores.mean(axis=0))


def labels_to_reach(labels: Array, score: Floats, target: float) -> Floats:
    """Return how many labels curves need to reach a target, between rounds on a straight line; NaN = not reached.

    Args:
        labels: (T,) rising.
        score: (..., T) curves.
        target: wanted score.
    """
    score = np.asarray(score, np.float64)
    labels = np.asarray(labels, np.float64)
    reached = score >= target
    first = reached.argmax(axis=-1)
    before = np.maximum(first - 1, 0)
    high = np.take_along_axis(score, first[..., None], -1)[..., 0]
    low = np.take_along_axis(score, before[..., None], -1)[..., 0]
    rise = np.where(high > low, high - low, 1.0)
    part = np.where(first > 0, np.clip((target - low) / rise, 0.0, 1.0), 1.0)
    found = labels[before] + part * (labels[first] - labels[before])
    return np.where(reached.any(axis=-1), found, np.nan)


def needed(curves: Curves, target: float, *, seed: int = 0) -> dict[str, Any]:
    """Return the labels that the mean curve needs, with the 95 % interval over draws of seeds.

    ``value`` is None where the mean curve ends below the target; ``high`` is None where over 2.5 % of the draws do.
    """
    value = float(labels_to_reach(curves.labels, curves.mean, target))
    low, high = _interval(_drawn_needs(curves, target, _draws(len(curves.scores), seed)))
    return {"value": _plain(value), "low": low, "high": high}


def saving(curves: Curves, against: Curves, target: float, *, seed: int = 0) -> dict[str, Any]:
    """Return the share of labels saved against another strategy, paired by seed, with its 95 % interval.

    Where the other one does not reach the target, its last number of labels stands in for what it would need, and the
    saving is ``at_least`` that. ``value`` is None where the strategy itself does not reach it.

    Args:
        curves: of the strategy; the same seeds as the other.
        against: of the other, usually random.
        target: wanted score.
        seed: of the draws of seeds.
    """
    own = float(labels_to_reach(curves.labels, curves.mean, target))
    other = float(labels_to_reach(against.labels, against.mean, target))
    censored = bool(np.isnan(other))
    last = float(against.labels[-1])
    draws = _draws(min(len(curves.scores), len(against.scores)), seed)
    mine = _drawn_needs(curves, target, draws)
    theirs = np.nan_to_num(_drawn_needs(against, target, draws), nan=last)
    low, high = _interval(1.0 - mine / theirs, missing_high=False)
    value = 1.0 - own / (last if censored else other)
    return {"value": _plain(value), "low": low, "high": high, "at_least": censored and not np.isnan(own)}


def difference(curves: Curves, against: Curves, labels: float, *, seed: int = 0) -> dict[str, Any]:
    """Return how much higher the score is at a number of labels, paired by seed, with its 95 % interval."""
    gap = _at(curves, labels) - _at(against, labels)
    means = gap[_draws(len(gap), seed)].mean(axis=1)
    low, high = _interval(means)
    return {"value": float(gap.mean()), "low": low, "high": high}


def _at(curves: Curves, labels: float) -> Floats:
    return np.array([np.interp(labels, curves.labels, row) for row in curves.scores])


def _draws(seeds: int, seed: int) -> Array:
    return np.random.default_rng([seed, seeds]).integers(0, seeds, (REPEATS, seeds))


def _drawn_needs(curves: Curves, target: float, draws: Array) -> Floats:
    return labels_to_reach(curves.labels, curves.scores[draws].mean(axis=1), target)


def _interval(values: Floats, *, missing_high: bool = True) -> tuple[float | None, float | None]:
    """Return the middle 95 %; what is missing counts as worst: as more labels, or as a smaller saving."""
    if np.isnan(values).all():
        return None, None
    filled = np.sort(np.nan_to_num(values, nan=np.inf if missing_high else -np.inf))
    low, high = filled[int(0.025 * (len(filled) - 1))], filled[int(np.ceil(0.975 * (len(filled) - 1)))]
    return _plain(float(low)), _plain(float(high))


def _plain(value: float) -> float | None:
    return value if np.isfinite(value) else None
