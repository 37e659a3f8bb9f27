"""Whether two thumbnails show the same picture: equal detail, upright or mirrored."""

from __future__ import annotations

import numpy as np

from scarce.audit._base import unit_rows
from scarce.dataset import Array, Floats

BLUR = 2.0
FLAT = 1.5
"""Thumbnails whose gray levels vary less than this (standard deviation) show nothing that could be compared."""


def detail(thumbnails: Array) -> Floats:
    """Return (N, H, W) float32 thumbnails without their slow shading; flat ones become zero."""
    import cv2

    out = np.empty(thumbnails.shape, np.float32)
    for row, thumbnail in enumerate(thumbnails):
        image = thumbnail.astype(np.float32)
        out[row] = image - cv2.GaussianBlur(image, (0, 0), BLUR) if image.std() >= FLAT else 0.0
    return out


def unit_detail(thumbnails: Array) -> Floats:
    """Return (N, H * W) unit rows whose inner product is the correlation of detail."""
    rows = detail(thumbnails).reshape(len(thumbnails), -1)
    rows -= rows.mean(axis=1, keepdims=True)
    return unit_rows(rows)


def mirrored(rows: Floats, side: int) -> Floats:
    """Return unit detail rows of the mirrored thumbnails."""
    return np.ascontiguousarray(rows.reshape(len(rows), side, -1)[:, :, ::-1]).reshape(len(rows), -1)
