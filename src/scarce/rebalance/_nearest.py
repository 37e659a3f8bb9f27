"""Exact nearest neighbors of some rows among others, in tiles that fit the cache; never an (N, N) matrix."""

from __future__ import annotations

from typing import Any, Final

import numba as nb
import numpy as np

from scarce.dataset import Array, Floats, Ints
from scarce.execute.local import spread

ROWS: Final = 192
TILE: Final = 2048
"""Distances of so many rows to so many others are held at once by a thread: 1.5 MB."""
WIDE: Final = 1e15
"""Larger values are scaled down: their squares would leave the range of float32."""
SPARE: Final = 4
"""So many more than asked for are found in float32 and measured again in float64."""


def nearest(
    queries: Array, among: Array, neighbors: int, *, own: Ints | None = None, workers: int | None = None
) -> Ints:
    """Return (Q, neighbors) int32 row numbers of ``among``, near ones first; equally near ones by number.

    Args:
        queries: (Q, D), finite.
        among: (N, D), finite.
        neighbors: 1 to N, or N - 1 with ``own``.
        own: (Q,) row of ``among`` that each query is, which is not its neighbor; None = none of them.
        workers: threads; None = all cores.
    """
    here = np.full(len(queries), -1, np.int32) if own is None else np.asarray(own, np.int32)
    middle = among.mean(axis=0, dtype=np.float64)
    reach = max(abs(float(among.max())), abs(float(among.min())), float(np.abs(queries).max()))
    unit = reach if reach > WIDE else 1.0
    left = np.empty((len(queries), queries.shape[1] + 1), np.float32)
    left[:, :-1] = -2.0 * ((queries - middle) / unit)
    left[:, -1] = 1.0
    right = np.empty((queries.shape[1] + 1, len(among)), np.float32)
    for start in range(0, len(among), 1 << 16):
        block = ((among[start : start + (1 << 16)] - middle) / unit).astype(np.float32)
        right[:-1, start : start + len(block)] = block.T
        right[-1, start : start + len(block)] = np.einsum("nd,nd->n", block, block)
    wide = min(neighbors + SPARE, len(among) - (own is not None))
    out = np.empty((len(queries), neighbors), np.int32)

    def search(start: int) -> None:
        rows = slice(start, min(start + ROWS, len(queries)))
        count = rows.stop - rows.start
        far, found = np.full((count, wide), np.inf, np.float32), np.full((count, wide), -1, np.int32)
        held = np.empty((count, min(TILE, len(among))), np.float32)
        for first in range(0, len(among), TILE):
            last = min(first + TILE, len(among))
            tile = held if last - first == held.shape[1] else held[:, : last - first].copy()
            np.matmul(left[rows], right[:, first:last], out=tile)
            _keep_nearest(tile, first, here[rows], far, found)
        out[rows] = _in_order(queries[rows], among, found)[:, :neighbors]

    spread(search, list(range(0, len(queries), ROWS)), workers=workers)
    return out


def _in_order(queries: Array, among: Array, found: Ints) -> Ints:
    """Return the found rows ordered by their distance in float64."""
    gap = among[found].astype(np.float64) - queries[:, None].astype(np.float64)
    far: Floats = np.einsum("qkd,qkd->qk", gap, gap)
    return np.asarray(np.take_along_axis(found, np.lexsort((found, far), axis=1), 1))


@nb.njit(nogil=True, cache=True)
def _keep_nearest(tile: Any, first: int, own: Any, far: Any, found: Any) -> None:
    """Merge a tile of squared distances into the nearest so far.

    Args:
        tile: (q, t) distances to rows ``first`` and on.
        first: number of the tile's first row.
        own: (q,) number that is left out.
        far: (q, w) nearest so far, near ones first; changed.
        found: (q, w) their numbers; changed.
    """
    n, width = tile.shape
    most = far.shape[1]
    for i in range(n):
        worst = far[i, most - 1]
        for start in range(0, width, 64):
            stop = min(start + 64, width)
            nearer = 0
            for j in range(start, stop):
                nearer += tile[i, j] < worst
            if not nearer:
                continue
            for j in range(start, stop):
                value = tile[i, j]
                if value >= worst or first + j == own[i]:
                    continue
                k = most - 1
                while k > 0 and far[i, k - 1] > value:
                    far[i, k] = far[i, k - 1]
                    found[i, k] = found[i, k - 1]
                    k -= 1
                far[i, k] = value
                found[i, k] = first + j
                worst = far[i, most - 1]
