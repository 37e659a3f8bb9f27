"""A rectangle of one sample in another."""

from __future__ import annotations

import numpy as np

from scarce.augment._mix import mixed_labels, one_hot, shares_and_partners
from scarce.dataset import Array, Floats


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
