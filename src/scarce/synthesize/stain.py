"""Stains."""

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
from scarce.synthesize._site import Coat, Order, Site, cloud, drawn

WHO = "synthesize.stain"


@final
@dataclass(frozen=True, kw_only=True)
class Stain(AbstractDefect):
    """Draw a stain: an uneven blot that tints the material and keeps its texture.

    Use when a class is about stains, spots or smudges and real ones are few.
    Do not use when the stain has relief (glue, mud): draw contamination, or paste real ones.
    Needs: pictures of sound parts.
    Writes: picture, mask and box. Radius 10 to 50 pixels
        at a shorter side of 256, growing with the picture.
    """

    words: ClassVar[frozenset[str]] = frozenset(
        {"stain", "stained", "spot", "blot", "smudge", "dirt", "dirty", "discoloration", "discoloured", "discolored"}
    )

    def draw(self, image: Array, params: Params, parents: Parents) -> tuple[Array, Array]:  # noqa: ARG002  one hook
        """Return the picture with a stain and its mask."""
        return self.sketch(draw_stain, image, params)


def draw_stain(
    image: Array, *, seed: int, region: Region = None, severity: float = 0.5, look: Look | None = None
) -> tuple[Array, Array]:
    """Draw one stain.

    Args:
        image: uint8 (H, W) or (H, W, 3); not changed.
        seed: of everything random about it.
        region: where it may lie: x0, y0, x1, y1 in pixels or an (H, W) mask; None = anywhere.
        severity: size and strength, in (0, 1].
        look: a real defect whose size, shape, place, color and contrast it takes.

    Returns:
        The picture and the (H, W) bool mask of the stain; at least one pixel.
    """
    return drawn(_stain, image, Order(WHO, seed, region, severity, look))


def _stain(site: Site) -> Coat:
    """A drop that dried: it takes light away by color, cloudy inside and denser at the rim."""
    rng = site.rng
    cover, box = blot(site, site.between(10, 50))
    window = site.window(box)
    rim = np.clip(cover * (1 - cover) * 4, 0, 1) * 0.3
    density = np.clip(cover * (0.6 + 0.45 * cloud(rng, cover.shape, 5)) + rim * cover, 0, 1.15)
    strength = (0.25 + 0.5 * site.severity) * rng.uniform(0.85, 1.1)
    channels = window.shape[2]
    tint = (
        0.78 + rng.uniform(-0.28, 0.22, channels) * (0.3 + 0.7 * site.chroma(window))
        if channels == 3
        else rng.uniform(0.8, 1.0, 1)
    )
    if channels == 3:  # coffee, oil, rust and ink take blue and green away more often than red
        tint = np.sort(tint) if rng.random() < 0.75 else tint
    if window.mean() < 60:  # a dark material shows pale stains
        pale = rng.uniform(120, 210) * (1 + 0.3 * (tint - tint.mean()))
        share = (density * strength * 0.8)[..., None]
        return Coat(
            box[0],
            box[1],
            np.asarray(window * (1 - share) + (pale + 0.8 * (window - window.mean())) * share, np.float32),
            cover,
        )
    taken = np.exp(-density[..., None] * (1.6 * strength * tint).astype(np.float32))
    return Coat(box[0], box[1], np.asarray(window * taken, np.float32), cover)
