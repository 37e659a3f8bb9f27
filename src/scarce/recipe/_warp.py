"""Resampling through matrices: many small pictures at once, boxes and masks along."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias, cast

import numpy as np

from scarce.dataset import Array, Floats

Bend: TypeAlias = tuple[Any, Any]
"""An operation with ``sources`` and its drawn parameters."""
BORDERS: Final = ("reflect", "replicate", "constant")
"""What is seen beyond a picture's edge."""
SMALL: Final = 64 * 64
"""Pictures of at most so many pixels are resampled many at a time."""


def compose(after: Floats, before: Floats) -> Floats:
    """Return the (..., 3, 3) product ``after @ before``, summed in a fixed order so that batches agree to the bit."""
    first = after[..., :, 0:1] * before[..., 0:1, :]
    return first + after[..., :, 1:2] * before[..., 1:2, :] + after[..., :, 2:3] * before[..., 2:3, :]


def warp_images(images: Array, matrices: Floats, border: str) -> Array:
    """Return N pictures, each resampled through its matrix, linearly; the same pixels for one picture as for many.

    Args:
        images: (N, H, W) or (N, H, W, 3) uint8.
        matrices: (N, 3, 3) from source to destination pixels.
        border: what is seen beyond the edge: reflect, replicate or constant (black).
    """
    affine = np.asarray(~matrices[:, 2, :2].any(axis=1))
    if images.shape[1] * images.shape[2] > SMALL:
        affine[:] = False
    elif affine.all():
        return _warp_small(images, matrices, border)
    out = np.empty_like(images)
    if affine.any():
        out[affine] = _warp_small(images[affine], matrices[affine], border)
    for row in np.flatnonzero(~affine):
        warp_one(images[row], matrices[row], border, out=out[row])
    return out


def warp_one(image: Array, matrix: Floats, border: str, *, out: Array | None = None, nearest: bool = False) -> Array:
    """Return one picture of any size resampled through its (3, 3) matrix."""
    import cv2

    modes = {"reflect": cv2.BORDER_REFLECT_101, "replicate": cv2.BORDER_REPLICATE, "constant": cv2.BORDER_CONSTANT}
    flags = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
    size = (image.shape[1], image.shape[0])
    if not matrix[2, :2].any():
        return cast("Array", cv2.warpAffine(image, matrix[:2], size, out, flags, modes[border]))
    return cast("Array", cv2.warpPerspective(image, matrix, size, out, flags, modes[border]))


