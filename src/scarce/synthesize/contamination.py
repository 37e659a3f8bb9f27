"""Contamination."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from scarce.dataset import Array, Floats
from scarce.recipe import Params, Parents
from scarce.synthesize._base import AbstractDefect
from scarce.synthesize._look import Look
from scarce.synthesize._outline import bent_line, blot, filled, laid, strokes, window_of
from scarce.synthesize._region import Region
from scarce.synthesize._site import Coat, Order, Site, cloud, drawn, relief, shaded, shifted

WHO = "synthesize.contamination"


@final
@dataclass(frozen=True, kw_only=True)
class Contamination(AbstractDefect):
    """Draw contamination: foreign specks, a fiber or a flake that lies on the surface and casts a shadow.

    Use when a class is about foreign matter, dust, fibers, lint, chips or residue.
    Do not use when it has soaked in: draw a stain.
    Needs: pictures of sound parts.
    Writes: picture, mask and box. Specks of radius 1.5 to 9, fibers 30 to 120 long, flakes of radius 5 to
        22 pixels at a shorter side of 256.
    """

    words: ClassVar[frozenset[str]] = frozenset(
        {
            "contamination",
            "contaminated",
            "foreign",
            "dust",
            "lint",
            "fiber",
            "fibre",
            "residue",
            "particle",
            "matter",
            "debris",
        }
    )

    def draw(self, image: Array, params: Params, parents: Parents) -> tuple[Array, Array]:  # noqa: ARG002  one hook
        """Return the picture with foreign matter and its mask."""
        return self.sketch(draw_contamination, image, params)


def draw_contamination(
    image: Array, *, seed: int, region: Region = None, severity: float = 0.5, look: Look | None = None
) -> tuple[Array, Array]:
    """Draw some foreign matter.

    Args:
        image: uint8 (H, W) or (H, W, 3); not changed.
        seed: of everything random about it.
        region: where it may lie: x0, y0, x1, y1 in pixels or an (H, W) mask; None = anywhere.
        severity: size and strength, in (0, 1].
        look: a real defect whose size, shape, place, color and contrast it takes.

    Returns:
        The picture and the (H, W) bool mask of the foreign matter; at least one pixel.
    """
    return drawn(_contamination, image, Order(WHO, seed, region, severity, look))


def _contamination(site: Site) -> Coat:
    """Matter of another color with its own relief, whose shadow falls away from the light."""
    rng = site.rng
    form = int(rng.integers(3))
    if site.look is not None:
        form = 1 if site.look.long > 4 * site.look.wide else 2
    cover, box, high = (_specks, _fiber, _flake)[form](site)
    window = site.window(box)
    level = window.reshape(-1, window.shape[2]).mean(axis=0)
    own = _foreign(rng, level, site.severity, 0.06 + 0.12 * site.chroma(window))
    body = own * np.clip(0.9 + 0.25 * cloud(rng, cover.shape, 6), 0.6, 1.3)[..., None]
    body = shaded(np.asarray(body, np.float32), np.clip(relief(cover * high, site.light) * 0.8, -0.6, 0.8), gloss=0.25)
    fallen = np.clip(shifted(cover, -site.light * max(0.8, 0.6 * high)) - cover, 0, 1)
    ground = window * (1 - (0.15 + 0.25 * site.severity) * fallen)[..., None]
    solid = np.clip(cover * (0.75 + 0.35 * site.severity), 0, 1)[..., None]
    return Coat(box[0], box[1], ground * (1 - solid) + body * solid, cover)


def _foreign(rng: np.random.Generator, level: Floats, severity: float, tint: float) -> Floats:
    """Return (C,) a color that stands apart from the material's by 40 to 130 levels."""
    apart = (40 + 90 * severity) * rng.uniform(0.8, 1.1)
    mean = float(level.mean())
    target = mean - apart if (mean > 128) != (rng.random() < 0.25) else mean + apart
    if not 8 <= target <= 247:
        target = mean + apart if mean < 128 else mean - apart
    hue = rng.normal(0, tint, len(level)) if len(level) == 3 else np.zeros(1)
    return np.asarray(np.clip(target, 8, 247) * (1 + hue - hue.mean()), np.float32)


def _specks(site: Site) -> tuple[Floats, tuple[int, int, int, int], float]:
    rng = site.rng
    number, size = 1 + rng.poisson(1 + 5 * site.severity), site.between(1.5, 9)
    spots = np.array(
        [[site.x, site.y]] + [[site.x + dx, site.y + dy] for dx, dy in rng.normal(0, 3.0 * size, (number - 1, 2))]
    )
    box = window_of(spots, 2 * size + 2, site.image.shape)
    cover = np.zeros((box[3] - box[1], box[2] - box[0]), np.float32)
    for index, (x, y) in enumerate(spots):
        radius = size * (1 if not index else rng.uniform(0.3, 0.9))
        turns = np.linspace(0, 2 * np.pi, 11)[:-1]
        far = radius * rng.uniform(0.6, 1.15, 10)
        ring = np.stack([x + far * np.cos(turns), y + far * np.sin(turns)], axis=1)
        cover = np.maximum(cover, filled(ring, box))
    return cover, box, max(1.0, 0.4 * size)


def _fiber(site: Site) -> tuple[Floats, tuple[int, int, int, int], float]:
    length, thick = site.length(30, 120), site.width(1, 3)
    points = laid(bent_line(site.rng, length, site.heading(), bend=2.0, jag=0.05, n=32), site)
    box = window_of(points, 3 * thick, site.image.shape)
    return strokes([(points, np.full(32, thick))], box), box, max(1.0, thick)


def _flake(site: Site) -> tuple[Floats, tuple[int, int, int, int], float]:
    cover, box = blot(site, site.between(5, 22), ragged=0.35, soft=0.15, margin=4)
    return cover, box, 2.0 * max(1.0, site.scale)
