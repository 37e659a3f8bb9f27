"""Missing parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from scarce.dataset import Array
from scarce.recipe import Params, Parents
from scarce.synthesize._base import AbstractDefect
from scarce.synthesize._look import Look
from scarce.synthesize._outline import blot, filled, window_of
from scarce.synthesize._region import Region
from scarce.synthesize._site import Coat, Order, Site, drawn, grain, relief, shaded, shifted

WHO = "synthesize.missing_part"


@final
@dataclass(frozen=True, kw_only=True)
class MissingPart(AbstractDefect):
    """Draw a missing part: a chunk broken off the object's edge, the ground behind it, the fracture lit.

    Use when a class is about missing, broken or chipped parts.
    Do not use when whole components are missing (a screw): edit real pictures.
    Needs: pictures of sound parts.
    Writes: picture, mask and box. Radius 12 to 60 pixels at a shorter side of 256, on the
        object's edge, else on the picture's.
    """

    words: ClassVar[frozenset[str]] = frozenset({"missing", "broken", "break", "chipped", "chip", "incomplete"})

    def draw(self, image: Array, params: Params, parents: Parents) -> tuple[Array, Array]:  # noqa: ARG002  one hook
        """Return the picture with a part missing and its mask."""
        return self.sketch(draw_missing_part, image, params)


def draw_missing_part(
    image: Array, *, seed: int, region: Region = None, severity: float = 0.5, look: Look | None = None
) -> tuple[Array, Array]:
    """Draw one missing part.

    Args:
        image: uint8 (H, W) or (H, W, 3); not changed.
        seed: of everything random about it.
        region: where it may lie: x0, y0, x1, y1 in pixels or an (H, W) mask; None = anywhere.
        severity: size and strength, in (0, 1].
        look: a real defect whose size, shape, place, color and contrast it takes.

    Returns:
        The picture and the (H, W) bool mask of the missing part; at least one pixel.
    """
    return drawn(_missing_part, image, Order(WHO, seed, region, severity, look))


def _missing_part(site: Site) -> Coat:
    """A bite out of the edge: straight breaks, a lit or shaded wall along them, and what lies behind."""
    import cv2

    rng = site.rng
    if site.look is None:
        site.x, site.y = _edge(site)
        radius = site.between(12, 60)
        turns = np.sort(rng.uniform(0, 2 * np.pi, 9))
        far = radius * rng.uniform(0.6, 1.1, len(turns))
        ring = np.stack([site.x + far * np.cos(turns), site.y + far * np.sin(turns)], axis=1)
        box = window_of(ring, 4, site.image.shape)
        cover = filled(ring, box)
    else:
        cover, box = blot(site, 1.0, margin=4)
    window = site.window(box)
    wide = float(np.sqrt(max(1.0, float(cover.sum()))))
    thick = min(max(0.8, 0.12 * wide), 10 * max(1.0, site.scale)) * (1.0 if site.look is None else 0.3)
    deep = cover * shifted(cover, site.light * thick)
    noise = grain(rng, cover.shape, 1.0)
    wall = window * (0.75 + 0.24 * cv2.GaussianBlur(noise, (0, 0), 1.0))[..., None]
    ground = site.behind() + 2.0 * noise
    gone = wall * (1 - deep[..., None]) + ground * deep[..., None]
    lip = shaded(window, relief(-cover * 1.5, site.light), gloss=0.3)
    return Coat(box[0], box[1], np.asarray(lip * (1 - cover[..., None]) + gone * cover[..., None], np.float32), cover)


def _edge(site: Site) -> tuple[float, float]:
    """Return a point on the object's edge, or on the picture's where the object fills it."""
    height, width = site.image.shape[:2]
    if site.inside is None:
        sides = [(site.x, 0.0), (site.x, height - 1.0), (0.0, site.y), (width - 1.0, site.y)]
        return sides[int(site.rng.integers(4))]
    import cv2

    held = np.ascontiguousarray(site.inside, np.uint8)
    ys, xs = np.nonzero(
        held - cv2.erode(held, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    )
    if not len(xs):
        return site.x, site.y
    at = int(site.rng.integers(len(xs)))
    return float(xs[at]), float(ys[at])
