"""How much better a second model is on the same samples, with a bound that holds for few and for no disagreements."""

from __future__ import annotations

import math
from typing import Final

from scarce.errors import DataError

WHO: Final = "metric.paired"


def gain_bounds(
    only_first: float, only_second: float, n: float, confidence: float = 0.95, *, groups: int | None = None
) -> tuple[float, float]:
    """Return one-sided (low, high) bounds of the second model's share of right answers minus the first's.

    A bootstrap of 20 samples on which two models agree says that they differ by nothing at all; the score bounds say
    how much 20 samples leave open: 12 points.

    Args:
        only_first: samples that the first model alone gets right.
        only_second: samples that the second alone gets right.
        n: samples in all.
        confidence: of each bound alone, in (0.5, 1).
        groups: independent groups that the samples come from; None = each stands alone. Counts are scaled by groups/n.

    Raises:
        DataError: counts that do not fit.

    Source: Tango 1998, Statistics in Medicine 17, 891-908.

    Example:
        >>> round(gain_bounds(0, 0, 20)[0], 3)
        -0.119
        >>> gain_bounds(0, 0, 0)
        (-1.0, 1.0)
    """
    from scipy.special import ndtri

    if only_first < 0 or only_second < 0 or only_first + only_second > n or not 0.5 < confidence < 1:
        what = f"{only_first:g} and {only_second:g} of {n:g} samples, confidence {confidence:g}"
        raise DataError(WHO, what, do="give counts >= 0 that sum to n at most, and a confidence between 0.5 and 1")
    if n == 0:
        return -1.0, 1.0
    scale = 1.0 if groups is None else min(1.0, groups / n)
    lost, won, n = only_first * scale, only_second * scale, n * scale
    z = float(ndtri(confidence))
    return _lower(won, lost, n, z), -_lower(lost, won, n, z)


def _lower(won: float, lost: float, n: float, z: float) -> float:
    """Return the difference at which the score statistic is z."""
    from scipy.optimize import brentq

    found, least = (won - lost) / n, -1 + 1e-12
    if found <= least or _score(won, lost, n, least) <= z:  # all lost, but for what rounding leaves
        return -1.0
    return float(brentq(lambda difference: _score(won, lost, n, difference) - z, least, found, xtol=1e-10))


def _score(won: float, lost: float, n: float, difference: float) -> float:
    """Return the score statistic of a difference, with the nuisance share at its likeliest value."""
    b = -won - lost + (2 * n - won + lost) * difference
    c = -lost * difference * (1 - difference)
    share = (math.sqrt(max(b * b - 8 * n * c, 0.0)) - b) / (4 * n)
    variance = n * (2 * share + difference * (1 - difference))
    return (won - lost - n * difference) / math.sqrt(max(variance, 1e-300))
