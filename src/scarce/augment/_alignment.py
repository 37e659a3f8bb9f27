"""Dynamic time warping in a band: compiled, with memory for the band only."""

from __future__ import annotations

import numba as nb
import numpy as np

from scarce.dataset import Floats, Ints


@nb.njit(nogil=True, cache=True)
def warping_path(one: Floats, two: Floats, band: int) -> tuple[float, Ints]:
    """Return the least sum of squared distances and the (L, 2) int64 pairs of steps of (T, C) and (U, C) series.

    Args:
        one: (T, C) float64, finite.
        two: (U, C) float64, finite.
        band: most steps that the two may run apart; at least abs(T - U).
    """
    rows, columns = len(one), len(two)
    width = 2 * band + 1
    moves = np.zeros((rows, width), np.uint8)  # 0 both, 1 one goes on, 2 two goes on
    above = np.full(width + 1, np.inf)
    for i in range(rows):
        here = np.full(width + 1, np.inf)
        for j in range(max(0, i - band), min(columns, i + band + 1)):
            at = j - i + band
            distance = 0.0
            for c in range(one.shape[1]):
                distance += (one[i, c] - two[j, c]) ** 2
            both = above[at] if i > 0 and j > 0 else np.inf
            down = above[at + 1] if i > 0 else np.inf
            across = here[at - 1] if at > 0 and j > 0 else np.inf
            best, move = both, 0
            if down < best:
                best, move = down, 1
            if across < best:
                best, move = across, 2
            here[at] = distance + (0.0 if i == 0 and j == 0 else best)
            moves[i, at] = move
        above = here
    path = np.empty((rows + columns, 2), np.int64)
    i, j, n = rows - 1, columns - 1, 0
    while True:
        path[n, 0], path[n, 1] = i, j
        n += 1
        if i == 0 and j == 0:
            break
        move = moves[i, j - i + band]
        if i == 0 or (j > 0 and move == 2):
            j -= 1
        elif j == 0 or move == 1:
            i -= 1
        else:
            i -= 1
            j -= 1
    return above[columns - 1 - (rows - 1) + band], path[:n][::-1].copy()
