"""How likely a difference is by chance: permutation p-values that stop early, and alpha spent over time.

Permuting is exact for samples that are exchangeable where nothing changed. Samples of one unit (part, lot, camera and
hour) are not: of each unit one sample is drawn (:func:`one_each`). Permuting whole units would not do, since the units
of the two sides differ in size and likeness; see ``benchmarks/drift.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np

from scarce.dataset import Array, Floats, Ints
from scarce.errors import DataError

WHO: Final = "flywheel.drift"
ENOUGH: Final = 25
"""So many permutations at least as far off as what was seen end the drawing: p is then far from any alarm, or nearly
as precise as all draws would make it."""
FIRST, GROWTH, MOST_AT_ONCE = 99, 4, 1024
YEAR_DAYS: Final = 365.25

Statistic: TypeAlias = Callable[[Array], Floats]
"""Takes (N, B) float32 marks, 1 = on the second side, and returns (B,) statistics, higher = further apart."""


def one_each(groups: Array, seed: int) -> Ints:
    """Return sorted rows, one drawn at random from each group.

    Example:
        >>> len(one_each(np.array(["a", "a", "b"]), 0))
        2
    """
    if not len(groups):
        return np.zeros(0, np.int64)
    order = np.random.default_rng([seed, 0x756E]).permutation(len(groups))
    return np.sort(order[np.unique(np.asarray(groups)[order], return_index=True)[1]])


def permuted(statistic: Statistic, n: int, m: int, *, permutations: int, seed: int) -> tuple[float, float]:
    """Return the statistic of what was seen, and its p-value among random permutations of the sides.

    Args:
        statistic: see :data:`Statistic`; the n rows of the first side come first.
        n: samples of the first side.
        m: samples of the second.
        permutations: B at most; the smallest p-value is 1 / (B + 1).
        seed: of the draws.
    """
    rng = np.random.default_rng([seed, 0x7065])
    seen = float(statistic(as_seen(n, m))[0])
    return seen, chance(seen, lambda size: statistic(shuffled(n, m, size, rng)), draws=permutations)


def chance(seen: float, draw: Callable[[int], Floats], *, draws: int) -> float:
    """Return the p-value of a statistic among draws of it under the null.

    Drawing ends once :data:`ENOUGH` draws reach what was seen, which keeps the p-value valid and makes looks where
    nothing happened cheap.

    Args:
        seen: the statistic, higher = stranger.
        draw: returns so many draws.
        draws: at most.

    Source: Besag and Clifford 1991 on sequential Monte Carlo p-values.
    """
    done = reached = 0
    size = FIRST
    while done < draws:
        size = min(size, draws - done, MOST_AT_ONCE)
        hits = np.flatnonzero(draw(size) >= seen - 1e-6 * abs(seen))
        if reached + len(hits) >= ENOUGH:
            return ENOUGH / (done + int(hits[ENOUGH - reached - 1]) + 1)
        reached, done, size = reached + len(hits), done + size, size * GROWTH
    return (reached + 1) / (done + 1)


def as_seen(n: int, m: int) -> Array:
    """Return (n + m, 1) marks of the sides as they are."""
    return (np.arange(n + m) >= n).astype(np.float32)[:, None]


def shuffled(n: int, m: int, size: int, rng: np.random.Generator) -> Array:
    """Return (n + m, size) float32 marks; each column has m ones at random places."""
    marks = np.zeros((size, n + m), np.float32)
    marks[:, n:] = 1
    return np.ascontiguousarray(rng.permuted(marks, axis=1).T)


def spent(rate: float, elapsed_days: float) -> float:
    """Return the rate of one look where the rate of a whole year of looks is given.

    What a look may spend grows with the time since the look before, so that any number of looks a year stays within
    the year's rate, whatever they have in common (the reference, overlapping windows).

    Args:
        rate: chance of any false alarm in a year, in (0, 1).
        elapsed_days: since the look before, >= 0.

    Example:
        >>> round(spent(0.05, 7), 5)
        0.00096

    Source: the linear spending function of Lan and DeMets 1983, with Bonferroni in place of their joint law.
    """
    return rate * min(max(elapsed_days, 0.0), YEAR_DAYS) / YEAR_DAYS


def checked_rate(rate: float) -> None:
    """Refuse what is no false-alarm rate; 0 = nothing may raise an alarm.

    Raises:
        DataError: it is no share between 0 and 0.5.
    """
    if not 0 <= rate <= 0.5:
        raise DataError(WHO, f"a rate of {rate:g}", do="give a share up to 0.5: 0.01 is 1 %")
