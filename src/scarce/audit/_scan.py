"""The compiled loops of confident learning: one read of every row of probabilities, on all cores.

A row is walked in short loops that the compiler turns into vector instructions: its sum and the sum of its magnitudes
(which prove that it holds no NaN and stays in [0, 1]), its largest value, and how many values reach their class's
threshold. The largest value is sought among the floats' bits as whole numbers, which order like the floats themselves
where these are positive, since a maximum of whole numbers may be taken in any order. Only then is an index looked for.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numba as nb
import numpy as np

from scarce.dataset import Array, Floats, Ints

TOLERANCE = 1e-2
"""A row may miss a sum of 1, or leave [0, 1], by this much."""
STRIDE, CELLS = 128, 500_000
NARROW = 24
"""Up to so many classes one plain loop is faster than several vector loops."""
_ANY_ORDER = {"reassoc", "nsz"}
"""Sums may be taken in any order; NaN and infinity keep their meaning."""


@nb.njit(nogil=True, cache=True, fastmath=_ANY_ORDER, inline="never")
def _sums(row: Array, zero: Any) -> tuple[Any, Any]:
    total, size = zero, zero
    for j in range(row.size):
        total += row[j]
        size += abs(row[j])
    return total, size


@nb.njit(nogil=True, cache=True)
def _largest(bits: Array, least: Any) -> Any:
    top = least
    for j in range(bits.size):
        top = max(bits[j], top)
    return top


@nb.njit(nogil=True, cache=True, fastmath=_ANY_ORDER)
def _reaching(row: Array, limit: Array, zero: Any, one: Any) -> Any:
    count = zero
    for j in range(row.size):
        count += one if row[j] >= limit[j] else zero
    return count


@nb.njit(nogil=True, cache=True)
def _equals(bits: Array, value: Any, zero: Any, one: Any) -> Any:
    found = zero
    for j in range(bits.size):
        found |= one if bits[j] == value else zero
    return found


@nb.njit(nogil=True, cache=True)
def _first(bits: Array, value: Any, zero: Any, one: Any) -> int:
    """Return the first place of a value that is there."""
    start = 0
    while start + STRIDE < bits.size and _equals(bits[start : start + STRIDE], value, zero, one) == zero:
        start += STRIDE
    while bits[start] != value:
        start += 1
    return start


@nb.njit(nogil=True, cache=True)
def _wins(row: Array, given: int, own: Any) -> bool:
    """Return whether no other class exceeds ``own``, and no earlier one reaches it."""
    for j in range(row.size):  # noqa: SIM110  compiled
        if j != given and (row[j] > own or (j < given and row[j] >= own)):
            return False
    return True


@nb.njit(nogil=True, cache=True)
def check_rows(p: Array, tolerance: float) -> int:
    """Return the first row that holds NaN, leaves [0, 1] or does not sum to 1; -1 if all are fine."""
    zero = p.dtype.type(0)
    for i in range(len(p)):
        total, size = _sums(p[i], zero)
        if not (abs(total - 1.0) <= tolerance and size - total <= 2 * tolerance):
            return i
    return -1


@nb.njit(nogil=True, cache=True)
def _narrow(row: Array, limit: Array, zero: Any) -> tuple[Any, Any, int, int]:
    """Return the sum, the sum of magnitudes, the likeliest class and how many reach their limit, of a short row."""
    total, size, top, arg, sure = zero, zero, row[0], 0, 0
    for j in range(row.size):
        value = row[j]
        total += value
        size += abs(value)
        sure += value >= limit[j]
        arg = j if value > top else arg
        top = max(top, value)
    return total, size, arg, sure


@nb.njit(nogil=True, cache=True)
def _wide(row: Array, bits: Array, limit: Array, units: tuple[Any, Any, Any, Any]) -> tuple[Any, Any, int, int]:
    """Return the same of a long row."""
    zero, one, nil, unit = units
    total, size = _sums(row, zero)
    if not abs(total) <= 2.0:
        return total, size, 0, 0
    arg = _first(bits, _largest(bits, nil), nil, unit)
    return total, size, arg, int(_reaching(row, limit, zero, one))


@nb.njit(nogil=True, cache=True)
def scan_rows(p: Array, bits: Array, y: Array, limit: Array, slack: Any, out: tuple[Array, Array, Array]) -> int:  # noqa: PLR0917
    """Fill in best, confident class and agreement of a block of rows; return its first bad row, -1 if all are fine.

    Args:
        p: (N, K) probabilities; every row contiguous.
        bits: the same memory as whole numbers of the same width.
        y: (N,) given codes.
        limit: (K,) least probability of a confident row, above 0.
        slack: probabilities closer than this count as equal.
        out: (N,) likeliest class; confident class, -1 = none; whether the given label is the likeliest.
    """
    best, guess, agrees = out
    zero = p.dtype.type(0)
    units = (zero, p.dtype.type(1), bits.dtype.type(0), bits.dtype.type(1))
    narrow = p.shape[1] <= NARROW
    for i in range(len(p)):
        row, given = p[i], y[i]
        total, size, arg, sure = _narrow(row, limit, zero) if narrow else _wide(row, bits[i], limit, units)
        if not (abs(total - 1.0) <= TOLERANCE and size - total <= 2 * TOLERANCE):
            return i
        best[i] = arg
        if sure == 0:
            guess[i] = -1
        elif sure > 1 or row[arg] >= limit[arg]:
            guess[i] = arg
        else:
            j = 0
            while row[j] < limit[j]:
                j += 1
            guess[i] = j
        own = row[given] + slack
        agrees[i] = row[arg] == row[given] or (row[arg] <= own and _wins(row, given, own))
    return -1


@nb.njit(nogil=True, cache=True)
def best_others(p: Array, y: Array, out: Array) -> None:
    """Fill in the largest value of each row at another place than the given one; K >= 2."""
    for i in range(len(p)):
        top = p[i, 1 if y[i] == 0 else 0]
        for j in range(p.shape[1]):
            if j != y[i] and p[i, j] > top:
                top = p[i, j]
        out[i] = top


@nb.njit(nogil=True, cache=True)
def sort_by_class(y: Array, starts: Array, p: Array, order: Array, own: Array) -> None:
    """Fill in the rows sorted by class, in order inside a class, and their probability of the given class."""
    place = starts.copy()
    for i in range(y.size):
        k = y[i]
        order[place[k]] = i
        own[place[k]] = p[i, k]
        place[k] += 1


@nb.njit(nogil=True, cache=True)
def count_pairs(y: Array, guess: Array, joint: Array) -> None:
    """Count given class (row) by confident class (column)."""
    for i in range(y.size):
        if guess[i] >= 0:
            joint[y[i], guess[i]] += 1


@nb.njit(nogil=True, cache=True)
def missing_ones(scaled: Array, missing: Array) -> None:
    """Fill in, per row, by how much the rounded values fall short of the rounded sum."""
    total, whole = np.zeros(len(scaled)), np.zeros(len(scaled))
    for j in range(scaled.shape[1]):
        for i in range(len(scaled)):
            total[i] += scaled[i, j]
            whole[i] += np.rint(scaled[i, j])
    for i in range(len(scaled)):
        missing[i] = np.rint(total[i]) - whole[i]


@nb.njit(nogil=True, cache=True)
def _mark(margin: Array, rows: Array, need: int, mask: Array) -> bool:
    """Mark the rows of the largest positive margins; False if there are too few or a tie must be broken."""
    value, where = np.empty(margin.size, margin.dtype), np.empty(margin.size, np.int64)
    count = 0
    for i in range(margin.size):
        value[count], where[count] = margin[i], rows[i]
        count += margin[i] > 1e-5
    if count < need:
        return False
    value, where = value[:count], where[:count]
    cut = value.max() if need == 1 else np.partition(value, count - need)[count - need]
    reached = 0
    for i in range(count):
        reached += value[i] >= cut
    if reached > need:
        return False
    for i in range(count):
        if value[i] >= cut:
            mask[where[i]] = True
    return True


@nb.njit(nogil=True, cache=True)
def _class_margins(p: Array, rows: Array, given: int, others: Array) -> Array:
    """Return (J, M) how much more probable J other classes are than the given one."""
    margin = np.empty((others.size, rows.size), p.dtype)
    for i in range(rows.size):
        own = p[rows[i], given]
        for k in range(others.size):
            margin[k, i] = p[rows[i], others[k]] - own
    return margin


@nb.njit(nogil=True, cache=True)
def prune_classes(  # noqa: PLR0913, PLR0917
    p: Array, rows: Array, edges: Array, take: Array, span: tuple[int, int], mask: Array, left: Array
) -> None:
    """Mark, per given class of the span and other class, the rows with the largest margins.

    Rows whose label is the likeliest have no positive margin, so only the others are looked at. Pairs where too few of
    these have one, or where a tie must be broken, are left to the caller.

    Args:
        p: (N, K) probabilities.
        rows: (M,) rows whose label is not the likeliest, sorted by given class.
        edges: (K + 1,) where each class begins in ``rows``.
        take: (K, K) how many to mark per other class (row) and given class (column).
        span: first and last given class.
        mask: (N,) receives the marks.
        left: (K, K) receives the pairs that are left, as ``take``.
    """
    for given in range(span[0], span[1]):
        here = rows[edges[given] : edges[given + 1]]
        others = np.flatnonzero(take[:, given] >= 1)
        others = others[others != given]
        step = max(1, CELLS // max(here.size, 1))
        for first in range(0, others.size, step):
            some = others[first : first + step]
            margin = _class_margins(p, here, given, some)
            for k in range(some.size):
                if not _mark(margin[k], here, int(take[some[k], given]), mask):
                    left[some[k], given] = True


def blocks(n: int, *, least: int = 20_000) -> list[tuple[int, int]]:
    """Return as many even spans of N rows as there are cores, none smaller than ``least``."""
    return list(pairwise(np.linspace(0, n, max(1, min(os.cpu_count() or 1, n // least)) + 1).astype(int).tolist()))


def in_blocks(work: Callable[[int, int], Any], n: int, *, least: int = 20_000) -> list[Any]:
    """Call ``work(start, stop)`` over blocks of rows on all cores."""
    spans = blocks(n, least=least)
    if len(spans) == 1:
        return [work(*spans[0])]
    with ThreadPoolExecutor(len(spans)) as pool:
        return list(pool.map(lambda span: work(*span), spans))


def pieces(p: Floats, start: int, stop: int) -> list[tuple[int, int]]:
    """Return spans of rows to be read at once: all, or few where rows are not contiguous and must be copied."""
    step = max(stop - start, 1) if p.flags.c_contiguous else max(1, 500_000 // max(p.shape[1], 1))
    return [(a, min(a + step, stop)) for a in range(start, stop, step)]


def whole(p: Floats) -> tuple[Array, Array]:
    """Return contiguous rows and their bits as whole numbers of the same width."""
    rows = np.ascontiguousarray(p)
    return rows, rows.view(np.int32 if rows.dtype == np.float32 else np.int64)


def first_bad_row(p: Floats) -> int:
    """Return the first row that holds NaN, leaves [0, 1] or does not sum to 1; -1 if all are fine."""

    def block(start: int, stop: int) -> int:
        for a, b in pieces(p, start, stop):
            bad = check_rows(whole(p[a:b])[0], TOLERANCE)
            if bad >= 0:
                return a + int(bad)
        return -1

    return min((row for row in in_blocks(block, len(p)) if row >= 0), default=-1)


def sorted_by_class(labels: Ints, p: Floats) -> tuple[Ints, Ints, Floats]:
    """Return rows sorted by given class, the (K + 1,) edges of the classes, and the sorted self-confidence."""
    edges = np.concatenate([[0], np.cumsum(np.bincount(labels, minlength=p.shape[1]))])
    order, own = np.empty(len(labels), np.int32), np.empty(len(labels), p.dtype)
    sort_by_class(labels, edges[:-1], p, order, own)
    return order, edges, own
