"""Whether two thumbnails show the same picture: equal detail, mirrored, or one a crop of the other."""

from __future__ import annotations

import numpy as np

from scarce.audit._base import unit_rows
from scarce.dataset import Array, Floats, Ints

BLUR = 2.0
FLAT = 1.5
"""Thumbnails whose gray levels vary less than this (standard deviation) show nothing that could be compared."""
SCALES = (0.95, 0.9, 0.85, 0.8, 0.75, 0.7)


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


def crop_similarity(thumbnails: Array, pairs: Ints) -> Floats:
    """Return (P,) the best correlation of detail with one picture shrunk and laid into the other, mirrored or not."""
    import cv2

    images = {int(row): thumbnails[row].astype(np.float32) for row in np.unique(pairs)}
    out = np.full(len(pairs), -1.0, np.float32)
    side = thumbnails.shape[1]
    sizes = [max(8, round(side * scale)) for scale in SCALES]
    for row, pair in enumerate(pairs.tolist()):
        for whole, part in (pair, pair[::-1]):
            if min(images[whole].std(), images[part].std()) < FLAT:
                continue
            field = _high(images[whole])
            for turned in (images[part], images[part][:, ::-1]):
                for size in sizes:
                    small = cv2.resize(turned, (size, size), interpolation=cv2.INTER_AREA)
                    match = cv2.matchTemplate(field, _high(small), cv2.TM_CCOEFF_NORMED)
                    out[row] = max(out[row], float(np.nan_to_num(match, nan=-1, posinf=-1, neginf=-1).max()))
    return np.minimum(out, 1.0)


def _high(image: Array) -> Array:
    import cv2

    return np.asarray(np.ascontiguousarray(image) - cv2.GaussianBlur(image, (0, 0), BLUR), np.float32)
