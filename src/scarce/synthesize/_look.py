"""Looks: what is learned from a user's few real defects, each one by itself: size, shape, place, color, texture.

A drawn defect takes one real defect as its example and varies it, so that what belongs together (long and thin, small
and dark) stays together, and so that it descends from that one sample alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from scarce.dataset import Array, Floats
from scarce.synthesize._patch import encode_mask, patch_boxes
from scarce.synthesize._profile import profile_of


@dataclass(frozen=True)
class Look:
    """One real defect in numbers that hold at any size of picture.

    Attributes:
        long: length over the square root of the picture's area.
        wide: mean width over the same.
        angle: direction of the longer axis in degrees, in [0, 180); x to the right, y down.
        x: center over the picture's width.
        y: center over the picture's height.
        change: natural log of brightness inside over brightness around, for each channel (1 or 3 numbers).
        rough: contrast of the texture inside over that around.
        outline: its pixels, as ``encode_mask`` writes them.
        profile: how dark its pixels are, as ``profile_of`` says; empty = not known.
        lit: natural log of the brightness of its rim over that of the surface farther away, at least 0.
    """

    long: float
    wide: float
    angle: float
    x: float
    y: float
    change: tuple[float, ...]
    rough: float
    outline: Mapping[str, Any]
    profile: tuple[float, ...] = ()
    lit: float = 0.0

    def to_params(self) -> dict[str, Any]:
        """Return plain values for a recipe."""
        lists = {"change": list(self.change), "profile": list(self.profile)}
        return {**asdict(self), **lists, "outline": dict(self.outline)}

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_params` wrote."""
        tuples = {name: tuple(params.get(name, ())) for name in ("change", "profile")}
        return cls(**{**params, **tuples})


def learn_looks(image: Array, mask: Array) -> list[Look]:
    """Return the looks of the separate defects of a picture; specks are left out.

    Args:
        image: uint8 (H, W) or (H, W, 3).
        mask: (H, W) bool, the defects' pixels; must be of the picture's size.
    """
    found = []
    for box in patch_boxes(mask):
        look = _look(image, mask, box)
        if look is not None:
            found.append(look)
    return found


def _look(image: Array, mask: Array, box: tuple[int, int, int, int]) -> Look | None:
    import cv2

    height, width = mask.shape
    x0, y0, x1, y1 = box
    own = np.ascontiguousarray(mask[y0:y1, x0:x1], np.uint8)
    inner = cv2.distanceTransform(cv2.copyMakeBorder(own, 1, 1, 1, 1, cv2.BORDER_CONSTANT), cv2.DIST_L2, 3)
    area, root = float(own.sum()), float(np.sqrt(height * width))
    wide = max(1.0, 4 * float(inner.sum()) / area - 1)  # the mean distance to the edge of a strip is a quarter of it
    ys, xs = np.nonzero(own)
    spread = np.cov(np.stack([xs, ys])) if len(xs) > 2 else np.eye(2)
    values, axes = np.linalg.eigh(np.atleast_2d(spread))
    angle = float(np.rad2deg(np.arctan2(axes[1, int(values.argmax())], axes[0, int(values.argmax())])) % 180)
    reach = max(4, round(0.5 * wide))
    rows, cols = slice(max(0, y0 - reach), y1 + reach), slice(max(0, x0 - reach), x1 + reach)
    pixels = image[rows, cols].reshape(*mask[rows, cols].shape, -1).astype(np.float32)
    inside = mask[rows, cols]
    around = ~inside
    if around.sum() < 16:
        return None
    level_in, level_out = pixels[inside].mean(axis=0), pixels[around].mean(axis=0)
    fine = pixels - cv2.GaussianBlur(pixels, (0, 0), 2).reshape(pixels.shape)
    rough = float((fine[inside].std() + 0.5) / (fine[around].std() + 0.5))
    profile, lit = profile_of(pixels, inside, wide)
    return Look(
        long=round(area / wide / root, 5), wide=round(wide / root, 5), angle=round(angle, 1),
        x=round((x0 + float(xs.mean())) / width, 4), y=round((y0 + float(ys.mean())) / height, 4),
        change=tuple(round(float(v), 4) for v in np.log((level_in + 2) / (level_out + 2))),
        rough=round(float(np.clip(rough, 0.2, 5)), 3), outline=encode_mask(mask, box),
        profile=profile, lit=lit,
    )  # fmt: skip


def mask_from_box(image: Array, box: Floats | tuple[float, ...]) -> Array | None:
    """Return the (H, W) bool pixels in a box that differ from what surrounds it, or None where nothing does.

    The frame around the box tells what the material looks like; pixels farther from its median color than Otsu's
    threshold, and than nearly all of the frame, are the defect.

    Args:
        image: uint8 (H, W) or (H, W, 3).
        box: x0, y0, x1, y1 in pixels; what lies outside of the picture is cut off.
    """
    import cv2

    height, width = image.shape[:2]
    x0, y0, x1, y1 = (round(float(value)) for value in box)
    x0, y0, x1, y1 = max(0, x0), max(0, y0), min(width, x1), min(height, y1)
    if x1 <= x0 or y1 <= y0:
        return None
    margin = max(3, round(0.25 * max(x1 - x0, y1 - y0)))
    top, left = max(0, y0 - margin), max(0, x0 - margin)
    window = image[top : y1 + margin, left : x1 + margin].astype(np.float32)
    window = window.reshape(*window.shape[:2], -1)
    frame = np.ones(window.shape[:2], bool)
    core = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
    frame[core] = False
    if not frame.any():
        return None
    apart = np.abs(window - np.median(window[frame], axis=0)).max(axis=2)
    gray = np.ascontiguousarray(np.clip(apart[core], 0, 255), np.float32).astype(np.uint8)
    otsu, _ = cv2.threshold(gray, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    mask = np.zeros((height, width), bool)
    mask[y0:y1, x0:x1] = gray > max(float(otsu), float(np.quantile(apart[frame], 0.9)), 6.0)
    return mask if mask.any() else None
