"""Scratches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from scarce.dataset import Array
from scarce.recipe import Params, Parents
from scarce.synthesize._base import AbstractDefect
from scarce.synthesize._look import Look
from scarce.synthesize._outline import bent_line, laid, strokes, taper, window_of
from scarce.synthesize._region import Region
from scarce.synthesize._site import Coat, Order, Site, drawn, relief, shaded

WHO = "synthesize.scratch"


@final
@dataclass(frozen=True, kw_only=True)
class Scratch(AbstractDefect):
    """Draw a scratch: a slightly bent groove with a lit and a shaded flank.

    Use when a class is about scratches, scuffs or scrapes on a surface and real ones are few.
    Do not use when scratches in the field look otherwise (wide abrasions, colored filling): paste real ones.
    Needs: pictures of sound parts.
    Writes: picture, mask and box. Length 50 to 200 and width 1 to 5 pixels
        at a shorter side of 256, growing with the picture.
    """

    words: ClassVar[frozenset[str]] = frozenset({"scratch", "scratched", "scuff", "scrape", "scrap", "scratche"})

    def draw(self, image: Array, params: Params, parents: Parents) -> tuple[Array, Array]:  # noqa: ARG002  one hook
        """Return the picture with a scratch and its mask."""
        return self.sketch(draw_scratch, image, params)


def draw_scratch(
    image: Array, *, seed: int, region: Region = None, severity: float = 0.5, look: Look | None = None
) -> tuple[Array, Array]:
    """Draw one scratch.

    Args:
        image: uint8 (H, W) or (H, W, 3); not changed.
        seed: of everything random about it.
        region: where it may lie: x0, y0, x1, y1 in pixels or an (H, W) mask; None = anywhere.
        severity: length, width and contrast, in (0, 1].
        look: a real defect whose size, shape, place, color and contrast it takes.

    Returns:
        The picture and the (H, W) bool mask of the scratch; at least one pixel.
    """
    return drawn(_scratch, image, Order(WHO, seed, region, severity, look))


def _scratch(site: Site) -> Coat:
    """A groove: ground away along its middle, one flank in light and one in shade."""
    rng, severity = site.rng, site.severity
    length, thick = site.length(50, 200), site.width(1, 5)
    points = laid(bent_line(rng, length, site.heading(), bend=0.35, jag=0.03), site)
    box = window_of(points, 2 * thick, site.image.shape)
    widths = thick * taper(len(points) - 1) * np.clip(1 + 0.25 * rng.normal(size=len(points) - 1), 0.5, 1.5)
    cover = strokes([(points, widths)], box)
    window = site.window(box)
    level = float(window.mean())
    bright = level < 90 or (level < 165 and rng.random() < 0.5)
    strength = (0.1 + 0.4 * severity) * rng.uniform(0.8, 1.2)
    ground = window * (1 - cover * strength)[..., None]
    if bright:  # bare material shines
        ground = window + (cover * strength)[..., None] * (235 - window)
    shade = relief(-cover * max(1.0, thick / 2), site.light) * (0.8 + 2.4 * severity)
    seen = np.clip(np.maximum(cover, 1.5 * np.abs(shade)), 0, 1)  # the flanks belong to it
    return Coat(box[0], box[1], shaded(ground, shade, gloss=0.5 if bright else 0.15), seen)
