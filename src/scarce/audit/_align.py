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

    shown = {int(row): _views(thumbnails[row]) for row in np.unique(pairs) if thumbnails[row].std() >= FLAT}
    out = np.full(len(pairs), -1.0, np.float32)
    for row, pair in enumerate(pairs.tolist()):
        if pair[0] not in shown or pair[1] not in shown:
            continue
        for whole, part in (pair, pair[::-1]):
            for small in shown[part][1:]:
                match = cv2.matchTemplate(shown[whole][0], small, cv2.TM_CCOEFF_NORMED)
                out[row] = max(out[row], float(np.nan_to_num(match, nan=-1, posinf=-1, neginf=-1).max()))
    return np.minimum(out, 1.0)


def _views(thumbnail: Array) -> list[Array]:
    """Return the detail of a thumbnail at full size, then shrunk to every scale, upright and mirrored."""
    import cv2

    image = thumbnail.astype(np.float32)
    sizes = [max(8, round(len(image) * scale)) for scale in SCALES]
    small = [cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA) for size in sizes]
    upright = [_high(view) for view in (image, *small)]
    return [*upright, *(np.ascontiguousarray(view[:, ::-1]) for view in upright[1:])]


def _high(image: Array) -> Array:
    import cv2

    return np.asarray(image - cv2.GaussianBlur(image, (0, 0), BLUR), np.float32)
