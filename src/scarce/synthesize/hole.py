"""Holes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from scarce.dataset import Array
from scarce.recipe import Params, Parents
from scarce.synthesize._base import AbstractDefect
from scarce.synthesize._look import Look
from scarce.synthesize._outline import blot
from scarce.synthesize._region import Region
from scarce.synthesize._site import Coat, Order, Site, drawn, grain, relief, shaded, shifted

WHO = "synthesize.hole"


@final
@dataclass(frozen=True, kw_only=True)
class Hole(AbstractDefect):
    """Draw a hole: an opening with a lit wall, a dark ground and a worn lip.

    Use when a class is about holes, pits, pores or blowholes.
    Do not use when holes in the field are slits (draw tears), or what lies behind is patterned: paste real ones.
    Needs: pictures of sound parts.
    Writes: picture, mask and box. Radius 4 to 28 pixels
        at a shorter side of 256, growing with the picture.
    """

    words: ClassVar[frozenset[str]] = frozenset(
        {"hole", "holed", "pit", "pitting", "pore", "blowhole", "puncture", "perforation"}
    )

    def draw(self, image: Array, params: Params, parents: Parents) -> tuple[Array, Array]:  # noqa: ARG002  one hook
        """Return the picture with a hole and its mask."""
        return self.sketch(draw_hole, image, params)


def draw_hole(
    image: Array, *, seed: int, region: Region = None, severity: float = 0.5, look: Look | None = None
) -> tuple[Array, Array]:
    """Draw one hole.

    Args:
        image: uint8 (H, W) or (H, W, 3); not changed.
        seed: of everything random about it.
        region: where it may lie: x0, y0, x1, y1 in pixels or an (H, W) mask; None = anywhere.
        severity: size, in (0, 1].
        look: a real defect whose size, shape, place, color and contrast it takes.

    Returns:
        The picture and the (H, W) bool mask of the hole; at least one pixel.
    """
    return drawn(_hole, image, Order(WHO, seed, region, severity, look))


def _hole(site: Site) -> Coat:
    """An opening: behind it the ground or the dark, its far wall lit, its lip worn."""
    rng = site.rng
    cover, box = blot(site, site.between(4, 28), ragged=0.12, soft=0.18, margin=3)
    window = site.window(box)
    wide = float(np.sqrt(max(1.0, float(cover.sum()))))
    depth = min(max(0.5, 0.1 * wide * rng.uniform(0.6, 1.4)), 6 * max(1.0, site.scale))
    deep = cover * shifted(cover, site.light * depth)
    behind = site.behind()
    wall = window * (0.5 + 0.35 * (1 - deep))[..., None]
    opened = wall * (1 - deep[..., None]) + (behind + grain(rng, cover.shape, 2.0)) * deep[..., None]
    lip = shaded(window, relief(-cover * max(1.0, 0.06 * wide), site.light) * 1.1, gloss=0.3)
    return Coat(box[0], box[1], lip * (1 - cover[..., None]) + opened * cover[..., None], cover)
