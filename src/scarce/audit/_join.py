"""Exact similarity joins over many rows without an (N, N) matrix.

Pairs of unit rows are bounded first on their leading principal coordinates: ``<x, y> <= <x1, y1> + |x2| |y2|``
(Cauchy-Schwarz), so one narrow matrix product discards nearly all pairs and only survivors cost the full width. Where
the spectrum does not decay, the full width is used at once; the result is the same.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numba as nb
import numpy as np

from scarce.dataset import Array, Floats, Ints
from scarce.errors import DataError

ROWS, COLUMNS = 1024, 8192
ROUNDING = 2e-5
"""Slack for float32 sums; survivors are judged by one exact product."""
MOST_PAIRS = 50_000_000
LEADS = (31, 127)


@dataclass(frozen=True)
class Bounded:
    """Unit rows with what bounds their products.

    Attributes:
        rows: (N, D) float32 of length 1 (or 0).
        front: (N, P) coordinates whose product is an upper bound; ``rows`` itself if it is not worth it.
        exact: whether ``front`` is ``rows``.
    """

    rows: Floats
    front: Floats
    exact: bool

    @classmethod
    def of(cls, rows: Floats, threshold: float) -> Bounded:
        """Choose between a narrow bound and the full width on a sample of the rows."""
        n, width = rows.shape
        if width <= 2 * LEADS[0] or n < 2 * ROWS:
            return cls(rows, rows, exact=True)
        sample = rows[np.random.default_rng([n, width]).choice(n, min(n, 2048), replace=False)]
        for lead in LEADS:
            if 4 * lead > width:
                break
            basis = _leading(sample, lead)
            few = _fronted(sample[:1024], basis)
            if (few @ few.T >= threshold).mean() < 1 / 1024 + 0.003:
                return cls(rows, _fronted(rows, basis), exact=False)
        return cls(rows, rows, exact=True)


def _leading(sample: Floats, lead: int) -> Floats:
    """Return (D, lead) orthonormal columns near the leading principal directions; any such columns bound rightly."""
    basis = np.random.default_rng(lead).standard_normal((sample.shape[1], lead)).astype(np.float32)
    for _ in range(4):
        basis = np.linalg.qr(sample.T @ (sample @ basis))[0]
    return np.ascontiguousarray(basis, np.float32)


def _fronted(rows: Floats, basis: Floats) -> Floats:
    """Return (N, P + 1) leading coordinates and the length of the rest."""
    lead = rows @ basis
    rest = np.einsum("nd,nd->n", rows, rows) - np.einsum("np,np->n", lead, lead)
    return np.concatenate([lead, np.sqrt(np.maximum(rest, 0))[:, None]], axis=1).astype(np.float32)


def blocks(data: Bounded, threshold: float, other: Floats | None = None) -> Iterator[tuple[Ints, Ints, Floats]]:
    """Yield (i, j, similarity) of all pairs i < j at or above the threshold, block by block, ordered by block.

    Args:
        data: the rows, with what bounds their products.
        threshold: least similarity.
        other: (N, D) rows to take the second member's from (mirrored ones, for example); always at full width.
    """
    n = len(data.rows)
    if other is not None:
        data = Bounded(data.rows, data.rows, exact=True)
    front, back = data.front, data.front if other is None else other
    cut = np.float32(threshold - ROUNDING)
    buffer = np.empty((min(ROWS, n), min(COLUMNS, n)), np.float32)
    for a in range(0, n, ROWS):
        b = min(n, a + ROWS)
        for c in range(a, n, COLUMNS):
            d = min(n, c + COLUMNS)
            near = np.matmul(front[a:b], back[c:d].T, out=_view(buffer, b - a, d - c))
            flat = np.flatnonzero(near.ravel() >= cut)
            if not len(flat):
                continue
            i, j = np.divmod(flat, d - c)
            i, j, value = i + a, j + c, near.ravel()[flat]
            upper = j > i
            i, j, value = i[upper], j[upper], value[upper]
            if not data.exact:
                value = products(data.rows, i, j)
            elif other is None:
                close = np.abs(value - threshold) < 2 * ROUNDING
                value[close] = products(data.rows, i[close], j[close])
            keep = value >= threshold
            yield i[keep], j[keep], value[keep]


def products(rows: Floats, i: Ints, j: Ints) -> Floats:
    """Return (P,) inner products of rows i and j, summed in float64."""
    out = np.empty(len(i), np.float32)
    step = max(1, 8_000_000 // max(rows.shape[1], 1))
    for a in range(0, len(i), step):
        left, right = rows[i[a : a + step]], rows[j[a : a + step]]
        out[a : a + step] = np.einsum("nd,nd->n", left, right, dtype=np.float64)
    return out


def all_pairs(rows: Floats, threshold: float, *, most: int = MOST_PAIRS) -> tuple[Ints, Floats]:
    """Return (P, 2) pairs i < j in order, and (P,) their similarity.

    Raises:
        DataError: there are more pairs than ``most``.
    """
    found: list[tuple[Ints, Ints, Floats]] = []
    count = 0
    for part in blocks(Bounded.of(rows, threshold), threshold):
        found.append(part)
        count += len(part[0])
        if count > most:
            raise DataError(
                "audit.near_duplicate", f"more than {most:,} pairs reach {threshold}", f"of {len(rows):,} rows",
                "raise the threshold, or use the check, which reports groups instead of all pairs",
            )  # fmt: skip
    return _ordered(found)


def candidate_pairs(
    rows: Floats, threshold: float, *, most_per_row: int = 24, other: Floats | None = None
) -> tuple[Ints, Floats]:
    """Return pairs like :func:`all_pairs`, but in crowds only the best few per row and block.

    A row always keeps its pair with the first row that it is near to, so that a crowd of m near rows gives at most
    about ``m * most_per_row`` pairs and still hangs together.
    """
    first = np.full(len(rows), -1, np.int64)
    found: list[tuple[Ints, Ints, Floats]] = []
    data = Bounded.of(rows, threshold) if other is None else Bounded(rows, rows, exact=True)
    for i, j, value in blocks(data, threshold, other):
        keep = np.ones(len(i), bool)
        if not len(i):
            continue
        fresh = np.flatnonzero(first[j] < 0)
        column, place = np.unique(j[fresh], return_index=True)
        first[column] = i[fresh[place]]
        many = np.bincount(i - i.min())
        if many.max() > most_per_row:
            order = np.lexsort((-value, i))
            starts = np.r_[0, np.cumsum(many)]
            keep[order] = np.arange(len(i)) - starts[i[order] - i.min()] < most_per_row
            keep[fresh[place]] = True
        found.append((i[keep], j[keep], value[keep]))
    return _ordered(found)


def local_scale(rows: Floats, *, near: int = 5, far: int = 20, most: int = 4096) -> tuple[Floats, float]:
    """Return (N,) the distance 1 - similarity at which ordinary neighbors of each row begin, and the dimension.

    The distance is that to the ``near``-th of at most ``most`` reference rows, or half of that to the ``far``-th where
    that is larger (so that a group of up to ``far`` copies does not hide itself). The intrinsic dimension follows from
    how fast the distances grow with the rank (Levina and Bickel 2004).
    """
    n = len(rows)
    if n <= 2:
        return np.ones(n, np.float32), 1.0
    picked = np.arange(n) if n <= most else np.sort(np.random.default_rng([n, most]).choice(n, most, replace=False))
    reference = np.ascontiguousarray(rows[picked].T)
    own = np.full(n, -1)
    own[picked] = np.arange(len(picked))
    near, far = min(near, len(picked) - 1), min(far, len(picked) - 1)
    ends = np.empty((n, 2), np.float32)
    for a in range(0, n, ROWS):
        near_by = rows[a : a + ROWS] @ reference
        mine = own[a : a + ROWS]
        self_rows = np.flatnonzero(mine >= 0)
        near_by[self_rows, mine[self_rows]] = -np.inf
        top = -np.partition(-near_by, (near - 1, far - 1), axis=1)
        ends[a : a + ROWS] = 1 - top[:, (near - 1, far - 1)]
    ends = np.maximum(ends, 1e-7)
    growth = float(np.median(np.log(ends[:, 1] / ends[:, 0])))
    ranks = float(np.sum(1.0 / np.arange(near, far))) if far > near else 1.0
    return np.maximum(ends[:, 0], 0.5 * ends[:, 1]), max(1.0, 2 * ranks / max(growth, 1e-3))


def chance_ratio(n: int, dimension: float, *, near: int = 5) -> float:
    """Return the ratio to the local scale below which about one pair in N rows falls by chance.

    In a locally even cloud the nearest of ``near`` neighbors falls within a share u of their volume with probability
    about (near - 1) u, and 1 - cosine grows with the volume to the power 2 / dimension.
    """
    return float((1.0 / (max(near - 1, 1) * max(n, 1))) ** (2.0 / dimension))


@nb.njit(nogil=True, cache=True)
def _bits(x: Any) -> Any:
    x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (x * np.uint64(0x0101010101010101)) >> np.uint64(56)


@nb.njit(nogil=True, cache=True)
def _count_near(hashes: Array, start: int, step: int, most: Any, counts: Array) -> None:
    n = hashes.size
    for i in range(start, n, step):
        own, hits = hashes[i], np.uint64(0)
        for j in range(i + 1, n):
            hits += np.uint64(_bits(own ^ hashes[j]) <= most)
        counts[i] = hits


@nb.njit(nogil=True, cache=True)
def _fill_near(hashes: Array, most: Any, starts: Array, out: Array) -> None:
    n = hashes.size
    for i in range(n):
        place, stop = starts[i], starts[i + 1]
        j = i + 1
        while place < stop:
            if _bits(hashes[i] ^ hashes[j]) <= most:
                out[place, 0], out[place, 1] = i, j
                place += 1
            j += 1


def near_hashes(hashes: Array, most: int, *, limit: int = MOST_PAIRS) -> Ints:
    """Return (P, 2) pairs i < j of 64-bit hashes that differ in at most ``most`` bits."""
    n, threads = len(hashes), os.cpu_count() or 1
    counts, limit_bits = np.zeros(n, np.int64), np.uint64(most)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda start: _count_near(hashes, start, threads, limit_bits, counts), range(threads)))
    starts = np.r_[0, np.cumsum(counts)]
    if starts[-1] > limit:
        raise DataError("audit.near_duplicate", f"{int(starts[-1]):,} pairs of hashes differ in at most {most} bits",
                        f"at most {limit:,} are given", "lower max_distance, or drop equal hashes first")  # fmt: skip
    out = np.empty((int(starts[-1]), 2), np.int64)
    if len(out):
        _fill_near(hashes, limit_bits, starts, out)
    return out


def _view(buffer: Floats, rows: int, width: int) -> Floats:
    return buffer.reshape(-1)[: rows * width].reshape(rows, width)


def _ordered(found: list[tuple[Ints, Ints, Floats]]) -> tuple[Ints, Floats]:
    if not found:
        return np.zeros((0, 2), np.int64), np.zeros(0, np.float32)
    i, j, value = (np.concatenate(part) for part in zip(*found, strict=True))
    order = np.lexsort((j, i))
    return np.stack([i[order], j[order]], axis=1), value[order]
