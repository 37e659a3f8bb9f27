"""What the coefficients of agreement are made of: sums over items, and sums over resampled items."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from scarce.dataset import Array, Floats, Ints
from scarce.errors import DataError

MOST_MULTISETS: Final = 2**14
"""Items are counted by the votes they got where there are at most so many possibilities; about 0.5 MiB."""
MOST_PATTERNS: Final = 200_000
"""Items are counted by who said what where there are at most so many possibilities; about 0.8 MiB."""
MOST_ITEMS: Final = 20_000
"""Up to so many items are drawn again; beyond it their sums are drawn from the normal limit."""


def valid(ratings: Array) -> tuple[Ints, int]:
    """Return (N, R) class codes, -1 = missing, and K; refuse anything else."""
    rows, who = np.asarray(ratings), "metric.agreement"
    if rows.ndim != 2:
        raise DataError(who, f"ratings have shape {rows.shape}", do="pass (N, R): one row an item, one column a rater")
    if rows.dtype.kind not in "iu":
        raise DataError(who, f"ratings are {rows.dtype}", do="pass whole numbers: class codes, -1 = missing")
    low, high = (int(rows.min()), int(rows.max())) if rows.size else (0, -1)
    if low < -1:
        raise DataError(who, f"a rating is {low}", do="mark missing ratings with -1")
    if high > 4095:
        known, inverse = np.unique(rows[rows >= 0], return_inverse=True)
        if len(known) > 4096:
            raise DataError(who, f"there are {len(known)} classes", "at most 4096 are compared", "merge classes")
        codes = np.full(rows.shape, -1, np.int32)
        codes[rows >= 0] = inverse
        return codes, len(known)
    return rows, int(high) + 1


def all_pairs(rows: Ints, k: int) -> Ints | None:
    """Return (R, R, K, K) counts of what each pair said, above the diagonal; None where that takes too much."""
    from scarce.metric import _votes

    raters, size = rows.shape[1], (k + 1) ** rows.shape[1]
    if size > min(MOST_PATTERNS, len(rows) // 2) or (raters * k) ** 2 > MOST_PATTERNS // 8:
        return None
    times, out = np.zeros(size, np.int32), np.zeros((raters, raters, k, k), np.int64)
    _votes.patterns(rows, k, times)
    _votes.unfolded(times, k, out)
    return out


def pair_counts(rows: Ints, k: int, one: int, others: range) -> Ints:
    """Return (B, K, K) counts of what one rater and B others said about the same items."""
    from scarce.metric import _votes

    out = np.zeros((len(others), k, k), np.int64)
    _votes.confusions(rows, one, others.start, out)
    return out


def distinct(rows: Ints, k: int) -> tuple[Ints, Ints] | None:
    """Return (P, K) votes per class and (P,) how many items got them; None where there would be too many."""
    from scarce.metric import _votes

    raters = rows.shape[1]
    size = math.comb(k + raters, raters)
    if raters <= 32 and size <= MOST_MULTISETS:
        choose = np.array([[math.comb(a, b) for b in range(raters + 1)] for a in range(k + raters + 1)], np.int64)
        times, counts = np.zeros(size, np.int64), np.zeros((size, k), np.int16)
        _votes.multisets(rows, choose, times, counts)
        return counts[times > 0], times[times > 0]
    if len(rows) > MOST_ITEMS:
        return None
    counts = np.zeros((len(rows), k), np.int32)
    _votes.item_counts(rows, counts)
    return counts, np.ones(len(rows), np.int64)


def terms(counts: Ints) -> Floats:
    """Return (P, 2K + 2) sums that alpha and Fleiss' kappa are made of.

    Per item: votes per class, agreeing votes per class (c (c - 1) / (m - 1)), 1, and the share of agreeing pairs; all
    0 where an item has fewer than two votes.
    """
    votes = counts.sum(axis=1, keepdims=True).astype(float)
    used = votes >= 2
    same = np.where(used, counts * (counts - 1.0), 0.0)
    share = same.sum(axis=1, keepdims=True) / np.maximum(votes * (votes - 1), 1)
    return np.hstack([np.where(used, counts, 0), same / np.maximum(votes - 1, 1), used, share])


def totals(rows: Ints, k: int) -> Floats:
    """Return (2K + 2,) totals of :func:`terms` over all items."""
    from scarce.metric import _votes

    known = distinct(rows, k)
    if known is not None:
        return np.asarray(known[1] @ terms(known[0])) if len(known[0]) else np.zeros(2 * k + 2)
    first, second = np.zeros(2 * k + 2), np.zeros((2 * k + 2, 2 * k + 2))
    _votes.moments(rows, k, first, second)
    return first


def resampled(rows: Ints, k: int, repeats: int, rng: np.random.Generator) -> Floats:
    """Return (B, 2K + 2) totals of resampled items."""
    from scarce.metric import _votes

    known = distinct(rows, k)
    if known is None:
        first, second = np.zeros(2 * k + 2), np.zeros((2 * k + 2, 2 * k + 2))
        _votes.moments(rows, k, first, second)
        spread = second - np.outer(first, first) / len(rows)
        return rng.multivariate_normal(first, spread, size=repeats, method="eigh", check_valid="ignore")
    counts, times = known
    parts, out = terms(counts), np.zeros((repeats, 2 * k + 2))
    if not len(parts):
        return out
    share, block = times / times.sum(), max(1, 16_384 // len(times))
    for start in range(0, repeats, block):
        drawn = rng.multinomial(int(times.sum()), share, size=min(block, repeats - start))
        out[start : start + len(drawn)] = drawn @ parts
    return out


def alpha(totals: Floats, k: int) -> Floats:
    """Return (B,) Krippendorff's alpha (nominal) of (B, 2K + 2) totals; NaN where it is not defined."""
    votes, same = totals[:, :k], totals[:, k : 2 * k].sum(axis=1)
    n = votes.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(1 - (n - 1) * (n - same) / (n * n - (votes * votes).sum(axis=1)))


def class_alpha(totals: Floats, k: int, code: int) -> Floats:
    """Return (B,) alpha of one class against all others."""
    n, own, same = totals[:, :k].sum(axis=1), totals[:, code], totals[:, k + code]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(1 - (n - 1) * (own - same) / (own * (n - own)))


def fleiss(totals: Floats, k: int) -> Floats:
    """Return (B,) Fleiss' kappa of (B, 2K + 2) totals; NaN where it is not defined."""
    votes = totals[:, :k]
    with np.errstate(invalid="ignore", divide="ignore"):
        chance = ((votes / votes.sum(axis=1, keepdims=True)) ** 2).sum(axis=1)
        return np.asarray((totals[:, 2 * k + 1] / totals[:, 2 * k] - chance) / (1 - chance))


def kappa(counts: Array) -> Floats:
    """Return (B,) Cohen's kappa of (B, K, K) counts; NaN where there are none or only one class was named."""
    with np.errstate(invalid="ignore", divide="ignore"):
        share = counts / counts.sum(axis=(1, 2), keepdims=True)
        chance = (share.sum(axis=1) * share.sum(axis=2)).sum(axis=1)
        found = (np.trace(share, axis1=1, axis2=2) - chance) / (1 - chance)
    return np.where(chance < 1 - 1e-12, found, np.nan)
