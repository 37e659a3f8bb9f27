"""Tears."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from scarce.dataset import Array, Floats
from scarce.recipe import Params, Parents
from scarce.synthesize._base import AbstractDefect
from scarce.synthesize._look import Look
from scarce.synthesize._outline import bent_line, filled, laid, strokes, taper, window_of
from scarce.synthesize._region import Region
from scarce.synthesize._site import Coat, Order, Site, drawn, grain, relief, shaded, shifted

WHO = "synthesize.tear"


@final
@dataclass(frozen=True, kw_only=True)
class Tear(AbstractDefect):
    """Draw a tear: a slit with frayed, lifted edges and threads across it.

    Use when a class is about tears, rips or cuts in cloth, film, leather or paper.
    Do not use when the material is brittle: draw cracks.
    Needs: pictures of sound parts.
    Writes: picture, mask and box. Length 40 to 160 and widest opening 4 to 26 pixels
        at a shorter side of 256, growing with the picture.
    """

    words: ClassVar[frozenset[str]] = frozenset({"tear", "torn", "rip", "ripped", "cut", "slit", "laceration"})

    def draw(self, image: Array, params: Params, parents: Parents) -> tuple[Array, Array]:  # noqa: ARG002  one hook
        """Return the picture with a tear and its mask."""
        return self.sketch(draw_tear, image, params)


def draw_tear(
    image: Array, *, seed: int, region: Region = None, severity: float = 0.5, look: Look | None = None
) -> tuple[Array, Array]:
    """Draw one tear.

    Args:
        image: uint8 (H, W) or (H, W, 3); not changed.
        seed: of everything random about it.
        region: where it may lie: x0, y0, x1, y1 in pixels or an (H, W) mask; None = anywhere.
        severity: length and width, in (0, 1].
        look: a real defect whose size, shape, place, color and contrast it takes.

    Returns:
        The picture and the (H, W) bool mask of the tear; at least one pixel.
    """
    return drawn(_tear, image, Order(WHO, seed, region, severity, look))


def _tear(site: Site) -> Coat:
    """A slit that gapes in its middle; both edges frayed and lifted, a few threads still hold."""
    rng = site.rng
    length, gap = site.length(40, 160), site.width(4, 26)
    path = laid(bent_line(rng, length, site.heading(), bend=0.5, jag=0.05, n=40), site)
    along = np.gradient(path, axis=0)
    normal = np.stack([-along[:, 1], along[:, 0]], axis=1) / (np.hypot(*along.T)[:, None] + 1e-6)
    open_ = 0.5 * gap * taper(len(path), ends=0.02, power=0.8)
    fray = 0.22 * rng.normal(size=(2, len(path))) * np.minimum(open_, 4 * site.scale)
    sides = [path + normal * (open_ + fray[0])[:, None], path - normal * (open_ + fray[1])[:, None]]
    box = window_of(np.vstack(sides), 0.6 * gap + 3, site.image.shape)
    cover = filled(np.vstack([sides[0], sides[1][::-1]]), box)
    window = site.window(box)
    held = [int(i) for i in rng.integers(4, len(path) - 4, rng.poisson(1 + 2.5 * site.severity))]
    threads = [_thread(sides, i, rng) for i in held]
    fine = np.full(8, max(0.5, 0.8 * site.scale))
    bridges = strokes([(line, fine) for line in threads], box) * cover if threads else np.zeros_like(cover)
    shadow = np.clip(0.5 + 0.5 * shifted(cover, site.light * 0.3 * gap), 0, 1)[..., None]
    dark = site.behind() * (1.15 - 0.5 * shadow) + grain(rng, cover.shape, 2.5)
    edges = shaded(window, relief(-cover * max(1.5, 0.25 * gap), site.light) * 0.9, gloss=0.1)
    gaping = cover * (1 - 0.85 * bridges)
    return Coat(box[0], box[1], edges * (1 - gaping[..., None]) + dark * gaping[..., None], cover)


def _thread(sides: list[Floats], at: int, rng: np.random.Generator) -> Floats:
    """Return (9, 2) points of a slack thread from one edge to the other."""
    first, last = sides[0][at], sides[1][int(np.clip(at + rng.integers(-3, 4), 0, len(sides[1]) - 1))]
    share = np.linspace(0, 1, 9)[:, None]
    sag = np.sin(np.pi * share) * rng.normal(0, 0.12, 2) * np.hypot(*(last - first))
    return np.asarray(first * (1 - share) + last * share + sag)
