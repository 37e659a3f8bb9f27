"""Patches of the sound material, moved to another place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from scarce.dataset import Array
from scarce.recipe import Params, Parents
from scarce.synthesize._base import AbstractDefect
from scarce.synthesize._blend import poisson
from scarce.synthesize._look import Look
from scarce.synthesize._outline import blot
from scarce.synthesize._region import Region
from scarce.synthesize._site import Coat, Order, Site, drawn

WHO = "synthesize.poisson_patch"


@final
@dataclass(frozen=True, kw_only=True)
class PoissonPatch(AbstractDefect):
    """Move a patch of sound material to a wrong place, turned, zoomed and blended in without an edge.

    Use when a model must learn what is sound, and there is no mask of any defect.
    Do not use when the material looks the same everywhere: the patch cannot be seen, and the label is wrong.
    Needs: pictures of sound parts.
    Writes: picture, mask and box. Radius 10 to 50 pixels at a shorter side of 256, growing with the picture.
    Source: Schlueter, Tan, Hou and Kainz 2022, Natural Synthetic Anomalies; theirs takes patches from
        other pictures, too.
    """

    words: ClassVar[frozenset[str]] = frozenset({"anomaly", "anomalou", "anomalous", "unknown", "other"})

    def draw(self, image: Array, params: Params, parents: Parents) -> tuple[Array, Array]:  # noqa: ARG002  one hook
        """Return the picture with a misplaced patch and its mask."""
        return self.sketch(draw_poisson_patch, image, params)


def draw_poisson_patch(
    image: Array, *, seed: int, region: Region = None, severity: float = 0.5, look: Look | None = None
) -> tuple[Array, Array]:
    """Draw one misplaced patch.

    Args:
        image: uint8 (H, W) or (H, W, 3); not changed.
        seed: of everything random about it.
        region: where it may lie: x0, y0, x1, y1 in pixels or an (H, W) mask; None = anywhere.
        severity: size, zoom and turn, in (0, 1].
        look: a real defect whose size, shape, place, color and contrast it takes.

    Returns:
        The picture and the (H, W) bool mask of the patch; at least one pixel.
    """
    return drawn(_poisson_patch, image, Order(WHO, seed, region, severity, look))


def _poisson_patch(site: Site) -> Coat:
    """Material from elsewhere in the picture, turned and zoomed; with soft edges where Poisson cannot be solved."""
    import cv2

    rng = site.rng
    cover, box = blot(site, site.between(10, 50), soft=0.2, margin=2)
    window = site.window(box)
    high, wide = cover.shape
    height, width = site.image.shape[:2]
    spots = rng.uniform(0, [width, height], (8, 2))
    away = np.hypot(spots[:, 0] - site.x, spots[:, 1] - site.y) > 0.25 * max(width, height)
    x, y = (float(value) for value in spots[int(away.argmax())])  # the first that is not the same place
    turn, zoom = rng.uniform(-180, 180) * site.severity, np.exp(rng.normal(0, 0.6 * site.severity))
    matrix = cv2.getRotationMatrix2D((x, y), turn, zoom)
    matrix[:, 2] += [wide / 2 - x, high / 2 - y]
    moved = cv2.warpAffine(site.image, matrix, (wide, high), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    patch = np.asarray(moved, np.float32).reshape(window.shape)
    patch = 128 + (patch - 128) * rng.uniform(0.8, 1.0 + 0.5 * site.severity)
    shape = site.image.shape[2:]
    under, over = (
        np.rint(np.clip(one, 0, 255)).astype(np.uint8).reshape(high, wide, *shape) for one in (window, patch)
    )
    solved = poisson(under, over, cover > 0.3) if min(cover.shape) > 4 else None
    if solved is None:
        share = cover[..., None]
        return Coat(box[0], box[1], window * (1 - share) + patch * share, cover)
    return Coat(box[0], box[1], np.asarray(solved.reshape(window.shape), np.float32), cover)
