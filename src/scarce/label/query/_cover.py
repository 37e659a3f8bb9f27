"""Neighbors within a radius, block by block, and the greedy cover over them."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numba as nb
import numpy as np

from scarce.dataset import Array, Floats, Ints
from scarce.errors import DataError
from scarce.execute.local import single_threaded_algebra, spread

TILE: Final = 512
WIDE: Final = 8192
LEADS: Final = (31, 63, 127)
MOST_PAIRS: Final = 150_000_000
"""Neighbors that are kept: 600 MB."""


class Graph(NamedTuple):
    """Who is near whom: the neighbors of place i, itself among them, are ``others[starts[i]:starts[i + 1]]``."""

    starts: Ints
    others: Ints


def neighbors(rows: Array, here: Ints, radius: float) -> Graph:
    """Return the graph of rows at most ``radius`` apart.

    Wide rows are bounded first on leading principal coordinates and the length of the rest, whose distance is never the
    larger one; only what survives is compared in full.

    Args:
        rows: (N, D) features.
        here: (M,) row numbers that take part.
        radius: Euclidean.

    Raises:
        DataError: more than 150 million pairs.
    """
    part = np.asarray(rows[here], np.float32)
    part -= part.mean(axis=0, dtype=np.float64).astype(np.float32)
    with single_threaded_algebra():
        front = _fronted(part, radius)
    length = np.einsum("nd,nd->n", front, front)
    slack = 4e-6 * float(length.max(initial=0)) if front is not part else 0.0
    limits = np.float32(radius * radius + slack), np.float32(radius * radius)
    known = [0]

    def tile(start: int) -> tuple[Ints, Ints]:
        if known[0] > MOST_PAIRS:
            return np.zeros(0, np.int32), np.zeros(0, np.int64)
        block = front[start : start + TILE]
        found, count = [], np.zeros(len(block), np.int64)
        for begin in range(0, len(part), WIDE):
            product = block @ front[begin : begin + WIDE].T
            lengths = length[start : start + TILE], length[begin : begin + WIDE]
            others, each = _near(product, lengths, limits, (start, begin), part, front is not part)
            found.append((others, each))
            count += each
        known[0] += int(count.sum())
        return _woven(found, count), count

    done = spread(tile, range(0, len(part), TILE))
    if known[0] > MOST_PAIRS:
        raise DataError(
            "label.query.prob_cover", f"more than {MOST_PAIRS} pairs of {len(part)} samples lie within {radius:.4g}",
            do="give a smaller radius, or ask typi_clust",
        )  # fmt: skip
    counts = np.concatenate([count for _, count in done]) if done else np.zeros(0, np.int64)
    others = np.concatenate([found for found, _ in done]) if done else np.zeros(0, np.int32)
    return Graph(np.concatenate([[0], np.cumsum(counts)]), others)


def _fronted(part: Floats, radius: float) -> Floats:
    """Return (M, P + 1) coordinates whose distances are never larger, or the rows where that is not worth it."""
    n, width = part.shape
    if n < 4 * TILE or width <= 2 * LEADS[0]:
        return part
    sample = part[:: max(1, n // 4096)]
    basis = np.linalg.eigh((sample.T @ sample) / np.float32(len(sample)))[1]
    few = sample[:: max(1, len(sample) // 768)]
    best, least = part, 2.0 * width
    for lead in LEADS:
        turned = _turned(few, basis[:, -lead:])
        length = np.einsum("nd,nd->n", turned, turned)
        far = length[:, None] + length[None] - 2 * (turned @ turned.T)
        cost = 2.0 * (lead + 1) + float((far <= radius * radius).mean()) * (2 * width + 400)
        if 2 * lead <= width and cost < least:
            best, least = basis[:, -lead:], cost
    return part if best is part else _turned(part, best)


def _turned(rows: Floats, basis: Floats) -> Floats:
    """Return coordinates on some orthonormal columns, and the length of what they miss."""
    front = rows @ basis
    rest = np.einsum("nd,nd->n", rows, rows) - np.einsum("nd,nd->n", front, front)
    return np.ascontiguousarray(np.column_stack([front, np.sqrt(np.maximum(rest, 0))]), np.float32)


def _woven(found: list[tuple[Ints, Ints]], count: Ints) -> Ints:
    """Return the neighbors of each row of a tile one after the other, from parts by columns."""
    if len(found) == 1:
        return found[0][0]
    out = np.empty(int(count.sum()), np.int32)
    ends = np.cumsum(count) - count
    for others, each in found:
        own = np.repeat(ends, each) + np.arange(len(others)) - np.repeat(np.cumsum(each) - each, each)
        out[own] = others
        ends = ends + each
    return out


@nb.njit(nogil=True, cache=True)
def _near(product: Any, lengths: Any, limits: Any, at: Any, part: Any, bounded: bool) -> Any:  # noqa: FBT001, PLR0917
    """Return places of columns within the limit, row by row, and how many each row has; a row is near to itself."""
    n, m = product.shape
    left, right = lengths
    start, begin = at
    out, each, count = np.empty(1024, np.int32), np.zeros(n, np.int64), 0
    for i in range(n):
        if count + m > out.size:
            grown = np.empty(2 * out.size + m, np.int32)
            grown[:count] = out[:count]
            out = grown
        before = count
        half = (left[i] - limits[0]) * np.float32(0.5)
        for first in range(0, m, 64):
            last = min(first + 64, m)
            some = np.int32(0)
            for j in range(first, last):
                some += np.int32(product[i, j] >= half + np.float32(0.5) * right[j])
            if some == 0 and not first <= start + i - begin < last:
                continue
            for j in range(first, last):
                out[count] = begin + j
                near = product[i, j] >= half + np.float32(0.5) * right[j] or begin + j == start + i
                count += 1 if near else 0
        if bounded:
            kept = before
            for place in range(before, count):
                if _within(part[start + i], part[out[place]], limits[1]):
                    out[kept] = out[place]
                    kept += 1
            count = kept
        each[i] = count - before
    return out[:count].copy(), each


@nb.njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def _within(left: Any, right: Any, limit: Any) -> Any:
    """Return whether two rows are at most the square root of the limit apart."""
    total = np.float32(0)
    for begin in range(0, left.size, 64):
        for k in range(begin, min(begin + 64, left.size)):
            gap = left[k] - right[k]
            total += gap * gap
        if total > limit:
            return False
    return True


def degrees(graph: Graph, known: int) -> Ints:
    """Return (M,) how many places that the first ``known`` ones do not cover each one covers."""
    out = np.zeros(len(graph.starts) - 1, np.int64)
    covered = np.zeros(len(out), np.bool_)
    _begin(graph.starts, graph.others, known, covered, out)
    return out


def cover(graph: Graph, known: int, n: int, *, cost: Floats | None = None) -> tuple[Ints, Floats]:
    """Return up to n places after the first ``known``, and how many each covers anew; ends when all is covered."""
    degree = np.zeros(len(graph.starts) - 1, np.int64)
    covered = np.zeros(len(degree), np.bool_)
    _begin(graph.starts, graph.others, known, covered, degree)
    share = np.ones(len(degree)) if cost is None else 1 / np.asarray(cost, np.float64)
    share[:known] = 0
    places: list[int] = []
    gains: list[float] = []
    while len(places) < n:
        worth = degree * share
        pick = int(worth.argmax()) if len(worth) else 0
        if not len(worth) or worth[pick] <= 0:
            break
        places.append(pick)
        gains.append(float(degree[pick]))
        _take(graph.starts, graph.others, pick, covered, degree)
        share[pick] = 0
    return np.array(places, np.int64), np.array(gains)


@nb.njit(nogil=True, cache=True)
def _begin(starts: Any, others: Any, known: int, covered: Any, degree: Any) -> None:
    for place in range(starts.size - 1):
        degree[place] = starts[place + 1] - starts[place]
    for place in range(known):
        _take(starts, others, place, covered, degree)


@nb.njit(nogil=True, cache=True)
def _take(starts: Any, others: Any, pick: int, covered: Any, degree: Any) -> None:
    for at in range(starts[pick], starts[pick + 1]):
        near = others[at]
        if covered[near]:
            continue
        covered[near] = True
        for after in range(starts[near], starts[near + 1]):
            degree[others[after]] -= 1


def nearest_stranger(rows: Floats, member: Ints, probes: Ints) -> Floats:
    """Return the distance of some rows to the nearest row of another cluster; inf where there is only one cluster."""
    length = np.einsum("nd,nd->n", rows, rows)
    out = np.empty(len(probes))
    for start in range(0, len(probes), TILE):
        part = probes[start : start + TILE]
        far = length[part, None] + length[None] - 2 * (rows[part] @ rows.T)
        far[member[part, None] == member[None]] = np.inf
        out[start : start + TILE] = np.sqrt(np.maximum(far.min(axis=1), 0))
    return out
