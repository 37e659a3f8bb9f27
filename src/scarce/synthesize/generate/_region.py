"""Where on a real picture a model may paint."""

from __future__ import annotations

from typing import Final

import numpy as np

from scarce.dataset import Array
from scarce.synthesize._region import object_mask, pick

CHANGED: Final = 12
"""A pixel counts as changed from this difference in gray levels on."""


def paint_region(picture: Array, *, seed: int, share: float) -> Array:
    """Return an (H, W) bool blot on the object, whose radius is a share of the shorter side; at least one pixel."""
    import cv2

    rng = np.random.default_rng(seed)
    height, width = picture.shape[:2]
    inside = object_mask(picture)
    x, y = pick(rng, inside, height, width)
    radius = max(1.0, share * min(height, width) * rng.uniform(0.6, 1.0))
    turn, order = np.linspace(0, 2 * np.pi, 64, endpoint=False), np.arange(2, 6)
    waves, phases = rng.normal(0, 0.2, len(order)) / order, rng.uniform(0, 2 * np.pi, len(order))
    reach = radius * (1 + (waves[:, None] * np.cos(order[:, None] * turn + phases[:, None])).sum(axis=0))
    outline = np.stack([x + reach * np.cos(turn), y + reach * np.sin(turn)], axis=1)
    mask = cv2.fillPoly(np.zeros((height, width), np.uint8), [np.rint(outline).astype(np.int32)], 1).astype(bool)
    if inside is not None:
        mask &= inside
    mask[int(y), int(x)] = True
    return mask


def keep_outside(before: Array, after: Array, region: Array) -> tuple[Array, Array]:
    """Return the picture that is new inside the region only, with a soft edge, and the (H, W) bool changed pixels."""
    import cv2

    height, width = before.shape[:2]
    if after.shape[:2] != (height, width):
        after = np.asarray(cv2.resize(after, (width, height), interpolation=cv2.INTER_AREA))
    if after.ndim != before.ndim:
        after = np.asarray(cv2.cvtColor(after, cv2.COLOR_RGB2GRAY if before.ndim == 2 else cv2.COLOR_GRAY2RGB))
    side = max(3, int(0.01 * min(height, width)) | 1)
    soft = np.asarray(cv2.blur(region.astype(np.float32), (side, side))) * region
    weight = soft if before.ndim == 2 else soft[..., None]
    out = np.rint(before + weight * (after.astype(np.float32) - before)).astype(np.uint8)
    apart = np.abs(out.astype(np.int16) - before)
    return out, region & ((apart if apart.ndim == 2 else apart.max(axis=2)) >= CHANGED)


def to_rgb(picture: Array) -> Array:
    """Return the picture with three channels."""
    return picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)
