"""How sure a figure is: exact bounds for counts, and the bootstrap over whole groups.

Clopper-Pearson never claims more than the counts prove; that is why operating points use it. Counting or resampling
single photos of one part claims too much; that is why the bounds can count groups and the bootstrap draws whole ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, overload

import numpy as np

from scarce.dataset import Array, Floats
from scarce.errors import DataError

Side = Literal["two", "lower", "upper"]
SAME = 1e-12
"""Draws that differ by less are alike."""


@dataclass(frozen=True)
class Interval:
    """A value with its bounds (NaN = there is no interval), and the draws that gave them (B,)."""

    value: float
    low: float
    high: float
    draws: Floats


@overload
def clopper_pearson(
    k: float, n: float, confidence: float = ..., side: Side = ..., *, groups: int | None = ...
) -> tuple[float, float]: ...
@overload
def clopper_pearson(
    k: Array, n: Array | int, confidence: float = ..., side: Side = ..., *, groups: Array | None = ...
) -> tuple[Floats, Floats]: ...
def clopper_pearson(
    k: Any, n: Any, confidence: float = 0.95, side: Side = "two", *, groups: Any = None
) -> tuple[Any, Any]:
    """Return exact (low, high) bounds of a probability after k successes in n trials.

    Args:
        k: successes, one number or an array.
        n: trials; where it is 0 the bounds are 0 and 1.
        confidence: of the interval, or of the one bound that is asked for.
        side: ``two``, or only a ``lower`` or ``upper`` bound (the other one is then 0 or 1).
        groups: independent groups g that the n trials come from, where several share one (six photos of one tile).
            The bounds are then those of k g/n successes in g trials, which the beta quantiles take as fractions: a
            design effect of n/g, that of groups of one size whose samples always agree. None = each trial stands
            alone, as where g = n: exact.

    Source: Clopper and Pearson 1934; for effective counts Korn and Graubard 1998.

    Example:
        >>> round(clopper_pearson(150, 150, side="lower")[0], 4)
        0.9802
        >>> round(clopper_pearson(18, 18, groups=3)[0], 4)
        0.2924
    """
    from scipy.special import betaincinv

    k, n, scalar = _counts(k, n)
    k, n = (k, n) if groups is None else _by_group(k, n, groups)
    alpha = _alpha(confidence, side)
    with np.errstate(invalid="ignore", divide="ignore"):
        low = np.where(k > 0, betaincinv(np.where(k > 0, k, 1), n - k + 1, alpha), 0.0)
        high = np.where(k < n, betaincinv(k + 1, np.where(k < n, n - k, 1), 1 - alpha), 1.0)
    return _sided(low, high, side, scalar=scalar)


@overload
def wilson(k: int, n: int, confidence: float = ..., side: Side = ...) -> tuple[float, float]: ...
@overload
def wilson(k: Array, n: Array | int, confidence: float = ..., side: Side = ...) -> tuple[Floats, Floats]: ...
def wilson(k: Any, n: Any, confidence: float = 0.95, side: Side = "two") -> tuple[Any, Any]:
    """Return approximate (low, high) bounds, on average right and shorter than the exact ones.

    Use for error bars; for a promise use :func:`clopper_pearson`.

    Source: Wilson 1927.
    """
    from scipy.special import ndtri

    k, n, scalar = _counts(k, n)
    z = -float(ndtri(_alpha(confidence, side)))
    trials = np.maximum(n, 1)
    share = k / trials
    middle = share + z * z / (2 * trials)
    half = z * np.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    low = np.where(n > 0, np.clip((middle - half) / scale, 0, 1), 0.0)
    high = np.where(n > 0, np.clip((middle + half) / scale, 0, 1), 1.0)
    return _sided(low, high, side, scalar=scalar)


def provable(n: int, misses: float = 0, confidence: float = 0.95) -> float:
    """Return the recall that n tested samples with that many misses prove, one-sided and exact.

    Misses may be a fraction, where samples are counted by group.

    Example:
        >>> round(provable(150), 3)
        0.98
    """
    return clopper_pearson(n - misses, n, confidence, "lower")[0] if n else 0.0


provable_recall = provable


def needed_for(recall: float, confidence: float = 0.95) -> int:
    """Return how many samples without a single miss prove a recall, one-sided and exact.

    Example:
        >>> needed_for(0.99)
        299
    """
    if not 0 < recall < 1 or not 0 < confidence < 1:
        what = f"recall {recall}, confidence {confidence}"
        raise DataError("metric.needed_for", what, do="give shares between 0 and 1")
    return math.ceil(math.log(1 - confidence) / math.log(recall) - 1e-12)


def cluster_weights(groups: Array, *, repeats: int, seed: int = 0, strata: Array | None = None) -> Array:
    """Return (B, N) int16 bootstrap counts that draw whole groups with replacement.

    Args:
        groups: (N,) group names or codes; None counts as a group of its own.
        repeats: B.
        seed: of the draws.
        strata: (N,) codes, for example the class. Each group belongs to its commonest stratum, and each stratum keeps
            its number of groups, so that a rare class is in every draw.

    Source: Davison and Hinkley 1997, section 3.8.
    """
    codes = group_codes(groups)
    n_groups = int(codes.max()) + 1 if len(codes) else 0
    home = np.zeros(n_groups, np.int64) if strata is None else _commonest(codes, np.asarray(strata), n_groups)
    rng = np.random.default_rng([seed, 0x636C75])
    drawn = np.empty((repeats, n_groups), np.int16)
    shift = np.arange(repeats)[:, None]
    for stratum in np.unique(home):
        members = np.flatnonzero(home == stratum)
        picks = rng.integers(len(members), size=(repeats, len(members))) + shift * len(members)
        drawn[:, members] = np.bincount(picks.ravel(), minlength=repeats * len(members)).reshape(repeats, -1)
    return drawn[:, codes]


def cluster_bootstrap(
    groups: Array,
    statistic: Callable[[Array], Floats],
    *,
    repeats: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
    strata: Array | None = None,
) -> Interval:
    """Return the percentile interval of a statistic over resampled groups.

    Draws that are all alike say nothing of what other groups would give: one group drawn again and again, or a score
    that no draw moves. There the bounds are NaN, for an interval of width 0 would claim certainty.

    Args:
        groups: (N,) groups that are drawn whole.
        statistic: takes (B, N) counts and returns (B,) values, for example
            ``lambda w: weighted("macro_f1")(y, probs, w)``; it is called in blocks. Draws that give NaN are left out.
        repeats: B.
        confidence: two-sided.
        seed: of the draws.
        strata: see :func:`cluster_weights`.

    Source: Davison and Hinkley 1997, section 3.8.
    """
    n = len(groups)
    value = float(statistic(np.ones((1, n), np.int16))[0])
    weights = cluster_weights(groups, repeats=repeats, seed=seed, strata=strata)
    block = max(1, 8_000_000 // max(n, 1))
    parts = [statistic(weights[start : start + block]) for start in range(0, repeats, block)]
    draws = np.asarray(np.concatenate(parts) if parts else np.zeros(0), np.float64)
    good = draws[np.isfinite(draws)]
    low, high = quantiles(good, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(value, low, high, draws)


def quantiles(draws: Array, shares: Sequence[float]) -> list[float]:
    """Return quantiles of (B,) finite draws; NaN where there is none, or all are alike."""
    if not len(draws) or float(np.ptp(draws)) < SAME:
        return [float("nan")] * len(shares)
    return [float(value) for value in np.quantile(draws, shares)]


def plausible_confusions(matrix: Array, units: Array, *, draws: int = 1000, seed: int = 0) -> Floats:
    """Return (B, K, K) confusion matrices that the counts leave possible, each row summing to its class's samples.

    A bootstrap of ten hits in ten tries never misses; these do, as Jeffreys' prior has it: a row is drawn from a
    Dirichlet distribution with half a count more on the right answer and half a count shared by the wrong ones.

    Args:
        matrix: (K, K) counts, rows = truth.
        units: (K,) independent observations of each class: its groups, where several samples share one.
        draws: B.
        seed: of the draws.

    Source: Brown, Cai and DasGupta 2001, section 4.3, for two outcomes.
    """
    n, k = matrix.sum(1), len(matrix)
    prior = np.full((k, k), 0.5 / max(k - 1, 1))
    np.fill_diagonal(prior, 0.5)
    share = np.divide(units, n, out=np.zeros(k), where=n > 0)
    drawn = np.random.default_rng([seed, 0x636D]).gamma(matrix * share[:, None] + prior, size=(draws, k, k))
    return np.asarray(drawn / drawn.sum(2, keepdims=True) * n[:, None])


def group_codes(groups: Array) -> Array:
    """Return (N,) int64 codes 0..G-1 of groups; each None (or NaN) is a group of its own."""
    groups = np.asarray(groups)
    if groups.dtype.kind in "iu":
        return np.unique(groups, return_inverse=True)[1].astype(np.int64)
    known: dict[Any, int] = {}
    codes = np.empty(len(groups), np.int64)
    for row, name in enumerate(groups.tolist()):
        alone = name is None or (isinstance(name, float) and math.isnan(name))
        key = ("\0alone", row) if alone else name
        codes[row] = known.setdefault(key, len(known))
    return codes


def _commonest(codes: Array, strata: Array, n_groups: int) -> Array:
    names, inverse = np.unique(strata, return_inverse=True)
    order = np.lexsort((inverse, codes))
    pairs, counts = np.unique(codes[order] * len(names) + inverse[order], return_counts=True)
    group, stratum = pairs // len(names), pairs % len(names)
    home = np.zeros(n_groups, np.int64)
    best = np.lexsort((-stratum, counts))
    home[group[best]] = stratum[best]
    return home


def _counts(k: Any, n: Any) -> tuple[Array, Array, bool]:
    scalar = np.ndim(k) == 0 and np.ndim(n) == 0
    k, n = np.broadcast_arrays(np.asarray(k, np.float64), np.asarray(n, np.float64))
    if (k < 0).any() or (k > n).any():
        row = int(np.argmax(((k < 0) | (k > n)).ravel()))
        what = f"{k.ravel()[row]:g} successes in {n.ravel()[row]:g} trials"
        raise DataError("metric.interval", what, do="give 0 <= k <= n")
    return k, n, scalar


def _by_group(k: Array, n: Array, groups: Any) -> tuple[Array, Array]:
    """Return successes and trials scaled to as many trials as there are groups."""
    units = np.broadcast_to(np.asarray(groups, np.float64), n.shape)
    bad = (units > n) | ((units < 1) & (n > 0))
    if bad.any():
        row = int(np.argmax(bad.ravel()))
        what = f"{units.ravel()[row]:g} groups of {n.ravel()[row]:g} trials"
        raise DataError("metric.interval", what, do="give 1 <= groups <= n")
    # All hits stay all hits: k g/n may fall beside g by rounding, and the bound must then still be 1.
    hits = np.where(k == n, units, k * np.divide(units, n, out=np.zeros(n.shape), where=n > 0))
    return hits, units


def _alpha(confidence: float, side: Side) -> float:
    if not 0 < confidence < 1 or side not in ("two", "lower", "upper"):
        what = f"confidence {confidence}, side {side!r}"
        raise DataError("metric.interval", what, do="give 0 < confidence < 1 and two, lower or upper")
    return (1 - confidence) / 2 if side == "two" else 1 - confidence


def _sided(low: Array, high: Array, side: Side, *, scalar: bool) -> tuple[Any, Any]:
    low = np.zeros_like(low) if side == "upper" else low
    high = np.ones_like(high) if side == "lower" else high
    return (float(low), float(high)) if scalar else (low, high)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for their number; NaN stays NaN and does not count. Source: Holm 1979.

    Example:
        >>> [round(value, 3) for value in holm([0.01, 0.5, 0.02])]
        [0.03, 0.5, 0.04]
    """
    order = sorted((index for index, p in enumerate(p_values) if not math.isnan(p)), key=lambda index: p_values[index])
    out = [math.nan] * len(p_values)
    running = 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (len(order) - rank) * p_values[index]))
        out[index] = running
    return out
