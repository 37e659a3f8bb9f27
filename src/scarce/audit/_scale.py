"""How far ordinary neighbors are, so that what is nearer stands out."""

from __future__ import annotations

import numpy as np

from scarce.audit import _join_kernel
from scarce.dataset import Floats

ROWS = 1024


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
    ends, ranks = np.empty((n, 2), np.float32), np.array([near - 1, far - 1])
    for a in range(0, n, ROWS):
        near_by = rows[a : a + ROWS] @ reference
        mine = own[a : a + ROWS]
        self_rows = np.flatnonzero(mine >= 0)
        near_by[self_rows, mine[self_rows]] = -np.inf
        _join_kernel.ranked(near_by, ranks, ends[a : a + ROWS])
    ends = np.maximum(1 - ends, 1e-7)
    growth = float(np.median(np.log(ends[:, 1] / ends[:, 0])))
    steps = float(np.sum(1.0 / np.arange(near, far))) if far > near else 1.0
    return np.maximum(ends[:, 0], 0.5 * ends[:, 1]), max(1.0, 2 * steps / max(growth, 1e-3))


def chance_ratio(n: int, dimension: float, *, near: int = 5) -> float:
    """Return the ratio to the local scale below which about one pair in N rows falls by chance.

    In a locally even cloud the nearest of ``near`` neighbors falls within a share u of their volume with probability
    about (near - 1) u, and 1 - cosine grows with the volume to the power 2 / dimension.
    """
    return float((1.0 / (max(near - 1, 1) * max(n, 1))) ** (2.0 / dimension))
