"""The site of a drawn defect: the surface around it, its light and material, and how what is drawn is put in place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np

from scarce.dataset import Array, Floats
from scarce.recipe import checked, checked_seed
from scarce.synthesize._light import light_of
from scarce.synthesize._look import Look
from scarce.synthesize._region import Region, allowed, checked_severity, pick

REFERENCE: float = 256.0
"""Sizes in the docs are pixels at this shorter side; they grow with the picture."""


class Coat(NamedTuple):
    """What was drawn, in its own window.

    Attributes:
        left: the window's first column in the picture.
        top: its first row.
        pixels: (h, w, C) float32, the window as it is to look.
        cover: (h, w) float32 in [0, 1], how much of each pixel is the defect.
        fitted: its brightness is that of the look already.
    """

    left: int
    top: int
    pixels: Floats
    cover: Floats
    fitted: bool = False


Kind: TypeAlias = "Callable[[Site], Coat]"


class Order(NamedTuple):
    """What is asked of a public drawing function.

    Attributes:
        who: the kind, for messages.
        seed: of everything random.
        region: where the defect may lie.
        severity: size and strength, in (0, 1].
        look: the real defect that it is to resemble.
    """

    who: str
    seed: int
    region: Region
    severity: float
    look: Look | None


@dataclass
class Site:
    """One picture at the place where one defect is to be drawn.

    Attributes:
        image: uint8 (H, W) or (H, W, 3); never written to.
        rng: of everything random.
        severity: size and strength, in (0, 1].
        inside: (H, W) bool where the defect may lie; None = everywhere.
        x: column of its middle.
        y: row of its middle.
        look: the real defect that it is to resemble; None = the kind's own sizes and colors.
        light: (x, y) unit vector towards the light.
    """

    image: Array
    rng: np.random.Generator
    severity: float
    inside: Array | None
    x: float
    y: float
    look: Look | None
    light: Floats

    @property
    def scale(self) -> float:
        """Return pixels per reference pixel."""
        return float(min(self.image.shape[:2])) / REFERENCE

    @property
    def factor(self) -> float:
        """Return how much larger or stronger than its look it is to be: 1 at severity .5, varied by a sixth."""
        return float(np.sqrt(self.severity / 0.5) * np.exp(self.rng.normal(0, 0.15)))

    def between(self, low: float, high: float) -> float:
        """Return a size in pixels: from ``low`` at severity 0 to ``high`` at severity 1 (reference pixels), varied."""
        share = self.severity * float(self.rng.uniform(0.6, 1.0))
        return max(1.0, (low + (high - low) * share) * self.scale)

    def length(self, low: float, high: float) -> float:
        """Return a length in pixels: that of the look, or between the kind's own limits."""
        if self.look is None:
            return self.between(low, high)
        return max(1.0, self.look.long * self.factor * float(np.sqrt(self.image.shape[0] * self.image.shape[1])))

    def width(self, low: float, high: float) -> float:
        """Return a width in pixels: that of the look, or between the kind's own limits."""
        if self.look is None:
            return self.between(low, high)
        return max(1.0, self.look.wide * self.factor * float(np.sqrt(self.image.shape[0] * self.image.shape[1])))

    def heading(self) -> float:
        """Return a direction in radians: that of the look, a few degrees off, or any."""
        if self.look is None:
            return float(self.rng.uniform(0, 2 * np.pi))
        return float(np.deg2rad(self.look.angle + self.rng.normal(0, 8)) + np.pi * self.rng.integers(2))

    def window(self, box: tuple[int, int, int, int]) -> Floats:
        """Return (h, w, C) float32 pixels of x0 y0 x1 y1, a copy."""
        x0, y0, x1, y1 = box
        part = self.image[y0:y1, x0:x1]
        return np.asarray(part.reshape(y1 - y0, x1 - x0, -1), np.float32)

    def box(self, reach: float) -> tuple[int, int, int, int]:
        """Return x0 y0 x1 y1 of a square around the middle, cut at the picture's edges."""
        height, width = self.image.shape[:2]
        far, x, y = int(np.ceil(reach)) + 1, int(self.x), int(self.y)
        return max(0, x - far), max(0, y - far), min(width, x + far + 1), min(height, y + far + 1)

    def offsets(self, box: tuple[int, int, int, int]) -> tuple[Floats, Floats]:
        """Return (1, w) and (h, 1) float32 distances of columns and rows from the middle."""
        x0, y0, x1, y1 = box
        dx = np.arange(x0, x1, dtype=np.float32)[None, :] - np.float32(self.x)
        return dx, np.arange(y0, y1, dtype=np.float32)[:, None] - np.float32(self.y)

    def chroma(self, window: Floats) -> float:
        """Return how colorful the material is, in [.08, 1]: gray material gets nearly gray defects."""
        level = window.reshape(-1, window.shape[2]).mean(axis=0)
        return float(np.clip(0.08 + 1.5 * np.ptp(level) / (level.mean() + 20), 0.08, 1))

    def behind(self) -> Floats:
        """Return (C,) what is seen through an opening: the plain ground beside the object, else deep shadow."""
        pixels = self.image.reshape(*self.image.shape[:2], -1)
        if self.inside is not None:
            ground = pixels[::4, ::4][~self.inside[::4, ::4]]
            if len(ground) >= 8:
                return np.asarray(np.median(ground, axis=0), np.float32)
        x0, y0, x1, y1 = self.box(24 * self.scale)
        near = pixels[y0:y1, x0:x1].reshape(-1, pixels.shape[2])
        return np.asarray(np.quantile(near, 0.05, axis=0) * 0.25, np.float32)


