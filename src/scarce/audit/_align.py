"""Whether two thumbnails show the same picture: equal detail, mirrored, or one a crop of the other."""

from __future__ import annotations

from dataclasses import dataclass

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
    shown = {int(row): _Views.of(thumbnails[row]) for row in np.unique(pairs) if thumbnails[row].std() >= FLAT}
    out = np.full(len(pairs), -1.0, np.float32)
    for row, (i, j) in enumerate(pairs.tolist()):
        if i in shown and j in shown:
            out[row] = max(shown[i].holds(shown[j]), shown[j].holds(shown[i]))
    return np.minimum(out, 1.0)


@dataclass(frozen=True)
class _Views:
    """One thumbnail: its detail, and (2, size * size) unit rows per scale of it shrunk, upright and mirrored."""

    field: Array
    small: tuple[Array, ...]

    @classmethod
    def of(cls, thumbnail: Array) -> _Views:
        import cv2

        image = thumbnail.astype(np.float32)
        small = []
        for size in (max(8, round(len(image) * scale)) for scale in SCALES):
            view = _high(cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA))
            small.append(_centered(np.stack([view.ravel(), view[:, ::-1].ravel()])))
        return cls(_high(image), tuple(small))

    def holds(self, other: _Views) -> float:
        """Return the best correlation of any of the other's small views at any place of this field."""
        best = -1.0
        for views in other.small:
            size = round(views.shape[1] ** 0.5)
            windows = np.lib.stride_tricks.sliding_window_view(self.field, (size, size)).reshape(-1, size * size)
            best = max(best, float((_centered(windows) @ views.T).max()))
        return best


def _centered(rows: Array) -> Array:
    rows = rows - rows.mean(axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(np.sqrt(np.einsum("nd,nd->n", rows, rows)), 1e-6)[:, None])


def _high(image: Array) -> Array:
    import cv2

    return np.asarray(image - cv2.GaussianBlur(image, (0, 0), BLUR), np.float32)
