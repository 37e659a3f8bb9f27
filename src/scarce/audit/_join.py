"""Exact similarity joins over many rows without an (N, N) matrix, and without a copy of the rows.

Pairs of rows are bounded first on their leading principal coordinates: ``<x, y> <= <x1, y1> + |x2| |y2|``
(Cauchy-Schwarz), so one narrow matrix product discards nearly all pairs and only survivors cost the full width. Rows
are taken in the order of their two widest coordinates, so that whole tiles of pairs are out of reach by their boxes.
Where no bound is worth it, the full width is used at once; the result is the same.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from scarce.audit import _join_kernel
from scarce.dataset import Array, Floats, Ints
from scarce.errors import DataError
from scarce.execute.local import cores, single_threaded_algebra
from scarce.extras import available

TILE, TILES_AT_ONCE = 256, 4
ROUNDING = 2e-5
"""Slack for float32 sums; survivors are judged by one exact product."""
HALF_ROUNDING = 0.012
"""Slack for products of bfloat16 coordinates."""
REST = 1e-6
"""Added to the squared length of the rest, which is a difference of rounded numbers."""
MOST_PAIRS = 50_000_000
LEADS = (15, 31, 63, 127)
MANY = 50_000
"""Rows from which on bfloat16 is worth loading torch, where the processor computes with it."""


class Found(NamedTuple):
    """Pairs by place: (P,) first and second member, and (P,) their cosine."""

    i: Ints
    j: Ints
    similarity: Floats


@dataclass(frozen=True)
class Join:
    """Rows in a good order, with what bounds their products.

    Attributes:
        rows: (N, D) float32, of any length.
        other: (N, D) rows to take the second member's from; ``rows`` itself for an ordinary join.
        inverse: (N,) float64 one over the length; 0 for rows that belong to no pair.
        order: (N,) which row stands at each place.
        front: (N, P) by place: coordinates whose product is an upper bound.
        back: the same of ``other``.
        low: (T, P) least coordinate in each tile of ``front``, and of ``back``.
        high: the largest ones.
    """

    rows: Floats
    other: Floats
    inverse: Floats
    order: Ints
    front: Floats
    back: Floats
    low: tuple[Floats, Floats]
    high: tuple[Floats, Floats]

    @classmethod
    def of(cls, rows: Floats, threshold: float, other: Floats | None = None) -> Join:
        """Choose the bound on a sample of the rows, and the order.

        Args:
            rows: (N, D).
            threshold: least cosine.
            other: (N, D) of the same lengths, such that ``<rows[i], other[j]> = <rows[j], other[i]>`` (mirrored rows).
        """
        with np.errstate(over="ignore"):
            rows = np.ascontiguousarray(rows, np.float32)
        inverse = inverse_lengths(rows)
        with single_threaded_algebra():
            basis = _basis(rows, inverse, threshold)
            front = _fronted(rows, inverse, basis)
            order = _places(front)
            front = front[order]
            back = front if other is None else _fronted(other, inverse, basis)[order]
        boxes = [_boxes(front), _boxes(back)]
        return cls(
            rows, rows if other is None else np.ascontiguousarray(other, np.float32), inverse, order, front, back,
            (boxes[0][0], boxes[1][0]), (boxes[0][1], boxes[1][1]),
        )  # fmt: skip

    def runs(self, tile: int, threshold: float) -> Ints:
        """Return (R, 2) first and last place of the runs of columns that a tile of rows must be compared with."""
        low, high = self.low[0][tile], self.high[0][tile]
        gap = np.maximum(np.maximum(self.low[1][tile:] - high, low - self.high[1][tile:]), 0)
        reach = np.sqrt(max(2 - 2 * threshold, 0)) + 2e-4
        near = tile + np.flatnonzero(np.einsum("tp,tp->t", gap, gap) <= reach**2)
        if not len(near):
            return np.zeros((0, 2), np.int64)
        breaks = np.r_[True, np.diff(near) > 1]
        starts = np.flatnonzero(breaks)
        inside = np.arange(len(near)) - starts[np.cumsum(breaks) - 1]
        first = np.flatnonzero(inside % TILES_AT_ONCE == 0)
        last = np.r_[first[1:], len(near)] - 1
        return np.stack([near[first] * TILE, np.minimum((near[last] + 1) * TILE, len(self.rows))], axis=1)


def inverse_lengths(rows: Floats) -> Floats:
    """Return (N,) float64 one over the length of each row; 0 where it has none or holds NaN."""
    out = np.empty(len(rows))
    for start in range(0, len(rows), 1 << 18):
        _join_kernel.inverse_lengths(rows[start : start + (1 << 18)], out[start : start + (1 << 18)])
    return out


def _basis(rows: Floats, inverse: Floats, threshold: float) -> Floats | None:
    """Return (D, P) orthonormal columns that discard most pairs for the least work; None = use the full width."""
    n, width = rows.shape
    if width <= 2 * LEADS[0] or n < 4 * TILE:
        return None
    picked = np.sort(np.random.default_rng([n, width]).choice(n, min(n, 2048 + n // 32, 4096), replace=False))
    sample = _scaled(rows[picked], inverse[picked])
    few = sample[:1024]
    true = float((few @ few.T >= threshold).mean())
    best, least = None, 2.0 * width + 16
    for lead in LEADS:
        if 2 * lead > width or 2.0 * (lead + 1) + 16 >= least:
            break
        basis = _leading(sample, lead)
        front = _with_rest(few, basis)
        survive = max(float((front @ front.T >= threshold).mean()) - true, 0.0)
        cost = 2.0 * (lead + 1) + 16 + survive * (24 * width + 4000)
        if cost < least:
            best, least = basis, cost
    return best


def _leading(sample: Floats, lead: int) -> Floats:
    """Return (D, lead) orthonormal columns near the leading principal directions; any such columns bound rightly."""
    basis = np.random.default_rng(lead).standard_normal((sample.shape[1], lead)).astype(np.float32)
    for _ in range(4):
        basis = np.linalg.qr(sample.T @ (sample @ basis))[0]
    lead_part = sample @ basis
    turn = np.linalg.eigh(np.cov(lead_part, rowvar=False))[1][:, ::-1]
    return np.ascontiguousarray(basis @ turn, np.float32)


def _scaled(rows: Floats, inverse: Floats) -> Floats:
    with np.errstate(invalid="ignore"):
        out = rows * inverse[:, None].astype(np.float32)
    out[inverse == 0] = 0.0
    return out


def _with_rest(rows: Floats, basis: Floats) -> Floats:
    """Return (N, P + 1) leading coordinates of unit rows and the length of the rest."""
    out = np.empty((len(rows), basis.shape[1] + 1), np.float32)
    lead = np.matmul(rows, basis, out=out[:, :-1])
    out[:, -1] = np.sqrt(np.maximum(1 - np.einsum("np,np->n", lead, lead), 0) + REST)
    return out


def _fronted(rows: Floats, inverse: Floats, basis: Floats | None) -> Floats:
    width = rows.shape[1] if basis is None else basis.shape[1] + 1
    front = np.empty((len(rows), width), np.float32)
    for start in range(0, len(rows), 8192):
        part = slice(start, start + 8192)
        unit = _scaled(np.asarray(rows[part], np.float32), inverse[part])
        front[part] = unit if basis is None else _with_rest(unit, basis)
    front[inverse == 0] = 0.0
    return front


def _places(front: Floats) -> Ints:
    """Return the order of the rows: strips along the widest coordinate, each sorted by the second widest."""
    n, width = front.shape
    tiles = -(-n // TILE)
    if tiles < 4 or width < 2:
        return np.arange(n)
    first, second = np.argsort(-front[:: max(1, n // 8192)].var(axis=0), kind="stable")[:2]
    order = np.argsort(front[:, first], kind="stable")
    strip = np.empty(n, np.int64)
    strip[order] = np.arange(n) * max(1, round(np.sqrt(tiles))) // n
    return np.lexsort((front[:, second], strip))


def _boxes(front: Floats) -> tuple[Floats, Floats]:
    starts = np.arange(0, len(front), TILE)
    if not len(starts):
        return front, front
    return np.minimum.reduceat(front, starts), np.maximum.reduceat(front, starts)


def blocks(data: Join, threshold: float, leader: Ints | None = None) -> Iterator[list[Found]]:
    """Yield the pairs at or above the threshold, tile by tile of first members, by place.

    Args:
        data: the rows in order.
        threshold: least similarity.
        leader: (N,) int32 filled with -1, to leave out pairs inside of crowds: a row that many of its tile are near to
            leads a crowd, and two rows that it is near to are not listed. It is filled in.
    """
    n = len(data.rows)
    marks = np.full(1, -1, np.int32) if leader is None else leader
    own, least = (data.rows, data.other, data.inverse, data.order), np.float32(threshold)
    half = half_products(data.front, data.back) if n >= MANY and threshold > 4 * HALF_ROUNDING else None
    cut = np.float32(threshold - ROUNDING) if half is None else half_cut(threshold - HALF_ROUNDING)
    kept = threading.local()

    def compared(run: tuple[int, int, int, int]) -> Found:
        a, b, c, d = run
        if half is not None:
            near = half(a, b, c, d)
        else:
            if not hasattr(kept, "near"):
                kept.near = np.empty(TILE * TILE * TILES_AT_ONCE, np.float32)
            near = kept.near[: (b - a) * (d - c)].reshape(b - a, d - c)
            np.matmul(data.front[a:b], data.back[c:d].T, out=near)
        return Found(*_join_kernel.survivors(near, cut, (a, c), own, least, marks))

    with single_threaded_algebra(), ThreadPoolExecutor(cores()) as pool:
        for tile, a in enumerate(range(0, n, TILE)):
            b = min(n, a + TILE)
            if leader is not None:
                near = data.front[a:b] @ data.back[a:b].T
                _join_kernel.lead(near, np.float32(threshold - ROUNDING), a, own, least, leader)
            runs = [(a, b, int(c), int(d)) for c, d in data.runs(tile, threshold)]
            yield [part for part in pool.map(compared, runs) if len(part.i)]


def half_products(front: Floats, back: Floats) -> Callable[[int, int, int, int], Array] | None:
    """Return a function that gives blocks of bfloat16 products, seen as int16 of the same order; None if slow."""
    if not computes_half():
        return None
    import torch

    left = torch.from_numpy(front).bfloat16()
    right = left if back is front else torch.from_numpy(back).bfloat16()
    kept = threading.local()

    def products(a: int, b: int, c: int, d: int) -> Array:
        if not hasattr(kept, "near"):
            kept.near = torch.empty(TILE * TILE * TILES_AT_ONCE, dtype=torch.bfloat16)
        near = kept.near[: (b - a) * (d - c)].view(b - a, d - c)
        torch.matmul(left[a:b], right[c:d].T, out=near)
        return np.asarray(near.view(torch.int16).numpy())

    return products


def half_cut(value: float) -> np.int16:
    """Return the bits of the bfloat16 at or below a positive number; among positive ones their order is the same."""
    return np.int16(np.float32(value).view(np.int32) >> 16)


def computes_half() -> bool:
    """Return whether torch is installed and this processor multiplies bfloat16 by itself; loads nothing."""
    told = Path("/proc/cpuinfo")
    flags = told.read_text(encoding="utf-8", errors="replace").split() if told.is_file() else []
    return available("torch") and bool({"avx512_bf16", "amx_bf16", "bf16"} & set(flags))


def all_pairs(rows: Floats, threshold: float, *, most: int = MOST_PAIRS) -> tuple[Ints, Floats]:
    """Return (P, 2) pairs i < j in order, and (P,) their similarity.

    Args:
        rows: (N, D) of any length; a memory map is read in blocks.
        threshold: least cosine.
        most: pairs.

    Raises:
        DataError: there are more pairs than ``most``.
    """
    found: list[Found] = []
    count = 0
    data = Join.of(rows, threshold)
    for parts in blocks(data, threshold):
        found += parts
        count += sum(len(part.i) for part in parts)
        if count > most:
            raise DataError(
                "audit.near_duplicate", f"more than {most:,} pairs reach {threshold}", f"of {len(rows):,} rows",
                "raise the threshold, or use the check, which reports groups instead of all pairs",
            )  # fmt: skip
    return _ordered(found, data.order)


def candidate_pairs(
    rows: Floats, threshold: float, *, most_per_row: int = 24, other: Floats | None = None
) -> tuple[Ints, Floats]:
    """Return pairs like :func:`all_pairs`, but in crowds only those with the row that leads it.

    Where still many are near, a row keeps its best few of each run of columns and its first link to any, so that m near
    rows give some ``m * most_per_row`` pairs and hang together.
    """
    data = Join.of(rows, threshold, other)
    leader, linked = np.full(len(rows), -1, np.int32), np.zeros(len(rows), bool)
    found: list[Found] = []
    for parts in blocks(data, threshold, leader):
        for part in parts:
            many = np.bincount(part.i - part.i.min())
            keep = np.ones(len(part.i), bool)
            if many.max() > most_per_row:
                order = np.lexsort((-part.similarity, part.i))
                starts = np.r_[0, np.cumsum(many)]
                keep[order] = np.arange(len(part.i)) - starts[part.i[order] - part.i.min()] < most_per_row
                fresh = np.flatnonzero(~linked[part.j])
                keep[fresh[np.unique(part.j[fresh], return_index=True)[1]]] = True
                keep |= leader[part.i] == part.i
            linked[part.j[keep]] = True
            found.append(Found(part.i[keep], part.j[keep], part.similarity[keep]))
    return _ordered(found, data.order)


def _ordered(found: list[Found], order: Ints) -> tuple[Ints, Floats]:
    if not found:
        return np.zeros((0, 2), np.int64), np.zeros(0, np.float32)
    places = np.stack([np.concatenate([part.i for part in found]), np.concatenate([part.j for part in found])], axis=1)
    value = np.concatenate([part.similarity for part in found])
    pairs = np.sort(order[places], axis=1)
    rank = np.lexsort((pairs[:, 1], pairs[:, 0]))
    return pairs[rank], value[rank]
