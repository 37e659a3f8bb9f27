"""Cracks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, final

import numpy as np

from scarce.dataset import Array, Floats
from scarce.recipe import Params, Parents
from scarce.synthesize._base import AbstractDefect
from scarce.synthesize._look import Look
from scarce.synthesize._outline import bent_line, laid, real_line, strokes, window_of
from scarce.synthesize._profile import dyed
from scarce.synthesize._region import Region
from scarce.synthesize._site import Coat, Order, Site, drawn, shifted

WHO = "synthesize.crack"
LIT: Final = 0.1
"""A rim that is less brighter than the surface (log) is none."""


@final
@dataclass(frozen=True, kw_only=True)
class Crack(AbstractDefect):
    """Draw a crack: a jagged, branching, thin dark line with one lit edge.

    Use when a class is about cracks or fractures in a brittle material.
    Do not use when cracks in the field are wide breaks: draw missing parts, or paste real ones.
    Needs: pictures of sound parts.
    Writes: picture, mask and box. Length 60 to 240 and width 1 to 4 pixels
        at a shorter side of 256, growing with the picture.
    """

    words: ClassVar[frozenset[str]] = frozenset({"crack", "cracked", "fracture", "fractured", "fissure", "craze"})

    def draw(self, image: Array, params: Params, parents: Parents) -> tuple[Array, Array]:  # noqa: ARG002  one hook
        """Return the picture with a crack and its mask."""
        return self.sketch(draw_crack, image, params)


def draw_crack(
    image: Array, *, seed: int, region: Region = None, severity: float = 0.5, look: Look | None = None
) -> tuple[Array, Array]:
    """Draw one crack.

    Args:
        image: uint8 (H, W) or (H, W, 3); not changed.
        seed: of everything random about it.
        region: where it may lie: x0, y0, x1, y1 in pixels or an (H, W) mask; None = anywhere.
        severity: length, width and number of branches, in (0, 1].
        look: a real defect whose size, shape, place, color and contrast it takes.

    Returns:
        The picture and the (H, W) bool mask of the crack; at least one pixel.
    """
    return drawn(_crack, image, Order(WHO, seed, region, severity, look))


def _crack(site: Site) -> Coat:
    """A fracture runs along weak grains: short straight steps, branches, width that comes and goes."""
    look = site.look
    if look is not None and look.profile:
        return _fitted(site, look)
    rng = site.rng
    length, thick = site.length(60, 240), site.width(1, 4)
    steps = int(np.clip(length / (5 * max(0.4, site.scale)), 8, 48))
    main = laid(bent_line(rng, length, site.heading(), bend=0.6, jag=0.42, n=steps), site)
    lines = [(main, _widths(rng, thick, steps))]
    for _ in range(rng.poisson(0.4 + 2.2 * site.severity) if site.look is None else rng.poisson(0.5)):
        at = int(rng.integers(1, steps))
        along = main[at] - main[max(0, at - 3)]
        heading = float(np.arctan2(along[1], along[0])) + rng.choice([-1, 1]) * rng.uniform(0.4, 1.1)
        short = max(3, steps // 3)
        twig = bent_line(rng, length * rng.uniform(0.1, 0.35), heading, bend=0.5, jag=0.4, n=short) + main[at]
        lines.append((twig, 0.65 * _widths(rng, thick, short)))
    box = window_of(np.vstack([points for points, _ in lines]), 2 * thick, site.image.shape)
    cover = strokes(lines, box)
    window = site.window(box)
    dark = window * (0.45 - 0.3 * site.severity) * rng.uniform(0.85, 1.15)
    lip = np.clip(shifted(cover, -site.light * max(0.8, 0.7 * thick)) - cover, 0, 1)
    lit = window * (1 + (0.1 + 0.25 * site.severity) * lip)[..., None]
    return Coat(box[0], box[1], lit * (1 - cover[..., None]) + dark * cover[..., None], cover)


def _fitted(site: Site, look: Look) -> Coat:
    """A line of the real one's course and width: dark along a thin core, as dark as the real one's marked pixels."""
    import cv2

    rng = site.rng
    found = real_line(site)
    if found is None:
        length, thick = site.length(60, 240), site.width(1, 4)
        steps = int(np.clip(length / (5 * max(0.4, site.scale)), 8, 48))
        line = laid(bent_line(rng, length, site.heading(), bend=0.5, jag=0.15, n=steps), site)
        found = line, _widths(rng, thick, steps)
    points, widths = found
    wide = float(widths.mean())
    box = window_of(points, 2 * wide + 2, site.image.shape)
    band = strokes([found], box, dim=False)
    comes = np.interp(np.linspace(0, 1, len(widths)), np.linspace(0, 1, 8), rng.uniform(0.3, 1.0, 8))
    core = strokes([(points, np.maximum(0.3, 0.5 * widths * comes))], box)
    core = np.asarray(cv2.GaussianBlur(core, (0, 0), max(0.5, 0.15 * wide)), np.float32)
    window = site.window(box)
    if look.lit > LIT:
        lip = np.clip(shifted(band, -site.light * max(0.8, 0.7 * wide)) - band, 0, 1)
        window = window * np.exp(look.lit * lip)[..., None]
    return Coat(box[0], box[1], dyed(window, band, core, look.profile, look.change), band, fitted=True)


def _widths(rng: np.random.Generator, thick: float, n: int) -> Floats:
    """Return (n,) widths in pixels that thin out towards the tip."""
    comes = np.interp(np.linspace(0, 1, n), np.linspace(0, 1, 6), rng.uniform(0.5, 1.3, 6))
    return np.asarray(thick * comes * np.linspace(1, 0.35, n))
