"""Dents."""

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
from scarce.synthesize._site import Coat, Order, Site, drawn, relief, shaded

WHO = "synthesize.dent"


@final
@dataclass(frozen=True, kw_only=True)
class Dent(AbstractDefect):
    """Draw a dent: a shallow hollow whose walls catch and lose the light and bend the texture.

    Use when a class is about dents, dings or bumps on a surface that reflects.
    Do not use when the material is soft and shows no shading (cloth): draw a discoloration, or paste real ones.
    Needs: pictures of sound parts.
    Writes: picture, mask and box. Half axes 5 to 20 pixels
        at a shorter side of 256, growing with the picture.
    """

    words: ClassVar[frozenset[str]] = frozenset({"dent", "dented", "ding", "bump", "hollow", "depression"})

    def draw(self, image: Array, params: Params, parents: Parents) -> tuple[Array, Array]:  # noqa: ARG002  one hook
        """Return the picture with a dent and its mask."""
        return self.sketch(draw_dent, image, params)


def draw_dent(
    image: Array, *, seed: int, region: Region = None, severity: float = 0.5, look: Look | None = None
) -> tuple[Array, Array]:
    """Draw one dent.

    Args:
        image: uint8 (H, W) or (H, W, 3); not changed.
        seed: of everything random about it.
        region: where it may lie: x0, y0, x1, y1 in pixels or an (H, W) mask; None = anywhere.
        severity: size and depth, in (0, 1].
        look: a real defect whose size, shape, place, color and contrast it takes.

    Returns:
        The picture and the (H, W) bool mask of the dent; at least one pixel.
    """
    return drawn(_dent, image, Order(WHO, seed, region, severity, look))


def _dent(site: Site) -> Coat:
    """A hollow: shade towards the light, a highlight away from it, and texture drawn towards its middle."""
    import cv2

    rng = site.rng
    cover, box = blot(site, site.between(5, 20) * 1.15, ragged=0.05, soft=1.0, margin=3)
    window = site.window(box)
    wide = float(np.sqrt(max(1.0, float(cover.sum()))))
    deep = np.asarray(cv2.GaussianBlur(cover, (0, 0), max(0.6, 0.2 * wide)), np.float32)
    depth = wide * (0.06 + 0.2 * site.severity) * rng.uniform(0.8, 1.2)
    shade = relief(-deep * depth, site.light)
    most = 0.08 + 0.22 * site.severity  # a steeper wall does not turn black or white: the surface around lights it, too
    shade = most * np.tanh(shade / most)
    shade = np.where(shade > 0, shade * np.clip((255 - window.mean()) / 128, 0.2, 1), shade)  # no flank turns white
    slopes = [relief(deep * depth, np.array(axis, np.float32)) for axis in ((1, 0), (0, 1))]
    steep = most * np.tanh(np.hypot(*slopes) / most)  # in any direction: the mask has no gap where light meets shade
    if min(cover.shape) > 4:
        pull = 0.6 * depth
        down, across = np.gradient(deep)
        gy, gx = np.mgrid[: cover.shape[0], : cover.shape[1]].astype(np.float32)
        bent = cv2.remap(
            window, gx - across * pull, gy - down * pull, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        window = np.asarray(bent, np.float32).reshape(*cover.shape, -1)
    shade = shade - 0.12 * site.severity * deep
    seen = np.clip(np.maximum(deep**2, 2 * steep), 0, 1)
    return Coat(box[0], box[1], shaded(window, shade, gloss=0.6), seen)
