"""Perlin blends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from scarce.dataset import Array, Floats
from scarce.recipe import Params, Parents
from scarce.synthesize._base import AbstractDefect
from scarce.synthesize._look import Look
from scarce.synthesize._noise import perlin
from scarce.synthesize._outline import blot
from scarce.synthesize._region import Region
from scarce.synthesize._site import Coat, Order, Site, drawn

WHO = "synthesize.perlin_blend"


@final
@dataclass(frozen=True, kw_only=True)
class PerlinBlend(AbstractDefect):
    """Blend strange texture in along Perlin noise: not like any one defect, for detectors of the unknown.

    Use when a model must learn what is sound, and no kind of defect is known yet.
    Do not use when a class has its own look: draw or paste that.
    Needs: pictures of sound parts.
    Writes: picture, mask and box. Islands of noise with 8 to 48 pixels across at a shorter side of 256.
    Source: Zavrtanik, Kristan and Skocaj 2021, DRAEM, section 3.3; theirs takes texture from other data sets, ours from
        the picture itself, turned, mirrored and recolored, so that nothing else is needed.
    """

    words: ClassVar[frozenset[str]] = frozenset({"anomaly", "anomalou", "anomalous", "unknown", "other"})

    def draw(self, image: Array, params: Params, parents: Parents) -> tuple[Array, Array]:  # noqa: ARG002  one hook
        """Return the picture with strange texture and its mask."""
        return self.sketch(draw_perlin_blend, image, params)


def draw_perlin_blend(
    image: Array, *, seed: int, region: Region = None, severity: float = 0.5, look: Look | None = None
) -> tuple[Array, Array]:
    """Draw islands of strange texture.

    Args:
        image: uint8 (H, W) or (H, W, 3); not changed.
        seed: of everything random about it.
        region: where it may lie: x0, y0, x1, y1 in pixels or an (H, W) mask; None = anywhere.
        severity: size and strength, in (0, 1].
        look: a real defect whose size, shape, place, color and contrast it takes.

    Returns:
        The picture and the (H, W) bool mask of the strange texture; at least one pixel.
    """
    return drawn(_perlin_blend, image, Order(WHO, seed, region, severity, look))


def _perlin_blend(site: Site) -> Coat:
    """Islands where noise is high; in them the same material from elsewhere, turned and recolored, half transparent."""
    rng = site.rng
    if site.look is None:
        box = site.box(site.between(24, 96))
        shape = (box[3] - box[1], box[2] - box[0])
        noise = perlin(rng, shape, max(2, round(max(shape) / site.between(8, 48))))
        dx, dy = site.offsets(box)
        near = 1 - (dx**2 + dy**2) / float(max(shape)) ** 2 * 4
        noise = noise + 0.5 * near
        high = float(noise.max())
        cut = max(0.35, high - 0.45)
        cover = np.clip((noise - cut) / max(0.08, 0.15 * (high - cut)), 0, 1).astype(np.float32)
    else:
        cover, box = blot(site, 1.0)
    window = site.window(box)
    strange = _elsewhere(site, cover.shape)
    tint = rng.normal(0, 0.4 * site.chroma(window), window.shape[2])
    gain = np.exp(rng.normal(0, 0.15 + 0.3 * site.severity) + tint).astype(np.float32)
    strange = np.clip(128 + (strange - 128) * rng.uniform(0.7, 1.6) + rng.normal(0, 25), 0, 255) * gain
    share = (cover * np.clip(0.35 + 0.6 * site.severity, 0, 0.95))[..., None]
    return Coat(box[0], box[1], np.asarray(window * (1 - share) + strange * share, np.float32), cover)


def _elsewhere(site: Site, shape: tuple[int, ...]) -> Floats:
    """Return (h, w, C) float32 pixels of another place of the picture, mirrored and, where it fits, turned."""
    height, width = site.image.shape[:2]
    rng = site.rng
    top = int(rng.integers(height - shape[0] + 1))
    left = int(rng.integers(width - shape[1] + 1))
    part = site.window((left, top, left + shape[1], top + shape[0]))
    if shape[0] == shape[1] and rng.random() < 0.5:
        part = part.transpose(1, 0, 2)
    return np.ascontiguousarray(part[:: -1 if rng.random() < 0.5 else 1, :: -1 if rng.random() < 0.5 else 1])
