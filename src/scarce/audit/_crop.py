"""Whether one thumbnail is a crop of another: the best normalized correlation of shrunk views laid into it."""

from __future__ import annotations

from functools import cache
from typing import Any

import numba as nb
import numpy as np

from scarce.audit._align import BLUR, FLAT
from scarce.dataset import Array, Floats, Ints
from scarce.errors import DataError
from scarce.execute.local import spread

SCALES = (0.95, 0.9, 0.85, 0.8, 0.75, 0.7)
WIDTH = 32
"""Widest thumbnail."""
PAIRS_AT_ONCE = 1024
"""Pairs that are judged together; their views are held in memory (some 35 KB a thumbnail of 32 x 32)."""


def crop_similarity(thumbnails: Array, pairs: Ints, *, workers: int | None = None) -> Floats:
    """Return (P,) the best correlation of detail with one picture shrunk and laid into the other, mirrored or not.

    Args:
        thumbnails: (N, S, S) uint8, S at most 32; pairs with a flat one get -1.
        pairs: (P, 2) row numbers.
        workers: threads; None = all cores.
    """
    if thumbnails.shape[1] > WIDTH:
        wide = f"thumbnails of {thumbnails.shape[1]} pixels"
        raise DataError("audit.near_duplicate", wide, do=f"use {WIDTH} at most")
    starts = range(0, len(pairs), PAIRS_AT_ONCE)
    parts = spread(lambda at: _judged(thumbnails, pairs[at : at + PAIRS_AT_ONCE]), starts, workers=workers)
    return np.concatenate([np.zeros(0, np.float32), *parts])


def _judged(thumbnails: Array, pairs: Ints) -> Floats:
    rows, place = np.unique(pairs, return_inverse=True)
    place = place.reshape(pairs.shape)
    images = thumbnails[rows].astype(np.float32)
    side = images.shape[1]
    sizes = tuple(max(8, round(side * scale)) for scale in SCALES)
    field = _high(images)
    windows = np.concatenate([_inverse_norms(field, size) for size in sizes], axis=1)
    views = np.concatenate([_views(images, size) for size in sizes], axis=1)
    out = np.empty(len(pairs), np.float32)
    _best_fit(_padded(field, 2 * WIDTH), windows, views, np.array(sizes), place, out)
    out[(images.reshape(len(rows), -1).std(axis=1) < FLAT)[place].any(axis=1)] = -1.0
    return np.minimum(out, 1.0)


def _views(images: Floats, size: int) -> Floats:
    """Return (N, 2 * size, WIDTH): detail of the shrunk pictures, of mean 0 and length 1, upright and mirrored."""
    shrink = _shrinking(images.shape[1], size)
    view = _high(shrink @ images @ shrink.T)
    rows = view.reshape(len(view), -1)
    rows -= rows.mean(axis=1, keepdims=True)
    rows /= np.maximum(np.sqrt(np.einsum("nd,nd->n", rows, rows)), 1e-6)[:, None]
    return np.concatenate([_padded(view, WIDTH), _padded(view[:, :, ::-1], WIDTH)], axis=1)


def _padded(values: Floats, width: int) -> Floats:
    """Return (N, H, width) with zeros behind each row, so that all rows have one length."""
    out = np.zeros((*values.shape[:2], width), np.float32)
    out[:, :, : values.shape[2]] = values
    return out


def _inverse_norms(field: Floats, size: int) -> Floats:
    """Return (N, places) one over the length of every window of a size, its mean taken away."""
    side, n = field.shape[1], size * size
    step = np.arange(side) - np.arange(side - size + 1)[:, None]
    inside = ((step >= 0) & (step < size)).astype(np.float32)
    total, squares = inside @ field @ inside.T, inside @ (field * field) @ inside.T
    length = np.sqrt(np.maximum(squares - total * total / n, 0.0))
    return np.asarray(1.0 / np.maximum(length, 1e-6), np.float32).reshape(len(field), -1)


def _high(images: Floats) -> Floats:
    blur = _blurring(images.shape[1])
    return np.ascontiguousarray(images - blur @ images @ blur.T, np.float32)


@cache
def _shrinking(side: int, size: int) -> Floats:
    """Return (size, side): resizing a picture by area is this matrix on both sides."""
    import cv2

    return np.asarray(cv2.resize(np.eye(side, dtype=np.float32), (side, size), interpolation=cv2.INTER_AREA))


@cache
def _blurring(side: int) -> Floats:
    """Return (side, side): a Gaussian blur of a picture is this matrix on both sides."""
    import cv2

    kernel = cv2.getGaussianKernel(2 * round(4 * BLUR) + 1, BLUR, cv2.CV_32F)
    one = np.ones((1, 1), np.float32)
    return np.asarray(cv2.sepFilter2D(np.eye(side, dtype=np.float32), cv2.CV_32F, one, kernel))


@nb.njit(nogil=True, cache=True, fastmath=True)
def _dot(field: Any, y: int, x: int, view: Any, first: int, rows: int) -> Any:  # noqa: PLR0917  a kernel
    """Return the better product of one window with an upright and a mirrored view; the width is fixed, to unroll."""
    upright = mirrored = np.float32(0.0)
    for row in range(rows):
        for column in range(WIDTH):
            upright += field[y + row, x + column] * view[first + row, column]
            mirrored += field[y + row, x + column] * view[first + rows + row, column]
    return max(upright, mirrored)


@nb.njit(nogil=True, cache=True, fastmath=True)
def _best_fit(fields: Any, norms: Any, views: Any, sizes: Any, pairs: Any, out: Any) -> None:  # noqa: PLR0917
    side = fields.shape[1]
    for row in range(len(pairs)):
        best = np.float32(-1.0)
        for turn in range(2):
            field, norm, view = fields[pairs[row, turn]], norms[pairs[row, turn]], views[pairs[row, 1 - turn]]
            first = place = 0
            for size in sizes:
                for y in range(side - size + 1):
                    for x in range(side - size + 1):
                        best = max(best, _dot(field, y, x, view, first, size) * norm[place])
                        place += 1
                first += 2 * size
        out[row] = best