def drawn(kind: Kind, image: Array, order: Order) -> tuple[Array, Array]:
    """Draw one defect of a kind: choose the place, let the kind draw, fit colors to the look, stay in the region.

    Returns:
        The picture and the (H, W) bool mask of the defect; at least one pixel.

    Raises:
        ConfigError: the severity is outside (0, 1], or the seed is below 0.
        DataError: the picture or the region cannot be used.
    """
    who, look = order.who, order.look
    rng = np.random.default_rng(checked_seed(order.seed, who))
    image, severity = checked(image), checked_severity(order.severity, who)
    height, width = image.shape[:2]
    inside = allowed(order.region, height, width, who)
    x, y = _place(rng, inside, (height, width), look)
    site = Site(image, rng, severity, inside, x, y, look, light_of(image, rng))
    coat = kind(site)
    rows, cols = slice(coat.top, coat.top + coat.cover.shape[0]), slice(coat.left, coat.left + coat.cover.shape[1])
    before = np.asarray(image[rows, cols].reshape(coat.pixels.shape), np.float32)
    pixels, cover = coat.pixels, coat.cover
    if inside is not None:
        held = inside[rows, cols]
        pixels, cover = np.where(held[..., None], pixels, before), cover * held
    if not cover.any():  # what left its region at once still leaves the pixel that it began with
        row, col = int(site.y) - coat.top, int(site.x) - coat.left
        at = (int(np.clip(row, 0, cover.shape[0] - 1)), int(np.clip(col, 0, cover.shape[1] - 1)))
        cover = np.zeros_like(cover)
        cover[at] = 1.0
        pixels[at] = np.where(before[at] > 90, before[at] * 0.4, before[at] + 90)
    if look is not None and not coat.fitted:
        pixels = resemble(before, pixels, cover, look)
    out = image.copy()
    out[rows, cols] = np.clip(np.rint(pixels), 0, 255).reshape(image[rows, cols].shape)
    mask = np.zeros((height, width), bool)
    mask[rows, cols] = cover >= min(0.3, float(cover.max()))
    return out, mask


