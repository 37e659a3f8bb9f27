"""The compiled inner loops of the similarity join."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np

CROWD = 48
"""A row that so many rows of its own tile are near to leads a crowd: pairs inside of it are not listed."""


@nb.njit(nogil=True, cache=True)
def inverse_lengths(rows: Any, out: Any) -> None:
    for i in range(rows.shape[0]):
        squares = np.float64(0.0)
        for k in range(rows.shape[1]):
            squares += np.float64(rows[i, k]) * np.float64(rows[i, k])
        out[i] = 1 / np.sqrt(squares) if np.isfinite(squares) and squares > 1e-24 else 0.0


@nb.njit(nogil=True, cache=True, fastmath=True)
def _dot(left: Any, right: Any) -> Any:
    total = np.float64(0.0)
    for k in range(left.size):
        total += np.float64(left[k]) * np.float64(right[k])
    return total


@nb.njit(nogil=True, cache=True, fastmath=True)
def _largest(values: Any) -> Any:
    best = values[0]
    for k in range(1, values.size):
        best = max(best, values[k])
    return best


@nb.njit(nogil=True, cache=True)
def _cosine(own: Any, p: int, q: int) -> Any:
    rows, other, inverse, order = own
    i, j = order[p], order[q]
    return np.float32(_dot(rows[i], other[j]) * inverse[i] * inverse[j])


@nb.njit(nogil=True, cache=True)
def survivors(near: Any, cut: Any, place: Any, own: Any, least: Any, leader: Any) -> Any:  # noqa: C901, PLR0917  a kernel
    """Return the pairs of one block whose bound reaches the cut and whose cosine the least, as places and cosines.

    Args:
        near: (A, B) bounds, or the bits of positive bounds.
        cut: least bound, of the same type.
        place: place of the first row and of the first column.
        own: rows, other rows, one over their lengths, and which row stands at each place.
        least: least cosine.
        leader: (N,) by place, who leads the crowd that it belongs to, -1 = nobody; (1,) to list crowds in full.
    """
    a, c = place
    i, j, value, count = np.empty(256, np.int64), np.empty(256, np.int64), np.empty(256, np.float32), 0
    for leaders in (True, False):
        for row in range(near.shape[0]):
            p = a + row
            mine = leader[min(p, leader.size - 1)]
            if (mine == p) != leaders:
                continue
            for start in range(max(0, p + 1 - c), near.shape[1], 128):
                stop = min(near.shape[1], start + 128)
                if _largest(near[row, start:stop]) < cut:
                    continue
                for column in range(start, stop):
                    q = c + column
                    if near[row, column] < cut or (mine >= 0 and mine != p and leader[q] == mine):
                        continue
                    cosine = _cosine(own, p, q)
                    if not cosine >= least:
                        continue
                    if leaders and leader[q] < 0:
                        leader[q] = p
                    if count == i.size:
                        i, j, value = np.append(i, i), np.append(j, j), np.append(value, value)
                    i[count], j[count], value[count] = p, q, cosine
                    count += 1
    return i[:count].copy(), j[:count].copy(), value[:count].copy()


@nb.njit(nogil=True, cache=True)
def lead(near: Any, cut: Any, a: Any, own: Any, least: Any, leader: Any) -> None:  # noqa: PLR0917  a kernel
    """Name the rows of one tile that lead crowds, and who follows them."""
    close = np.empty(near.shape[0], np.int64)
    for row in range(near.shape[0]):
        if leader[a + row] >= 0:
            continue
        count = 0
        for column in range(near.shape[0]):
            if column != row and leader[a + column] < 0 and near[row, column] >= cut:
                close[count] = column
                count += 1
        if count < CROWD:
            continue
        kept = 0
        for place in range(count):
            if _cosine(own, a + row, a + close[place]) >= least:
                close[kept] = close[place]
                kept += 1
        if kept >= CROWD:
            leader[a + row] = a + row
            for place in range(kept):
                leader[a + close[place]] = a + row


@nb.njit(nogil=True, cache=True)
def ranked(values: Any, ranks: Any, out: Any) -> None:
    """Write (N, R) the largest values of each row at ascending ranks, 0 = largest.

    Args:
        values: (N, M) float32.
        ranks: (R,) less than M.
        out: (N, R).
    """
    most = ranks[-1] + 1
    top = np.empty(most, np.float32)
    for row in range(values.shape[0]):
        top[:] = -np.inf
        for start in range(0, values.shape[1], 64):
            stop = min(values.shape[1], start + 64)
            if _largest(values[row, start:stop]) <= top[-1]:
                continue
            for column in range(start, stop):
                value = values[row, column]
                if value <= top[-1]:
                    continue
                place = most - 1
                while place > 0 and top[place - 1] < value:
                    top[place] = top[place - 1]
                    place -= 1
                top[place] = value
        for place in range(ranks.size):
            out[row, place] = top[ranks[place]]
