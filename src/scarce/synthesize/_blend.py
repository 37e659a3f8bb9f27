"""Blending a patch into a picture: opacity, soft edges, Poisson, light."""

from __future__ import annotations

from typing import Final

import numpy as np

from scarce.dataset import Array
from scarce.errors import DataError

WHO: Final = "synthesize.cut_paste"
BLENDS: Final = ("alpha", "feather", "poisson")


def blend(out: Array, over: Array, alpha: Array, *, left: int, top: int) -> None:
    """Write ``under + alpha / 255 * (over - under)``, rounded, into a picture, in one compiled pass over the patch.

    Args:
        out: uint8 (H, W) or (H, W, 3), contiguous; changed in place.
        over: uint8 (h, w) or (h, w, 3), inside the picture.
        alpha: uint8 (h, w), opacity.
        left: its first column in the picture.
        top: its first row.
    """
    from scarce.synthesize._blend_kernel import blend_into

    flat = np.ascontiguousarray(over).reshape(len(alpha), -1)
    blend_into(out.reshape(out.shape[0], -1), left, top, flat, np.ascontiguousarray(alpha))


def opacity(mask: Array) -> Array:
    """Return a mask, bool or in [0, 1], as uint8 opacity."""
    if mask.dtype == bool:
        return np.ascontiguousarray(mask).view(np.uint8) * np.uint8(255)
    return np.asarray(np.rint(np.clip(mask, 0, 1) * 255), np.uint8)


def feather(mask: Array, *, pixels: float | None = None) -> Array:
    """Return (h, w) uint8 opacity, 255 on the mask, that falls to 0 over a few pixels around it.

    Args:
        mask: (h, w) bool.
        pixels: width of the edge (sigma); by default 2 % of the shorter side, .7 to 4.
    """
    import cv2

    if pixels is None:
        pixels = min(max(0.7, 0.02 * min(mask.shape)), 4.0)
    hard = opacity(mask if mask.dtype == bool else mask > 0)
    if pixels >= 2:  # wide edges are as smooth at half the size, for a third of the time
        high, wide = hard.shape
        half = cv2.resize(hard, ((wide + 1) // 2, (high + 1) // 2), interpolation=cv2.INTER_AREA)
        half = (half > 0).view(np.uint8) * np.uint8(255)
        return np.asarray(cv2.resize(_softened(half, pixels / 2), (wide, high), interpolation=cv2.INTER_LINEAR))
    return _softened(hard, pixels)


def _softened(hard: Array, pixels: float) -> Array:
    """Return opacity, widened by 1.5 edges and blurred by one, so that it is 255 on what was marked."""
    import cv2

    size = 2 * int(np.ceil(1.5 * pixels)) + 1
    wide = cv2.dilate(hard, np.ones((size, size), np.uint8))
    box = max(3, 2 * round((np.sqrt(6 * pixels**2 + 1) - 1) / 2) + 1)  # two box filters spread as much as a Gaussian
    once = cv2.blur(wide, (box, box), borderType=cv2.BORDER_CONSTANT)
    return np.asarray(cv2.blur(once, (box, box), borderType=cv2.BORDER_CONSTANT))


def with_rim(mask: Array) -> Array:
    """Return a (h, w) bool mask with a rim a few pixels wide, inside the patch."""
    import cv2

    size = 2 * min(max(2, round(0.03 * min(mask.shape))), 6) + 1
    return np.asarray(cv2.dilate(mask.view(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))) > 0


def change(before: Array, after: Array, mask: Array) -> float:
    """Return the mean change of gray levels in a (h, w) bool mask; texture finer than a few pixels does not count."""
    import cv2

    apart = np.asarray(after, np.float32) - before
    gray = apart if apart.ndim == 2 else apart[..., np.abs(apart).mean(axis=(0, 1)).argmax()]
    return float(np.abs(cv2.blur(np.ascontiguousarray(gray), (5, 5)))[mask].mean()) if mask.any() else 0.0


def match_light(patch: Array, mask: Array, image: Array, *, xy: tuple[int, int], share: float = 1.0) -> Array:
    """Return the patch with its sound surroundings brought to the brightness and color of its new place.

    The factor is the ratio of the means outside the mask, within [.4, 2.5]; share 0 changes nothing.
    """
    rows, cols, inner = overlap(mask.shape, xy, image.shape)
    ring = ~mask.astype(bool)[inner]
    if share == 0 or ring.sum() < 16:
        return patch
    old = np.maximum(patch[inner][ring].astype(np.float32).mean(axis=0), 4.0)
    new = np.maximum(image[rows, cols][ring].astype(np.float32).mean(axis=0), 4.0)
    factor = np.clip(new / old, 0.4, 2.5) ** share
    matched: Array = np.clip(np.rint(patch * factor.astype(np.float32)), 0, 255).astype(np.uint8)
    return matched


def placed_mask(mask: Array, xy: tuple[int, int], size: tuple[int, ...]) -> Array:
    """Return the (H, W) mask of a pasted patch."""
    rows, cols, inner = overlap(mask.shape, xy, size)
    out = np.zeros(size[:2], bool)
    out[rows, cols] = mask.astype(bool)[inner]
    return out


def same_channels(patch: Array, image: Array) -> Array:
    """Return the patch in gray or RGB like the picture."""
    import cv2

    if patch.ndim == image.ndim:
        return patch
    return np.asarray(cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY if patch.ndim == 3 else cv2.COLOR_GRAY2RGB))


def overlap(
    patch: tuple[int, ...], xy: tuple[int, int], size: tuple[int, ...]
) -> tuple[slice, slice, tuple[slice, slice]]:
    """Return rows and columns of a picture that a patch covers, and the same pixels of the patch.

    Raises:
        DataError: there are none.
    """
    left, top = int(xy[0]), int(xy[1])
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + patch[1], size[1]), min(top + patch[0], size[0])
    if x0 >= x1 or y0 >= y1:
        raise DataError(WHO, f"a {patch[1]} x {patch[0]} patch at {(left, top)} lies outside",
                        f"the picture is {size[1]} x {size[0]}", "move it inside")  # fmt: skip
    return slice(y0, y1), slice(x0, x1), (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))


