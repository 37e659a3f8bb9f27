"""A rectangle of one sample in another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.augment._base import AbstractOperation
from scarce.augment._mix import batch_of, beta, both_boxes, fitted, mixed_labels, one_hot, shares_and_partners
from scarce.dataset import Array, Floats
from scarce.recipe import Params, Scene


@final
@dataclass(frozen=True, kw_only=True)
class Cutmix(AbstractOperation):
    """Put a rectangle of another training picture into this one; the label is shared by area (CutMix).

    Use when objects are recognized by parts.
    Do not use when one small defect is the evidence: the rectangle takes the defect or leaves it, and the label says
    a share.
    Needs: pictures; a second training sample.
    Writes: parameters share (of the picture itself before the rectangle is cut at the edge, at least one half), place
    (y, x of its middle, shares of the sides), partner.
    Source: Yun, Han, Oh, Chun, Choe and Yoo 2019, CutMix; the larger share is the picture's own.

    Args:
        alpha: parameter of the Beta distribution of the areas; 1 = evenly.
    """

    uniforms: ClassVar[int] = 3
    partner: ClassVar[bool] = True

    alpha: float = 1.0

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        self.check("alpha", self.alpha, 1e-3, 100.0)

    def pool(self) -> tuple[bool, bool]:
        """Return that any training sample may be the partner."""
        return False, False

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return the share and the place."""
        return {"share": beta(uniform[:, 0], self.alpha), "place": uniform[:, 1:3]}

    def shares(self, params: Params) -> tuple[float, ...]:
        """Return the visible areas."""
        half = np.sqrt(1 - float(params["share"])) / 2
        sides = [min(1.0, middle + half) - max(0.0, middle - half) for middle in map(float, params["place"])]
        covered = float(np.prod(sides))
        return 1 - covered, covered

    def combine(self, scene: Scene, params: Params, others: Sequence[Scene]) -> Scene:
        """Return the picture with the rectangle; boxes of the partner are cut at it."""
        other = fitted(others[0], scene.image.shape)
        place = np.asarray(params["place"], np.float64)
        top, bottom, left, right = window(float(params["share"]), place, scene.image.shape[:2])
        image, mask = scene.image.copy(), scene.mask
        image[top:bottom, left:right] = other.image[top:bottom, left:right]
        if mask is not None or other.mask is not None:
            mask = np.zeros(image.shape[:2], bool) if mask is None else mask.copy()
            mask[top:bottom, left:right] = False if other.mask is None else other.mask[top:bottom, left:right]
        cut = None if other.boxes is None else np.clip(other.boxes, [left, top] * 2, [right, bottom] * 2)
        return Scene(image, mask, both_boxes(scene.boxes, cut), scene.points)


def mix(images: Array, labels: Array, *, alpha: float = 1.0, seed: int) -> tuple[Array, Floats]:
    """Return every picture with a rectangle of another one of the batch, and labels by visible area (CutMix).

    Use when objects are recognized by parts. Do not use when one small defect is the evidence: the rectangle takes
    the defect or leaves it, and the label says a share.

    Args:
        images: (N, H, W) or (N, H, W, C); not changed.
        labels: (N,) codes or (N, K) shares.
        alpha: parameter of the Beta distribution of the areas; 1 = evenly.
        seed: of partners, areas and places.

    Returns:
        Pictures of the same type, and (N, K) float32 shares.

    Source: Yun, Han, Oh, Chun, Choe and Yoo 2019, CutMix.
    """
    images = batch_of("augment.cutmix", images)
    soft = one_hot("augment.cutmix", images, labels)
    share, partners, rng = shares_and_partners("augment.cutmix", len(images), alpha, seed)
    places = rng.random((len(images), 2))
    height, width = images.shape[1:3]
    out, own = images.copy(), np.ones(len(images))
    for row, other in enumerate(partners.tolist()):
        top, bottom, left, right = window(float(share[row]), places[row], (height, width))
        out[row, top:bottom, left:right] = images[other, top:bottom, left:right]
        own[row] = 1 - (bottom - top) * (right - left) / (height * width)
    return out, mixed_labels(soft, partners, own)


def window(share: float, place: Floats, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return top, bottom, left, right of a rectangle of 1 - ``share`` of the area about a middle, cut at the edge."""
    half = np.sqrt(1 - share) / 2
    low = [round(float(max(0.0, middle - half)) * side) for middle, side in zip(place, size, strict=True)]
    high = [round(float(min(1.0, middle + half)) * side) for middle, side in zip(place, size, strict=True)]
    return low[0], high[0], low[1], high[1]
