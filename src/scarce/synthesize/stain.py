"""Stains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from scarce.dataset import Array, Floats
from scarce.recipe import Params, Parents, checked
from scarce.synthesize._base import AbstractDefect, Region, allowed, checked_severity, pick

WHO = "synthesize.stain"


@final
@dataclass(frozen=True, kw_only=True)
class Stain(AbstractDefect):
    """Draw a stain: an uneven blot that tints the material and keeps its texture.

    Use when a class is about stains, spots, dirt or discoloration and real ones are few.
    Do not use when the stain has relief (glue, mud): paste real ones.
    Needs: pictures of sound parts.
    Writes: picture, mask and box. Radius .03 to .2 of the shorter side, at least one pixel.
    """

    words: ClassVar[frozenset[str]] = frozenset(
        {"stain", "stained", "spot", "blot", "smudge", "discoloration", "discoloured", "discolored", "dirt", "dirty"}
    )

    def draw(self, image: Array, params: Params, parents: Parents) -> tuple[Array, Array]:  # noqa: ARG002  one hook
        """Return the picture with a stain and its mask."""
        region = self.region(image, params)
        return draw_stain(image, seed=int(params["seed"]), region=region, severity=float(params["severity"]))


def draw_stain(image: Array, *, seed: int, region: Region = None, severity: float = 0.5) -> tuple[Array, Array]:
    """Draw one stain.

    Args:
        image: uint8 (H, W) or (H, W, 3); not changed.
        seed: of everything random about it.
        region: where it may lie: x0, y0, x1, y1 in pixels or an (H, W) mask; None = anywhere.
        severity: size and strength, in (0, 1].

    Returns:
        The picture and the (H, W) bool mask of the stain; at least one pixel.
    """
    rng = np.random.default_rng(seed)
    image, severity = checked(image), checked_severity(severity, WHO)
    height, width = image.shape[:2]
    inside = allowed(region, height, width, WHO)
    radius = max(1.0, min(height, width) * (0.03 + 0.17 * severity * rng.uniform(0.5, 1)))
    x, y = pick(rng, inside, height, width)
    cover, (left, top) = blot(rng, (x, y), radius, (height, width))
    rows, cols = slice(top, top + cover.shape[0]), slice(left, left + cover.shape[1])
    if inside is not None:
        cover = cover * inside[rows, cols]
    cover[int(y) - top, int(x) - left] = max(1.0, float(cover[int(y) - top, int(x) - left]))
    window = image[rows, cols].astype(np.float32)
    strength = (0.25 + 0.55 * severity) * rng.uniform(0.8, 1.1)
    tint = 1 - strength * (rng.uniform(0.55, 1.0, 3) if image.ndim == 3 else rng.uniform(0.8, 1.0, 1))
    if window.mean() < 60:  # a dark material shows pale stains
        pale = rng.uniform(120, 220) * (1 + (tint - tint.mean()))
        blend = (cover * strength)[..., None]
        stained = window.reshape(*cover.shape, -1) * (1 - blend) + pale * blend
    else:
        stained = window.reshape(*cover.shape, -1) * (1 - cover[..., None] * (1 - tint))
    out = image.copy()
    out[rows, cols] = np.clip(np.rint(stained), 0, 255).reshape(window.shape)
    mask = np.zeros((height, width), bool)
    mask[rows, cols] = cover >= min(0.3, float(cover.max()))
    return out, mask


def blot(
    rng: np.random.Generator, center: tuple[float, float], radius: float, size: tuple[int, int]
) -> tuple[Floats, tuple[int, int]]:
    """Return the soft (h, w) coverage in [0, 1.2] of an uneven blot inside its own box, and the box's left, top.

    The outline is a circle with random harmonics; the inside is cloudy and the rim a little denser, as a drop dries.
    """
    import cv2

    height, width = size
    reach = int(np.ceil(radius * 1.9)) + 2
    left, top = max(0, int(center[0]) - reach), max(0, int(center[1]) - reach)
    right, bottom = min(width, int(center[0]) + reach + 1), min(height, int(center[1]) + reach + 1)
    dy, dx = np.mgrid[top:bottom, left:right].astype(np.float32)
    dx, dy = dx - center[0], (dy - center[1]) * rng.uniform(0.7, 1.4)
    angle, order = np.arctan2(dy, dx), np.arange(2, 7)
    size_of, phase = rng.normal(0, 0.22, len(order)) / np.sqrt(order), rng.uniform(0, 2 * np.pi, len(order))
    outline = 1 + sum(a * np.cos(k * angle + p) for a, k, p in zip(size_of, order, phase, strict=True))
    distance = np.hypot(dx, dy) / (radius * np.clip(outline, 0.4, 1.8))
    soft = max(0.12, 0.8 / radius)
    edge = np.clip((1 + soft / 2 - distance) / soft, 0, 1)
    cover = edge * edge * (3 - 2 * edge)
    cloud = cv2.resize(rng.random((5, 5)).astype(np.float32), cover.shape[::-1], interpolation=cv2.INTER_CUBIC)
    rim = np.exp(-(((distance - 0.92) / 0.12) ** 2)) * 0.25
    density = np.clip(0.55 + 0.45 * np.asarray(cloud) + rim, 0.45, 1.2)
    return np.asarray(cover * density, np.float32), (left, top)
