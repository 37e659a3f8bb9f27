"""Exact joins of 64-bit hashes by their Hamming distance.

Hashes that differ in at most m bits are equal in one of m + 1 pieces at least (Manku, Jain and Das Sarma 2007), so only
those which share a piece are compared; where pieces are too common for that, all are.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba as nb
import numpy as np

from scarce.dataset import Array, Ints
from scarce.errors import DataError
from scarce.execute.local import cores

MOST_PAIRS = 50_000_000
RUN = 128


@nb.njit(nogil=True, cache=True)
def _bits(x: Any) -> Any:
    x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (x * np.uint64(0x0101010101010101)) >> np.uint64(56)


@nb.njit(nogil=True, cache=True)
def _near(own: Any, others: Any, most: Any) -> Any:
    hits = np.uint64(0)
    for k in range(others.size):
        hits += np.uint64(_bits(own ^ others[k]) <= most)
    return hits


@nb.njit(nogil=True, cache=True)
def _first(different: Any, masks: Any) -> Any:
    """Return the first piece in which no bit is different."""
    for piece in range(masks.size):
        if different & masks[piece] == 0:
            return piece
    return masks.size


@nb.njit(nogil=True, cache=True)
def _sharing(hashes: Any, ends: Any, piece: int, masks: Any, most: Any, part: Any) -> Any:  # noqa: PLR0917  a kernel
    """Return (P, 2) places of near hashes that share this piece and none before it.

    Args:
        hashes: (N,) ordered so that those which share the piece lie together.
        ends: (N,) where each one's run ends.
        piece: its number.
        masks: (M,) the bits of each piece.
        most: bits that may differ.
        part: first place, step of places and most pairs.
    """
    start, step, limit = part
    out, count = np.empty((256, 2), np.int64), 0
    for p in range(start, hashes.size, step):
        own = hashes[p]
        for a in range(p + 1, ends[p], RUN):
            b = min(ends[p], a + RUN)
            if _near(own, hashes[a:b], most) == 0:
                continue
            for q in range(a, b):
                different = own ^ hashes[q]
                if _bits(different) > most or _first(different, masks) != piece:
                    continue
                if count == len(out):
                    out = np.concatenate((out, out))
                out[count, 0], out[count, 1] = p, q
                count += 1
            if count > limit:
                return out[:count].copy()
    return out[:count].copy()


def near_hashes(hashes: Array, most: int, *, limit: int = MOST_PAIRS) -> Ints:
    """Return (P, 2) pairs i < j of (N,) uint64 hashes that differ in at most ``most`` bits, in order.

    Raises:
        DataError: there are more than ``limit`` pairs.
    """
    n = len(hashes)
    equal = np.unique(hashes, return_counts=True)[1]
    _within(int((equal * (equal - 1) // 2).sum()), most, limit)
    masks = _pieces(most)
    orders = [np.argsort(hashes & mask, kind="stable") for mask in masks]
    ends = [_run_ends((hashes & mask)[order]) for mask, order in zip(masks, orders, strict=True)]
    if sum(int((end - np.arange(n)).sum()) for end in ends) > n * n // 2:
        masks, orders, ends = np.zeros(1, np.uint64), [np.arange(n)], [np.full(n, n, np.int64)]
    threads = cores()
    jobs = [(piece, start) for piece in range(len(masks)) for start in range(threads)]

    def found(job: tuple[int, int]) -> Ints:
        piece, start = job
        order = orders[piece]
        part = (start, threads, limit)
        return np.asarray(order[_sharing(hashes[order], ends[piece], piece, masks, np.uint64(most), part)], np.int64)

    with ThreadPoolExecutor(threads) as pool:
        parts = list(pool.map(found, jobs))
    _within(sum(map(len, parts)), most, limit)
    pairs = np.sort(np.concatenate([np.zeros((0, 2), np.int64), *parts]), axis=1)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def _pieces(most: int) -> Array:
    """Return (most + 1,) masks of the pieces of 64 bits; one empty mask if each would be too short to tell anything."""
    if most > 20:
        return np.zeros(1, np.uint64)
    edges = np.arange(most + 2) * 64 // (most + 1)
    spans = zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    return np.array([((1 << (high - low)) - 1) << low for low, high in spans], np.uint64)


def _run_ends(keys: Array) -> Ints:
    """Return (N,) where the run of equal keys ends that each belongs to."""
    if not len(keys):
        return np.zeros(0, np.int64)
    last = np.r_[np.flatnonzero(keys[1:] != keys[:-1]) + 1, len(keys)]
    return np.repeat(last, np.diff(np.r_[0, last]))


def _within(count: int, most: int, limit: int) -> None:
    if count > limit:
        raise DataError("audit.near_duplicate", f"{count:,} pairs of hashes or more differ in at most {most} bits",
                        f"at most {limit:,} are given", "lower max_distance, or drop equal hashes first")  # fmt: skip