def _place(
    rng: np.random.Generator, inside: Array | None, size: tuple[int, int], look: Look | None
) -> tuple[float, float]:
    """Return the middle of a defect: anywhere allowed, or near where the real one lay."""
    if look is None:
        return pick(rng, inside, *size)
    wanted = np.array([look.x, look.y]) + rng.normal(0, 0.1, 2)
    x = float(np.clip(wanted[0] * size[1], 0, size[1] - 1))
    y = float(np.clip(wanted[1] * size[0], 0, size[0] - 1))
    if inside is None or inside[int(y), int(x)]:
        return x, y
    near = [pick(rng, inside, *size) for _ in range(8)]
    return min(near, key=lambda spot: (spot[0] - x) ** 2 + (spot[1] - y) ** 2)


def relief(height: Floats, light: Floats) -> Floats:
    """Return (h, w) how much more light a surface of some height gets than a flat one: slope towards the light."""
    if min(height.shape) < 2:
        return np.zeros_like(height)
    import cv2

    down = cv2.Scharr(height, cv2.CV_32F, 0, 1, scale=1 / 32)
    across = cv2.Scharr(height, cv2.CV_32F, 1, 0, scale=1 / 32)
    return np.asarray(-(across * float(light[0]) + down * float(light[1])), np.float32)


def shaded(pixels: Floats, shade: Floats, *, gloss: float = 0.0) -> Floats:
    """Return pixels under more or less light: texture is kept, bright flanks get a highlight.

    Args:
        pixels: (h, w, C) float32.
        shade: (h, w), share of light more (positive) or less.
        gloss: how far the brightest flanks go towards white, in [0, 1].
    """
    out = pixels * np.clip(1 + shade, 0.15, 2.2)[..., None] + (np.maximum(shade, 0) * 18)[..., None]
    if gloss:
        out = out + (255 - out) * (np.clip(shade - 0.25, 0, 1) ** 2 * gloss)[..., None]
    return np.asarray(out, np.float32)


def resemble(before: Floats, after: Floats, cover: Floats, look: Look) -> Floats:
    """Return drawn pixels whose mean color and texture stand to their surroundings as in the look.

    Args:
        before: (h, w, C) float32, the sound surface.
        after: (h, w, C) float32, with the defect.
        cover: (h, w) float32 in [0, 1].
        look: the real defect.
    """
    weight = (cover / max(float(cover.sum()), 1e-6))[..., None]
    change = np.asarray(look.change, np.float32)
    change = change if len(change) == before.shape[2] else change.mean(keepdims=True)
    level_before, level_after = (before * weight).sum(axis=(0, 1)), (after * weight).sum(axis=(0, 1))
    target = (level_before + 2) * np.exp(change) - 2
    spread_before = float(np.sqrt((((before - level_before) ** 2) * weight).sum(axis=(0, 1)).mean()))
    spread_after = float(np.sqrt((((after - level_after) ** 2) * weight).sum(axis=(0, 1)).mean()))
    gain = float(np.clip((spread_before * look.rough + 1) / (spread_after + 1), 0.3, 1.5))
    wanted = target + (after - level_after) * gain
    share = np.clip(cover, 0, 1)[..., None]
    return np.asarray(after + share * (wanted - after), np.float32)


def grain(rng: np.random.Generator, shape: tuple[int, ...], level: float) -> Floats:
    """Return (h, w, 1) float32 noise of a camera, its standard deviation in gray levels."""
    return np.asarray(rng.standard_normal((*shape, 1), np.float32) * np.float32(level))


def cloud(rng: np.random.Generator, shape: tuple[int, int], cells: int) -> Floats:
    """Return (h, w) smooth noise in about [0, 1] with so many waves across."""
    import cv2

    grid = rng.random((cells, cells), np.float32)
    return np.asarray(cv2.resize(grid, shape[::-1], interpolation=cv2.INTER_CUBIC))


def shifted(cover: Floats, offset: Floats) -> Floats:
    """Return (h, w) moved by (x, y) pixels; nothing comes in from outside."""
    import cv2

    move = np.array([[1, 0, offset[0]], [0, 1, offset[1]]], np.float32)
    return np.asarray(cv2.warpAffine(cover, move, cover.shape[::-1], flags=cv2.INTER_LINEAR))
