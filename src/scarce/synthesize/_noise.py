"""Perlin's gradient noise."""

from __future__ import annotations

import numpy as np

from scarce.dataset import Floats


def perlin(rng: np.random.Generator, shape: tuple[int, int], cells: int) -> Floats:
    """Return (h, w) float32 gradient noise in about [-1, 1].

    Args:
        rng: of the gradients.
        shape: height and width.
        cells: cells along the longer side.

    Source: Perlin 2002, Improving Noise (quintic fade).
    """
    step = max(shape) / cells
    y, x = (np.arange(size, dtype=np.float32) / np.float32(step) for size in shape)
    row, col = y.astype(int), x.astype(int)
    fy, fx = (y - row)[:, None], (x - col)[None, :]
    angles = rng.uniform(0, 2 * np.pi, (row[-1] + 2, col[-1] + 2))
    gx, gy = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)

    def corner(down: int, across: int) -> Floats:
        at = np.ix_(row + down, col + across)
        return np.asarray(gx[at] * (fx - across) + gy[at] * (fy - down))

    u, v = (t * t * t * (t * (t * 6 - 15) + 10) for t in (fx, fy))
    upper = corner(0, 0) * (1 - u) + corner(0, 1) * u
    lower = corner(1, 0) * (1 - u) + corner(1, 1) * u
    return np.asarray((upper * (1 - v) + lower * v) * np.float32(np.sqrt(2)), np.float32)
