"""Confident learning in one pass over the probabilities: thresholds, confident joint, masks of the classic rules.

Masks equal those of cleanlab 2.9 (``find_label_issues``), ties included. Rows are walked in blocks by compiled loops
that release the interpreter lock; no copy of the probabilities is made, so they may be memory-mapped.
Source: Northcutt, Jiang and Chuang 2021 (Confident Learning, JAIR 70), sections 3.1 and 3.2.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numba as nb
import numpy as np

from scarce.dataset import Array, Floats, Ints, Mask

SLACK = 1e-6
"""Probabilities closer than this count as equal."""


@dataclass(frozen=True)
class Scan:
    """What one pass found out about N rows.

    Attributes:
        best: (N,) likeliest class.
        runner: (N,) likeliest class other than the given one.
        guess: (N,) the class that is confidently meant; -1 = none.
        agrees: (N,) the given label is the likeliest class, up to :data:`SLACK`.
        counts: (K,) rows per given class.
        joint: (K, K) confident joint: given class, confident class; calibrated to the counts and rounded.
    """

    best: Ints
    runner: Ints
    guess: Ints
    agrees: Mask
    counts: Ints
    joint: Ints


@nb.njit(nogil=True, cache=True)
def _scan_rows(p: Array, y: Array, limit: Array, slack: Any, span: tuple[int, int], out: tuple[Array, ...]) -> None:  # noqa: PLR0917
    best, runner, guess, agrees = out
    classes = p.shape[1]
    for i in range(span[0], span[1]):
        own = p[i, y[i]] + slack
        top, arg, first, confident = p[i, 0], 0, -1, 0
        second, rival, wins = -np.inf, -1, True
        for j in range(classes):
            value = p[i, j]
            if value > top:
                top, arg = value, j
            if value >= limit[j]:
                confident += 1
                if first < 0:
                    first = j
            if j != y[i]:
                if value > second:
                    second, rival = value, j
                if value > own or (j < y[i] and value >= own):
                    wins = False
        best[i] = arg
        runner[i] = rival
        guess[i] = -1 if confident == 0 else (arg if confident > 1 else first)
        agrees[i] = wins


@nb.njit(nogil=True, cache=True)
def _check_rows(p: Array, start: int, stop: int, tolerance: float) -> int:
    for i in range(start, stop):
        total = 0.0
        for j in range(p.shape[1]):
            value = p[i, j]
            if not (value >= -tolerance and value <= 1.0 + tolerance):
                return i
            total += value
        if abs(total - 1.0) > tolerance:
            return i
    return -1


@nb.njit(nogil=True, cache=True)
def _margins(p: Array, rows: Array, skip: Array, pair: tuple[int, int], out: Array) -> int:
    """Fill in p(other) - p(given) of the rows that are not skipped; return how many there are."""
    count = 0
    for i in range(rows.size):
        if not skip[i]:
            out[count] = p[rows[i], pair[0]] - p[rows[i], pair[1]]
            count += 1
    return count


@nb.njit(nogil=True, cache=True)
def _cut(margin: Array, need: int) -> tuple[float, bool]:
    """Return the least margin among the ``need`` largest, and whether a tie there must be broken."""
    if need >= margin.size:
        return -np.inf, False
    cut = np.partition(margin, margin.size - need)[margin.size - need]
    return cut, (margin >= cut).sum() > need


@nb.njit(nogil=True, cache=True)
def _prune_class(p: Array, rows: Array, close: Array, given: int, take: Array) -> tuple[Array, Array]:
    """Return which rows have the largest margins toward any class, and the classes where a tie must be broken.

    Rows whose label is the likeliest have no positive margin, so they are read only where too few others have one.
    """
    tied, found = np.zeros(take.size, np.bool_), np.zeros(rows.size, np.bool_)
    nobody = np.zeros(rows.size, np.bool_)
    margin = np.empty(rows.size, p.dtype)
    for j in range(take.size):
        if take[j] <= 0 or j == given:
            continue
        count = _margins(p, rows, close, (j, given), margin)
        if (margin[:count] > 1e-5).sum() < take[j]:
            count = _margins(p, rows, nobody, (j, given), margin)
        cut, tied[j] = _cut(margin[:count], take[j])
        if not tied[j]:
            for i in range(rows.size):
                found[i] |= not close[i] and p[rows[i], j] - p[rows[i], given] >= cut
    return found, tied


def in_blocks(work: Callable[[int, int], Any], n: int, *, least: int = 20_000) -> list[Any]:
    """Call ``work(start, stop)`` over blocks of rows on all cores."""
    threads = max(1, min(os.cpu_count() or 1, n // least))
    edges = np.linspace(0, n, threads + 1).astype(int)
    if threads == 1:
        return [work(0, n)]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, edges[:-1].tolist(), edges[1:].tolist()))


def first_bad_row(p: Floats, tolerance: float = 1e-2) -> int:
    """Return the first row that holds NaN, leaves [0, 1] or does not sum to 1; -1 if all are fine."""
    found = in_blocks(lambda start, stop: _check_rows(p, start, stop, tolerance), len(p))
    return min((int(row) for row in found if row >= 0), default=-1)


def scan(labels: Ints, p: Floats) -> Scan:
    """Read the probabilities once and count.

    Args:
        labels: (N,) codes in [0, K).
        p: (N, K) out-of-sample probabilities.
    """
    n, classes = p.shape
    counts = np.bincount(labels, minlength=classes)
    limit = thresholds(labels, p) - p.dtype.type(SLACK)
    best, runner, guess = (np.empty(n, np.int32) for _ in range(3))
    agrees = np.empty(n, np.bool_)
    slack, out = p.dtype.type(SLACK), (best, runner, guess, agrees)
    in_blocks(lambda a, b: _scan_rows(p, labels, limit, slack, (a, b), out), n)
    sure = guess >= 0
    pairs = guess[sure].astype(np.int64) * classes + labels[sure]
    joint = (
        np.bincount(pairs, minlength=classes * classes).reshape(classes, classes).T
    )  # column order fixes the sums' last digit
    np.fill_diagonal(joint, np.maximum(joint.diagonal(), 1))
    scaled = (joint.T / np.maximum(joint.sum(axis=1), 1e-100) * counts).T
    scaled = scaled / max(scaled.sum(), 1e-100) * counts.sum()
    return Scan(best, runner, guess, agrees, counts, round_rows(scaled))


def by_class(labels: Ints, classes: int) -> Ints:
    """Return (N,) row numbers sorted by class, in order inside a class; 16-bit codes are sorted in linear time."""
    return np.asarray(np.argsort(labels.astype(np.uint16) if classes < 2**16 else labels, kind="stable"))


def thresholds(labels: Ints, p: Floats) -> Floats:
    """Return (K,) mean probability of a class over the rows given to it; 2 for a class without rows."""
    own = p[np.arange(len(labels)), labels]
    order = by_class(labels, p.shape[1])
    edges = np.r_[0, np.cumsum(np.bincount(labels, minlength=p.shape[1]))]
    own = own[order]
    means = [np.mean(own[a:b]) if b > a else 2.0 for a, b in pairwise(edges)]
    return np.asarray(np.clip(np.array(means, p.dtype), 2 * SLACK, None))


def round_rows(counts: Floats) -> Ints:
    """Round to whole numbers so that every row keeps its total (largest remainders)."""
    whole = np.round(counts)
    totals = np.round(counts.sum(axis=1))
    for row in np.flatnonzero(np.abs(whole.sum(axis=1) - totals) > SLACK):
        missing = totals[row] - whole[row].sum()
        while abs(missing) > SLACK:
            sign = -1 if missing < 0 else 1
            rank = np.argsort(counts[row] - whole[row])[::-sign][: min(int(abs(missing)), len(whole[row]))]
            whole[row, rank] += sign
            missing = np.round(totals[row] - whole[row].sum())
    return np.asarray(whole.astype(np.int64))


def prune_counts(joint: Ints) -> Ints:
    """Return (K, K) how many rows to flag per confident class (row) and given class (column).

    The diagonal holds how many are sound; every class keeps at least one.
    """
    counts = joint.T
    sound = np.maximum(counts.diagonal(), 1)
    others = np.maximum(np.count_nonzero(counts, axis=0) - 1.0, 1.0)
    out = counts - (sound - counts.diagonal()) / others
    out[out < 0] = 0
    np.fill_diagonal(out, sound)
    return np.asarray(out.astype(np.int64))


def prune_by_noise_rate(labels: Ints, p: Floats, found: Scan) -> Mask:
    """Flag, per pair of classes, as many of the largest margins as the joint counts errors."""
    take = prune_counts(found.joint)
    mask = np.zeros(len(labels), np.bool_)
    order = by_class(labels, p.shape[1])
    edges = np.r_[0, np.cumsum(found.counts)]

    def one(given: int) -> None:
        rows = order[edges[given] : edges[given + 1]]
        if len(rows) <= 1 or not take[:, given].sum() > take[given, given]:
            return
        mask[rows], tied = _prune_class(p, rows, found.agrees[rows], given, take[:, given])
        for other in np.flatnonzero(tied):
            margin = p[rows, other] - p[rows, given]
            mask[rows[np.argsort(-margin)[: take[other, given]]]] = True

    with ThreadPoolExecutor(max(1, min(os.cpu_count() or 1, len(labels) // 20_000))) as pool:
        list(pool.map(one, range(p.shape[1])))
    return np.asarray(mask & ~found.agrees)


def prune_by_class(labels: Ints, p: Floats, found: Scan) -> Mask:
    """Flag, per given class, as many of the least self-confident rows as the joint counts errors."""
    sound = prune_counts(found.joint).diagonal()
    mask = np.zeros(len(labels), np.bool_)
    order = by_class(labels, p.shape[1])
    edges = np.r_[0, np.cumsum(found.counts)]
    for given in range(p.shape[1]):
        rows = order[edges[given] : edges[given + 1]]
        many = len(rows) - int(sound[given])
        if len(rows) > 1 and many >= 1:
            mask[rows[np.argsort(p[rows, given])[:many]]] = True
    return np.asarray(mask & ~found.agrees)


def confident_errors(labels: Ints, found: Scan) -> Mask:
    """Flag the rows that the confident joint counts off its diagonal."""
    return np.asarray((found.guess >= 0) & (found.guess != labels) & ~found.agrees)
