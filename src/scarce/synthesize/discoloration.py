"""Discoloration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, final

import numpy as np

from scarce.dataset import Array
from scarce.recipe import Params, Parents
from scarce.synthesize._base import AbstractDefect
from scarce.synthesize._look import Look
from scarce.synthesize._outline import blot
from scarce.synthesize._region import Region
from scarce.synthesize._site import Coat, Order, Site, cloud, drawn

WHO = "synthesize.discoloration"
BRIGHT: Final = 150
"""Mean gray level from which material darkens only."""


@final
@dataclass(frozen=True, kw_only=True)
class Discoloration(AbstractDefect):
    """Draw a discoloration: a wide patch whose color drifts off while texture and shading stay.

    Use when a class is about discolored, faded, yellowed, burnt or uneven areas.
    Do not use when it has a sharp rim: draw a stain.
    Needs: pictures of sound parts.
    Writes: picture, mask and box. Radius 20 to 80 pixels
        at a shorter side of 256, growing with the picture.
    """

    words: ClassVar[frozenset[str]] = frozenset(
        {
            "discoloration",
            "discolored",
            "discoloured",
            "faded",
            "fading",
            "yellowed",
            "yellowing",
            "burn",
            "burnt",
            "uneven",
            "tarnish",
            "color",
            "colour",
        }
    )

    def draw(self, image: Array, params: Params, parents: Parents) -> tuple[Array, Array]:  # noqa: ARG002  one hook
        """Return the picture with a discoloration and its mask."""
        return self.sketch(draw_discoloration, image, params)


def draw_discoloration(
    image: Array, *, seed: int, region: Region = None, severity: float = 0.5, look: Look | None = None
) -> tuple[Array, Array]:
    """Draw one discoloration.

    Args:
        image: uint8 (H, W) or (H, W, 3); not changed.
        seed: of everything random about it.
        region: where it may lie: x0, y0, x1, y1 in pixels or an (H, W) mask; None = anywhere.
        severity: size and strength, in (0, 1].
        look: a real defect whose size, shape, place, color and contrast it takes.

    Returns:
        The picture and the (H, W) bool mask of the discoloration; at least one pixel.
    """
    return drawn(_discoloration, image, Order(WHO, seed, region, severity, look))


def _discoloration(site: Site) -> Coat:
    """A drift of color in logarithms of light: each channel by its own share, strongest in the middle."""
    rng = site.rng
    cover, box = blot(site, site.between(20, 80), ragged=0.12, soft=1.2)
    window = site.window(box)
    drift = np.clip(cover * (0.65 + 0.5 * cloud(rng, cover.shape, 4)), 0, 1.2)
    channels = window.shape[2]
    strength = (0.1 + 0.35 * site.severity) * rng.uniform(0.85, 1.15)
    level = window.reshape(-1, channels).mean(axis=0)
    faded = rng.random() < 0.35 and level.mean() < BRIGHT  # what is bright already has little to lose
    common = strength * (1 if faded or level.mean() <= 60 else -1)
    own = rng.normal(0, 0.4 * strength * site.chroma(window), 3) if channels == 3 else np.zeros(1)
    room = np.log1p(0.4 * (255 - level) / (level + 1)) / 1.2  # never nearly white
    common = min(common, float(room.min()))
    gain = np.exp(drift[..., None] * np.minimum(common + own - own.mean(), room).astype(np.float32))
    lift = np.maximum(drift[..., None] * np.float32(common), 0) * 24  # black ground has nothing to multiply
    return Coat(box[0], box[1], np.asarray(window * gain + lift, np.float32), cover)
