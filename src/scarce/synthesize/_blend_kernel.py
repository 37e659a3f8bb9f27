"""The blend of one window as one fused loop (numba; imported by :mod:`scarce.synthesize._blend` on first use)."""

from __future__ import annotations

import numba
import numpy as np

from scarce.dataset import Array


@numba.njit(nogil=True, cache=True)
def blend_into(out: Array, left: int, top: int, patch: Array, alpha: Array) -> None:
    """Write ``under + alpha / 255 * (patch - under)``, rounded, into a picture.

    Args:
        out: uint8 (H, W * C), changed in place.
        left: first column of the patch, in the picture's pixels.
        top: first row.
        patch: uint8 (h, w * C), inside the picture.
        alpha: uint8 (h, w), opacity.
    """
    height, width = alpha.shape
    channels = patch.shape[1] // width
    opacity = np.empty(width * channels, np.uint8)
    for row in range(height):
        for c in range(channels):
            for col in range(width):
                opacity[col * channels + c] = alpha[row, col]
        under, over = out[top + row, left * channels : (left + width) * channels], patch[row]
        for i in range(width * channels):
            share = np.uint16(opacity[i])
            value = np.uint16(np.uint16(under[i]) * np.uint16(255 - share) + np.uint16(over[i]) * share + 128)
            under[i] = np.uint8(np.uint16(value + np.uint16(value >> 8)) >> 8)
