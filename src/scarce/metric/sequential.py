"""Bounds of a mean that hold at every look: whoever watches may stop at any time without losing the promise."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from scarce.dataset import Array, Floats
from scarce.errors import DataError

WHO: Final = "metric.sequential"
STAKES: Final = np.concatenate([np.geomspace(0.02, 0.6, 12), 1 - np.geomspace(0.3, 0.003, 6)])
"""Shares of the most that may be staked; the bettor splits the purse among them, one constant stake each."""


def wealth(values: Array, mean: float, weights: Floats | None = None) -> float:
    """Return the log of what a bettor against "the mean is at most ``mean``" has made of 1, at the last value.

    Were it so, the purse would ever reach 1 / alpha with a probability of alpha at most, however often one looks. Each
    value may depend on those before it. What is bounded is the mean of the values' expectations given those before
    them, weighted, as far as they have come. That holds since stakes are constant: a purse is at most its fair part
    times the product of 1 + stake * (expectation / mean - 1), which is at most 1 where the weighted mean is at most
    ``mean``. A stake with which a value so far could have cost more than all is dropped; that only takes from it.

    Args:
        values: (N,) in [0, 1], in any order.
        mean: in (0, 1).
        weights: (N,) positive, each known before its value; None = alike. Only their ratios to the first one's matter
            for the mean, which is why the first is to be 1: a weight above 1 drops stakes, one of 50 drops all.

    Source: Waudby-Smith and Ramdas 2024, JRSS B 86, 1-27; stakes mixed as in Cover 1991; Ville 1939 for the bound.
    """
    return _wealth(*_counted(values, weights), mean)


def _counted(values: Array, weights: Floats | None) -> tuple[Floats, Floats, Array]:
    """Return the different values, the weight of each, and how often both come together."""
    found = np.asarray(values, np.float64)
    if weights is None:
        numbers, counts = np.unique(found, return_counts=True)
        return numbers, np.ones(len(numbers)), counts
    pairs, counts = np.unique(np.stack([found, np.asarray(weights, np.float64)], axis=1), axis=0, return_counts=True)
    return pairs[:, 0], pairs[:, 1], counts


def _wealth(numbers: Floats, weights: Floats, counts: Array, mean: float) -> float:
    stakes = STAKES[STAKES * weights.max(initial=0.0) < 1]
    if not len(stakes):
        return -math.inf
    gains = counts @ np.log1p(stakes * (weights * (numbers / mean - 1))[:, None])
    top = float(gains.max())
    return top + math.log(float(np.exp(gains - top).sum()) / len(STAKES))


def running_lower(values: Array, confidence: float = 0.95, weights: Floats | None = None) -> float:
    """Return a lower bound of the mean of values in [0, 1] that holds at all looks at once, with that confidence.

    Args:
        values: (N,) in [0, 1].
        confidence: in (0.5, 1), of this one bound over the whole time.
        weights: (N,) positive, the first 1; see :func:`wealth`.

    Raises:
        DataError: values outside [0, 1], or another confidence.

    Example:
        >>> round(running_lower(np.ones(100)), 3)
        0.958
        >>> running_lower(np.zeros(0))
        0.0
    """
    found = np.asarray(values, np.float64)
    if not 0.5 < confidence < 1 or (len(found) and not (found.min() >= 0 and found.max() <= 1)):
        raise DataError(WHO, f"values outside [0, 1], or a confidence of {confidence:g}",
                        do="scale the values, and give a confidence between 0.5 and 1")  # fmt: skip
    if not len(found) or found.max() == 0:
        return 0.0
    counted = _counted(found, weights)
    wanted = -math.log1p(-confidence)
    low, high = 0.0, float(np.average(found, weights=weights))
    for _ in range(50):  # the purse falls as the mean rises
        middle = (low + high) / 2
        low, high = (middle, high) if _wealth(*counted, middle) >= wanted else (low, middle)
    return low


def needed_at(values: Array, mean: float, confidence: float = 0.95, weights: Floats | None = None) -> int:
    """Return about how many values in all prove a mean above ``mean`` if those to come are like these; 0 = never.

    Example:
        >>> needed_at(np.ones(1), 0.5)
        7
    """
    numbers, found, counts = _counted(values, weights)
    n, wanted = int(counts.sum()), -math.log1p(-confidence)
    most = 1_000_000
    if not n or _wealth(numbers, found, counts * (most / n), mean) < wanted:
        return 0
    few = 0
    while most - few > 1:
        middle = (few + most) // 2
        proven = _wealth(numbers, found, counts * (middle / n), mean) >= wanted
        few, most = (few, middle) if proven else (middle, most)
    return most


def running_bounds(
    values: Array, low: float, high: float, confidence: float = 0.95, *, above: float | None = None,
    weights: Floats | None = None,
) -> tuple[float, float]:  # fmt: skip
    """Return one-sided (lower, upper) bounds of the mean of values between two limits, each valid at every look.

    Args:
        values: (N,) in [low, high].
        low: no value lies below.
        high: no value lies above.
        confidence: of the lower bound alone, in (0.5, 1).
        above: of the upper bound alone; None = the same.
        weights: (N,) positive, the first 1; see :func:`wealth`.

    Example:
        >>> [round(bound, 3) for bound in running_bounds(np.zeros(200), -1.0, 1.0)]
        [-0.021, 0.021]
    """
    unit = (np.asarray(values, np.float64) - low) / (high - low)
    lower = running_lower(unit, confidence, weights)
    upper = 1 - running_lower(1 - unit, confidence if above is None else above, weights)
    return low + lower * (high - low), low + upper * (high - low)