def poisson(under: Array, over: Array, mask: Array) -> Array | None:
    """Return a window with a patch whose gradients are kept while its edge takes the window's colors.

    Args:
        under: uint8 (h, w) or (h, w, 3), the picture there.
        over: the patch, of the same shape.
        mask: (h, w) bool; the outermost pixels of the window are not changed.

    Returns:
        The window, or None where the mask is too thin to solve anything (less than 3 pixels wide).

    Source: Perez, Gangnet and Blake 2003, Poisson Image Editing; solved inside the window only, by sine transforms.
    """
    import cv2
    from scipy import fft

    inner = np.zeros(mask.shape, np.uint8)
    inner[1:-1, 1:-1] = mask[1:-1, 1:-1].astype(np.uint8) * np.uint8(255)
    x, y, wide, high = cv2.boundingRect(inner)
    if min(wide, high) < 3 or not cv2.erode(inner, np.ones((3, 3), np.uint8)).any():
        return None
    rows, cols = slice(y - 1, y + high + 1), slice(x - 1, x + wide + 1)
    held = inner[rows, cols] > 0
    change = np.asarray(over[rows, cols], np.float32) - under[rows, cols]
    change = np.moveaxis(change.reshape(*held.shape, -1), 2, 0)  # colors first: transforms run along rows
    down = np.diff(change, axis=1) * (held[1:] & held[:-1])
    right = np.diff(change, axis=2) * (held[:, 1:] & held[:, :-1])
    flow = np.diff(down, axis=1)[:, :, 1:-1] + np.diff(right, axis=2)[:, 1:-1]
    bend = [2 * np.cos(np.pi * np.arange(1, size + 1, dtype=np.float32) / (size + 1)) - 2 for size in (high, wide)]
    waves = fft.dstn(flow, type=1, axes=(1, 2), overwrite_x=True)
    waves /= bend[0][:, None] + bend[1]
    solved = fft.idstn(waves, type=1, axes=(1, 2), overwrite_x=True)
    found = under.copy()
    view = found[y : y + high, x : x + wide]
    moved = np.moveaxis(solved, 0, 2).reshape(view.shape)
    view[:] = np.rint(np.clip(view + moved, 0, 255)).astype(np.uint8)
    return found
