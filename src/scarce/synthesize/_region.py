"""Where on a picture a defect may lie."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Final, TypeAlias, cast

import numpy as np

from scarce.dataset import Array, Floats
from scarce.errors import ConfigError, DataError

Region: TypeAlias = tuple[int, int, int, int] | Array | None
"""Where a defect may lie: x0, y0, x1, y1 in pixels, an (H, W) mask, or None for the whole picture."""
_FOUND: Final[dict[int, tuple[Array | None, weakref.ref[Array]]]] = {}


def mask_box(mask: Array) -> Floats:
    """Return (4,) x0 y0 x1 y1 pixels around the True pixels; zeros if there are none."""
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return np.zeros(4)
    return np.array([cols[0], rows[0], cols[-1] + 1, rows[-1] + 1], np.float64)


def object_mask(image: Array) -> Array | None:
    """Return the (H, W) bool pixels of the object where it lies on plain ground, else None (the picture is all object).

    The ground is plain when three quarters of the picture's outermost pixels are within 12 gray levels of their median.
    What was found on a picture that cannot be written to is remembered for as long as the picture lives.
    """
    if image.flags.writeable:
        return _object_mask(image)
    key = id(image)
    if key not in _FOUND:
        found = _object_mask(image)
        _FOUND[key] = found, weakref.ref(image, lambda _: _FOUND.pop(key, None))
        return found
    return _FOUND[key][0]


def _object_mask(image: Array) -> Array | None:
    import cv2

    gray = image if image.ndim == 2 else np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
    edge = np.concatenate([gray[0], gray[-1], gray[1:-1, 0], gray[1:-1, -1]]).astype(np.int16)
    ground = np.median(edge)
    if np.mean(np.abs(edge - ground) <= 12) < 0.75:
        return None
    apart = (np.abs(gray.astype(np.float32) - np.float32(ground)) > 24).view(np.uint8)
    size = max(3, int(0.03 * min(gray.shape)) | 1)
    apart = np.asarray(cv2.morphologyEx(apart, cv2.MORPH_CLOSE, np.ones((size, size), np.uint8)))
    if not 0.05 <= apart.mean() <= 0.95:
        return None
    held: Array = apart.view(bool)
    held.setflags(write=False)
    return held


def allowed(region: Region, height: int, width: int, who: str) -> Array | None:
    """Return a region as an (H, W) bool mask, None for the whole picture.

    Raises:
        DataError: the region is empty, lies outside, or its mask has another size.
    """
    if region is None:
        return None
    if isinstance(region, np.ndarray) and region.ndim == 2:
        if region.shape != (height, width):
            raise DataError(who, f"the region's mask has shape {region.shape}", f"the picture has {(height, width)}")
        mask = region.astype(bool, copy=False)
    else:
        x0, y0, x1, y1 = (round(float(value)) for value in cast("Sequence[float]", region))
        mask = np.zeros((height, width), bool)
        mask[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)] = True
    if not mask.any():
        raise DataError(who, "the region holds no pixel of the picture", f"the picture is {width} x {height} pixels",
                        "give x0, y0, x1, y1 inside it with x0 < x1 and y0 < y1")  # fmt: skip
    return mask


def pick(rng: np.random.Generator, mask: Array | None, height: int, width: int) -> tuple[float, float]:
    """Return the x, y of a random pixel of the mask, or of the picture."""
    if mask is None:
        return float(rng.integers(width)), float(rng.integers(height))
    flat = np.flatnonzero(mask)
    y, x = divmod(int(flat[rng.integers(len(flat))]), width)
    return float(x), float(y)


def checked_severity(severity: float, who: str) -> float:
    """Return the severity.

    Raises:
        ConfigError: it is outside (0, 1].
    """
    if not 0 < severity <= 1:
        raise ConfigError(who, f"severity = {severity} is out of range", do="use 0 < severity <= 1")
    return float(severity)
