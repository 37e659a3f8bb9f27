"""Confident learning in one pass over the probabilities: thresholds, confident joint, masks of the classic rules.

Masks equal those of cleanlab 2.9 (``find_label_issues``), ties included. Rows are walked in blocks by compiled loops
that release the interpreter lock; no copy of the probabilities is made, so they may be memory-mapped.
Source: Northcutt, Jiang and Chuang 2021 (Confident Learning, JAIR 70), sections 3.1 and 3.2.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from scarce.audit import _scan
from scarce.dataset import Floats, Ints, Mask

SLACK = 1e-6
"""Probabilities closer than this count as equal."""


class BadRowError(ValueError):
    """A row of the probabilities cannot be used; ``row`` says which."""

    def __init__(self, row: int) -> None:
        super().__init__(f"row {row}")
        self.row = row


@dataclass(frozen=True)
class Scan:
    """What one pass found out about N rows.

    Attributes:
        best: (N,) likeliest class.
        guess: (N,) the class that is confidently meant; -1 = none.
        agrees: (N,) the given label is the likeliest class, up to :data:`SLACK`.
        order: (N,) rows sorted by given class, in order inside a class.
        edges: (K + 1,) where each class begins in ``order``.
        own: (N,) probability of the given class, in that order.
        joint: (K, K) confident joint: given class, confident class; calibrated to the counts and rounded.
    """

    best: Ints
    guess: Ints
    agrees: Mask
    order: Ints
    edges: Ints
    own: Floats
    joint: Floats

    def rows(self, given: int) -> Ints:
        """Return the rows of a given class, rising."""
        return self.order[self.edges[given] : self.edges[given + 1]]


def scan(labels: Ints, p: Floats) -> Scan:
    """Read the probabilities once: check them and count.

    Args:
        labels: (N,) codes in [0, K).
        p: (N, K) out-of-sample probabilities.

    Raises:
        BadRowError: a row holds NaN, leaves [0, 1] or does not sum to 1.
    """
    n, classes = p.shape
    order, edges, own = _scan.sorted_by_class(labels, p)
    slack = p.dtype.type(SLACK)
    limit = thresholds(own, edges) - slack
    best, guess = (np.empty(n, np.int32) for _ in range(2))
    agrees = np.empty(n, np.bool_)

    def block(start: int, stop: int) -> int:
        for a, b in _scan.pieces(p, start, stop):
            rows, bits = _scan.whole(p[a:b])
            bad = _scan.scan_rows(rows, bits, labels[a:b], limit, slack, (best[a:b], guess[a:b], agrees[a:b]))
            if bad >= 0:
                return a + int(bad)
        return -1

    bad = min((row for row in _scan.in_blocks(block, n) if row >= 0), default=-1)
    if bad >= 0:
        raise BadRowError(bad)
    joint = np.zeros((classes, classes)).T  # column order fixes the last digit of cleanlab's sums
    _scan.count_pairs(labels, guess, joint)
    return Scan(best, guess, agrees, order, edges, own, calibrated(joint, np.diff(edges)))


def calibrated(joint: Floats, counts: Ints) -> Floats:
    """Return the confident joint scaled so that every given class has its count, in whole numbers.

    Args:
        joint: (K, K) counts of given class by confident class; changed in place, since with many classes new memory
            costs more than the arithmetic.
        counts: (K,) rows per given class.
    """
    np.fill_diagonal(joint, np.maximum(joint.diagonal(), 1))
    joint /= np.maximum(joint.sum(axis=1), 1e-100)[:, None]
    joint *= counts[:, None]
    joint /= max(joint.sum(), 1e-100)
    joint *= counts.sum()
    return round_rows(joint)


def thresholds(own: Floats, edges: Ints) -> Floats:
    """Return (K,) mean probability of a class over the rows given to it; 2 for a class without rows.

    Args:
        own: (N,) probability of the given class, sorted by class.
        edges: (K + 1,) where each class begins.
    """
    means = [np.mean(own[a:b]) if b > a else 2.0 for a, b in pairwise(edges.tolist())]
    return np.asarray(np.clip(np.array(means, own.dtype), 2 * SLACK, None))


def round_rows(scaled: Floats) -> Floats:
    """Round in place to whole numbers so that every row keeps its total (largest remainders)."""
    missing = np.empty(len(scaled))
    _scan.missing_ones(scaled, missing)
    for row in np.flatnonzero(np.abs(missing) > SLACK):
        values = scaled[row].copy()
        whole, left = np.round(values), missing[row]
        while abs(left) > SLACK:
            sign = -1 if left < 0 else 1
            rank = np.argsort(values - whole)[::-sign][: min(int(abs(left)), len(whole))]
            whole[rank] += sign
            left = np.round(values.sum()) - whole.sum()
        scaled[row] = whole
    return np.round(scaled, out=scaled)


def prune_counts(joint: Floats) -> Floats:
    """Return (K, K) how many rows to flag per confident class (row) and given class (column), in whole numbers.

    The diagonal holds how many are sound; every class keeps at least one. It is the joint itself, transposed, where no
    class must be spared.
    """
    counts = joint.T
    lacking = np.flatnonzero(counts.diagonal() < 1)
    if not len(lacking):
        return counts
    out = counts.copy()
    others = np.maximum(np.count_nonzero(counts[:, lacking], axis=0) - 1.0, 1.0)
    out[:, lacking] = np.trunc(np.maximum(counts[:, lacking] - 1.0 / others, 0))
    out[lacking, lacking] = 1
    return out


def prune_by_noise_rate(labels: Ints, p: Floats, found: Scan) -> Mask:
    """Flag, per pair of classes, as many of the largest margins as the joint counts errors."""
    take = prune_counts(found.joint)
    mask, left = np.zeros(len(labels), np.bool_), np.zeros(take.shape, np.bool_)
    rows = found.order[~found.agrees[found.order]]
    sizes = np.bincount(labels[rows], minlength=len(take))
    edges = np.concatenate([[0], np.cumsum(sizes)])
    cuts = [*np.searchsorted(edges, [a for a, _ in _scan.blocks(len(rows))]).tolist(), len(take)]

    def some(first: int, last: int) -> None:
        _scan.prune_classes(p, rows, edges, take, (first, last), mask, left)

    with ThreadPoolExecutor(len(cuts) - 1) as pool:
        list(pool.map(some, cuts[:-1], cuts[1:]))
    for other, given in np.argwhere(left).tolist():
        whole = found.rows(given)
        if len(whole) > 1:
            margin = p[whole, other] - p[whole, given]
            mask[whole[np.argsort(-margin)[: int(take[other, given])]]] = True
    mask &= ~found.agrees
    return mask


def prune_by_class(labels: Ints, p: Floats, found: Scan) -> Mask:
    """Flag, per given class, as many of the least self-confident rows as the joint counts errors."""
    sound = prune_counts(found.joint).diagonal()
    mask = np.zeros(len(labels), np.bool_)
    for given in range(p.shape[1]):
        rows = found.rows(given)
        many = len(rows) - int(sound[given])
        if len(rows) > 1 and many >= 1:
            mask[_least(rows, found.own[found.edges[given] : found.edges[given + 1]], many)] = True
    mask &= ~found.agrees
    return mask


def _least(rows: Ints, value: Floats, many: int) -> Ints:
    """Return ``many`` rows with the least values; ties are broken as a full sort would."""
    if many >= len(rows):
        return rows
    cut = np.partition(value, many - 1)[many - 1]
    below = value <= cut
    return rows[below] if int(below.sum()) == many else rows[np.argsort(value)[:many]]


def low_quality(labels: Ints, p: Floats, found: Scan, *, margin: bool) -> Mask:
    """Flag as many rows of least self-confidence, or least margin to the best other class, as the joint errors."""
    quality = np.empty(len(labels), p.dtype)
    quality[found.order] = found.own
    if margin:
        quality = (quality - best_other(labels, p) + 1) / 2
    mask = np.zeros(len(labels), bool)
    mask[_least(np.arange(len(labels)), quality, int(confident_errors(labels, found).sum()))] = True
    return mask


def best_other(labels: Ints, p: Floats) -> Floats:
    """Return (N,) largest probability among the classes that are not given; 0 where there is only one class."""
    out = np.zeros(len(labels), p.dtype)
    if p.shape[1] > 1:
        _scan.in_blocks(lambda a, b: _scan.best_others(p[a:b], labels[a:b], out[a:b]), len(labels))
    return out


def confident_errors(labels: Ints, found: Scan) -> Mask:
    """Flag the rows that the confident joint counts off its diagonal."""
    return np.asarray((found.guess >= 0) & (found.guess != labels) & ~found.agrees)