def _warp_small(images: Array, matrices: Floats, border: str) -> Array:
    """Resample many small pictures as one tall one: a call for each costs three times the work itself."""
    import cv2

    n, height, width = images.shape[:3]
    gap = 1 if border == "constant" else 0  # a black row below each picture stands for what lies beyond its edge
    block = max(1, min(256, (2**15 - 2) // (height + gap)))
    if n > block:
        parts = [_warp_small(images[i : i + block], matrices[i : i + block], border) for i in range(0, n, block)]
        return np.concatenate(parts)
    x, y = _sources(matrices, height, width)
    for axis, size in ((x, width), (y, height)):
        if border == "reflect":
            np.abs(axis, out=axis)
            np.abs(np.subtract(size - 1, axis, out=axis), out=axis)
            np.subtract(size - 1, axis, out=axis)
        np.clip(axis, -gap, size - 1 + gap, out=axis)
    y += (np.arange(n, dtype=np.float32) * (height + gap))[:, None, None]
    if gap:
        padded = np.zeros((n, height + gap, *images.shape[2:]), np.uint8)
        padded[:, :height] = images
        images = padded
    tall, mode = images.reshape(-1, *images.shape[2:]), cv2.BORDER_CONSTANT if gap else cv2.BORDER_REPLICATE
    found = cv2.remap(tall, x.reshape(-1, width), y.reshape(-1, width), cv2.INTER_LINEAR, borderMode=mode)
    return np.asarray(found).reshape(n, height, *images.shape[2:])


def _sources(matrices: Floats, height: int, width: int) -> tuple[Floats, Floats]:
    """Return (N, H, W) float32 x and y that each destination pixel is read from, in 1/32 pixel (OpenCV's own grid)."""
    a, b, c, d = matrices[:, 0, 0], matrices[:, 0, 1], matrices[:, 1, 0], matrices[:, 1, 1]
    scale = 32 / (a * d - b * c)
    parts = ((d, -b), (-c, a))
    found = []
    for first, second in parts:
        shift = -(first * matrices[:, 0, 2] + second * matrices[:, 1, 2]) * scale
        across = (first * scale)[:, None] * np.arange(width)
        down = (second * scale)[:, None] * np.arange(height) + shift[:, None]
        axis = across[:, None, :].astype(np.float32) + down[:, :, None].astype(np.float32)
        np.rint(axis, out=axis)
        axis *= np.float32(1 / 32)
        found.append(axis)
    return found[0], found[1]


def warp_boxes(boxes: Floats, matrix: Floats, height: int, width: int) -> Floats:
    """Return the (M, 4) upright boxes around moved boxes, cut at the picture's edge; lost boxes get no area."""
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    x, y = boxes[:, [0, 2, 2, 0]] - 0.5, boxes[:, [1, 1, 3, 3]] - 0.5
    points = np.stack([x, y, np.ones_like(x)], axis=-1) @ matrix.T
    xy = points[..., :2] / points[..., 2:] + 0.5
    low, high = xy.min(axis=1), xy.max(axis=1)
    moved = np.concatenate([low, high], axis=1)
    limit = np.array([width, height, width, height], np.float64)
    cut: Floats = np.clip(moved, 0.0, limit)
    return cut


def bent_sources(steps: Sequence[Floats | Bend], size: tuple[int, int]) -> tuple[Floats, Floats]:
    """Return (H, W) float32 x and y that each pixel is read from after moves in order: matrices and bends."""
    line = [np.arange(side, dtype=np.float32) for side in size]
    x, y = (np.ascontiguousarray(part) for part in np.broadcast_arrays(line[1][None], line[0][:, None]))
    for step in reversed(steps):
        if isinstance(step, tuple):
            x, y = step[0].sources(step[1], x, y, size)
        elif not np.array_equal(step, np.eye(3)):
            x, y = _mapped(np.linalg.inv(step), x, y)
    return x, y


def follow(steps: Sequence[Floats | Bend], x: Floats, y: Floats, size: tuple[int, int]) -> tuple[Floats, Floats]:
    """Return where points go through moves in order; a bend is inverted by fixed-point steps (it is a small one)."""
    for step in steps:
        if not isinstance(step, tuple):
            x, y = _mapped(step, x, y)
            continue
        u, v = x.astype(np.float32), y.astype(np.float32)
        for _ in range(20):
            back_x, back_y = step[0].sources(step[1], u, v, size)
            u, v = u + (x - back_x).astype(np.float32), v + (y - back_y).astype(np.float32)
        x, y = u.astype(np.float64), v.astype(np.float64)
    return x, y


def _mapped(matrix: Floats, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    m = matrix.astype(x.dtype)
    u, v = m[0, 0] * x + m[0, 1] * y + m[0, 2], m[1, 0] * x + m[1, 1] * y + m[1, 2]
    if matrix[2, :2].any():
        w = m[2, 0] * x + m[2, 1] * y + m[2, 2]
        return u / w, v / w
    return u, v


def remap(image: Array, x: Floats, y: Floats, border: str, *, nearest: bool = False) -> Array:
    """Return a picture read at (H, W) float32 places."""
    import cv2

    modes = {"reflect": cv2.BORDER_REFLECT_101, "replicate": cv2.BORDER_REPLICATE, "constant": cv2.BORDER_CONSTANT}
    way = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
    return np.asarray(cv2.remap(image, x.astype(np.float32), y.astype(np.float32), way, borderMode=modes[border]))


def bent_boxes(boxes: Floats, steps: Sequence[Floats | Bend], size: tuple[int, int]) -> Floats:
    """Return the (M, 4) upright boxes around bent ones, from nine points on each side, cut at the edge."""
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    part = np.linspace(0.0, 1.0, 9)
    across = np.concatenate([part, part, np.zeros(9), np.ones(9)])
    down = np.concatenate([np.zeros(9), np.ones(9), part, part])
    x = boxes[:, :1] + (boxes[:, 2:3] - boxes[:, :1]) * across - 0.5
    y = boxes[:, 1:2] + (boxes[:, 3:] - boxes[:, 1:2]) * down - 0.5
    u, v = follow(steps, x, y, size)
    moved = np.stack([u.min(1), v.min(1), u.max(1), v.max(1)], axis=1) + 0.5
    cut: Floats = np.clip(moved, 0.0, np.array([size[1], size[0], size[1], size[0]], np.float64))
    return cut
