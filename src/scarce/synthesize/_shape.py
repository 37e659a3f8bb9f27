"""The shape of a picture: its small brightness without mean, which two copies of one picture share."""

from __future__ import annotations

import numpy as np

from scarce.dataset import Array, Floats


def shape_of(picture: Array, side: int, *, flat: float = 0.0) -> Floats:
    """Return (side, side) float32 brightness without mean, of length 1; 0 where the picture is flat.

    The sum of the products of two shapes is the correlation of the pictures.

    Args:
        picture: uint8 (H, W), (H, W, 3) or, with a last channel that is left out, (H, W, 4).
        side: in pixels.
        flat: length before it was made 1, up to which a picture shows nothing.
    """
    import cv2

    gray = picture if picture.ndim == 2 else cv2.cvtColor(np.ascontiguousarray(picture[..., :3]), cv2.COLOR_RGB2GRAY)
    small = np.asarray(cv2.resize(gray, (side, side), interpolation=cv2.INTER_AREA), np.float32)
    small = small - small.mean()
    length = float(np.sqrt((small**2).sum()))
    if length <= flat:
        return np.zeros_like(small)
    return np.asarray(small / max(length, 1e-6), np.float32)
