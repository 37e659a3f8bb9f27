"""Profiles: how dark and bright the pixels of a real defect are, from its core to the rim of what was marked."""

from __future__ import annotations

from typing import Final

import numpy as np

from scarce.dataset import Array, Floats

SHARES: Final = (0.02, 0.1, 0.25, 0.4, 0.55, 0.7, 0.85, 0.95, 0.99)
"""A profile holds the quantiles at these shares of a defect's pixels, darkest first."""


def surface(pixels: Floats, free: Array, reach: float) -> Floats:
    """Return (h, w) gray levels of the surface without fine texture, carried on under what is not free.

    Args:
        pixels: (h, w, C) float32.
        free: (h, w) bool, sound pixels; at least one.
        reach: of the average in pixels (sigma).
    """
    import cv2

    gray = np.ascontiguousarray(pixels.mean(axis=2), np.float32)
    weight = np.ascontiguousarray(free, np.float32)
    above = cv2.GaussianBlur(gray * weight, (0, 0), reach, borderType=cv2.BORDER_REPLICATE)
    below = cv2.GaussianBlur(weight, (0, 0), reach, borderType=cv2.BORDER_REPLICATE)
    level = float(np.median(gray[free]))
    return np.asarray((above + 1e-3 * level) / (below + 1e-3), np.float32)


def profile_of(pixels: Floats, inside: Array, wide: float) -> tuple[tuple[float, ...], float]:
    """Return the profile of a real defect, and by how much its rim is brighter than the surface farther away.

    Args:
        pixels: (h, w, C) float32, the defect with some surface around.
        inside: (h, w) bool, its pixels; some are not.
        wide: its mean width in pixels.

    Returns:
        Natural logs of brightness over the surface's at :data:`SHARES`; the same of the rim, 0 = not brighter.
    """
    import cv2

    level = surface(pixels, ~inside, 2 * wide + 3)
    ratio = np.log((pixels.mean(axis=2) + 2) / (level + 2))
    near, far = (cv2.dilate(inside.astype(np.uint8), np.ones((size, size), np.uint8)) > 0 for size in (5, 15))
    rim, rest = ratio[near & ~inside], ratio[far & ~near]
    lit = float(np.quantile(rim, 0.9) - np.quantile(rest, 0.9)) if len(rim) and len(rest) else 0.0
    found = np.quantile(ratio[inside], SHARES)
    return tuple(round(float(value), 3) for value in found), round(float(np.clip(lit, 0, 0.6)), 3)


def dyed(window: Floats, band: Floats, core: Floats, profile: tuple[float, ...], change: tuple[float, ...]) -> Floats:
    """Return pixels of a surface whose share in a band is as dark as a profile says, darkest along its core.

    Args:
        window: (h, w, C) float32, the sound surface.
        band: (h, w) float32 in [0, 1], what will be marked.
        core: (h, w) float32 in [0, 1], 1 where the defect is deepest.
        profile: see :func:`profile_of`.
        change: natural log of the mean brightness inside over that around, for each channel: the hue.
    """
    held = band >= min(0.3, float(band.max()))
    level = surface(window, np.ones(held.shape, bool), 0.7 * float(np.sqrt(held.sum())) + 3)
    own = np.log((window.mean(axis=2) + 2) / (level + 2))
    order = np.argsort((own - 2 * (max(profile) - min(profile)) * core)[held], kind="stable")
    ratio = np.empty(len(order), np.float32)
    ratio[order] = np.interp((np.arange(len(order)) + 0.5) / len(order), SHARES, profile)
    wanted = own.copy()
    wanted[held] = ratio
    share = np.where(held, np.minimum(1, 2 * band), 0)[..., None]
    tint = np.asarray(change, np.float32) - np.float32(np.mean(change)) if len(change) == window.shape[2] else 0.0
    return np.asarray((window + 2) * np.exp(share * ((wanted - own)[..., None] + tint)) - 2, np.float32)
