"""Scratches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from scarce.dataset import Array, Floats
from scarce.recipe import Params, Parents, checked
from scarce.synthesize._base import AbstractDefect, Region, allowed, checked_severity, pick

WHO = "synthesize.scratch"


@final
@dataclass(frozen=True, kw_only=True)
class Scratch(AbstractDefect):
    """Draw a scratch: a slightly bent groove with a lit and a shaded flank.

    Use when a class is about scratches, scuffs or scrapes on a surface and real ones are few.
    Do not use when scratches in the field look otherwise (wide abrasions, colored filling): paste real ones.
    Needs: pictures of sound parts.
    Writes: picture, mask and box. Length .12 to .7 and width .004 to .02 of the shorter side, at least one pixel.
    """

    words: ClassVar[frozenset[str]] = frozenset({"scratch", "scratched", "scuff", "scrape", "scrap", "scratche"})

    def draw(self, image: Array, params: Params, parents: Parents) -> tuple[Array, Array]:  # noqa: ARG002  one hook
        """Return the picture with a scratch and its mask."""
        region = self.region(image, params)
        return draw_scratch(image, seed=int(params["seed"]), region=region, severity=float(params["severity"]))


def draw_scratch(image: Array, *, seed: int, region: Region = None, severity: float = 0.5) -> tuple[Array, Array]:
    """Draw one scratch.

    Args:
        image: uint8 (H, W) or (H, W, 3); not changed.
        seed: of everything random about it.
        region: where it may lie: x0, y0, x1, y1 in pixels or an (H, W) mask; None = anywhere.
        severity: length, width and contrast, in (0, 1].

    Returns:
        The picture and the (H, W) bool mask of the scratch; at least one pixel.
    """
    import cv2

    rng = np.random.default_rng(seed)
    image, severity = checked(image), checked_severity(severity, WHO)
    height, width = image.shape[:2]
    inside = allowed(region, height, width, WHO)
    side = min(height, width)
    points = scratch_path(rng, pick(rng, inside, height, width), side * (0.12 + 0.58 * severity * rng.uniform(0.5, 1)))
    thick = max(1.0, side * (0.004 + 0.016 * severity * rng.uniform(0.3, 1)))
    cover, (left, top) = groove(points, thick, (height, width))
    rows, cols = slice(top, top + cover.shape[0]), slice(left, left + cover.shape[1])
    if inside is not None:
        cover = cover * inside[rows, cols]
    if not cover.any():  # a path that leaves its region at once still leaves its first pixel
        x, y = points[0].astype(int)
        cover[np.clip(y - top, 0, cover.shape[0] - 1), np.clip(x - left, 0, cover.shape[1] - 1)] = 1.0
    depth = np.asarray(cv2.GaussianBlur(cover, (0, 0), max(0.6, thick / 3)))
    slope_y, slope_x = np.gradient(depth) if min(depth.shape) > 1 else (depth * 0, depth * 0)
    light = rng.uniform(0, 2 * np.pi)
    flank = (slope_x * np.cos(light) + slope_y * np.sin(light)) * thick
    window = image[rows, cols].astype(np.float32)
    level, contrast = float(window.mean()), (18 + 70 * severity) * rng.uniform(0.7, 1.1)
    sign = 1.0 if level < 90 or (level < 165 and rng.random() < 0.5) else -1.0
    change = contrast * (sign * cover + 0.9 * flank)
    out = image.copy()
    out[rows, cols] = np.clip(np.rint(window + (change if image.ndim == 2 else change[..., None])), 0, 255)
    mask = np.zeros((height, width), bool)
    mask[rows, cols] = cover >= min(0.3, float(cover.max()))
    return out, mask


def scratch_path(rng: np.random.Generator, start: tuple[float, float], length: float) -> Floats:
    """Return (P, 2) points x, y of a slightly bent line from a start."""
    n = 24
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.035, n)) + np.linspace(0, rng.normal(0, 0.35), n)
    steps = np.stack([np.cos(heading), np.sin(heading)], axis=1) * (length / n)
    return np.vstack([[start], np.asarray(start) + np.cumsum(steps, axis=0)])


def groove(points: Floats, thick: float, size: tuple[int, int]) -> tuple[Floats, tuple[int, int]]:
    """Return the soft (h, w) coverage in [0, 1] of a tapering line inside its own box, and the box's left, top."""
    import cv2

    height, width = size
    margin = int(np.ceil(2 * thick)) + 2
    low = np.clip(np.floor(points.min(axis=0)).astype(int) - margin, 0, [width - 1, height - 1])
    high = np.clip(np.ceil(points.max(axis=0)).astype(int) + margin + 1, low + 1, [width, height])
    shape = (int(high[1] - low[1]), int(high[0] - low[0]))
    fine = 4  # drawn four times as large and averaged: soft edges
    canvas = np.zeros((shape[0] * fine, shape[1] * fine), np.uint8)
    spots = np.rint(((points - low) * fine + fine / 2) * 16).astype(np.int32)
    taper = np.sin(np.linspace(0.15, np.pi - 0.15, len(points) - 1)) ** 0.6
    for first, second, share in zip(spots[:-1], spots[1:], taper, strict=True):
        wide = max(1, round(thick * fine * float(share)))
        cv2.line(canvas, first.tolist(), second.tolist(), int(120 + 135 * share), wide, cv2.LINE_AA, 4)
    cover = cv2.resize(canvas, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(cover, np.float32) / 255, (int(low[0]), int(low[1]))
