"""Blends of two samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.augment._base import AbstractOperation
from scarce.augment._mix import (
    batch_of,
    beta,
    both_boxes,
    either_mask,
    fitted,
    mixed_labels,
    one_hot,
    shares_and_partners,
)
from scarce.dataset import Array, Floats
from scarce.recipe import Params, Scene


@final
@dataclass(frozen=True, kw_only=True)
class Mixup(AbstractOperation):
    """Blend the picture with another training picture; the label is shared alike (MixUp).

    Use when whole objects fill the pictures and the model is too sure.
    Do not use when a faint defect is the evidence: half of it is below the noise.
    Needs: pictures; a second training sample.
    Writes: parameters share (of the picture itself, at least one half), partner. Boxes and masks of both stay.
    Source: Zhang, Cisse, Dauphin and Lopez-Paz 2018, mixup; the larger share is the picture's own.

    Args:
        alpha: parameter of the Beta distribution of the shares.
    """

    uniforms: ClassVar[int] = 1
    partner: ClassVar[bool] = True

    alpha: float = 0.4

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        self.check("alpha", self.alpha, 1e-3, 100.0)

    def pool(self) -> tuple[bool, bool]:
        """Return that any training sample may be the partner."""
        return False, False

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return the share."""
        return {"share": beta(uniform[:, 0], self.alpha)}

    def shares(self, params: Params) -> tuple[float, ...]:
        """Return the share and the rest."""
        return float(params["share"]), 1 - float(params["share"])

    def combine(self, scene: Scene, params: Params, others: Sequence[Scene]) -> Scene:
        """Return the blend."""
        other = fitted(others[0], scene.image.shape)
        image = blend(scene.image, other.image, float(params["share"]))
        return Scene(image, either_mask(scene.mask, other.mask), both_boxes(scene.boxes, other.boxes), scene.points)


def mix(images: Array, labels: Array, *, alpha: float = 0.4, seed: int) -> tuple[Array, Floats]:
    """Return every picture blended with another one of the batch, and labels in the same shares (MixUp).

    Use when whole objects fill the pictures and the model is too sure. Do not use when a faint defect is the evidence:
    half of it is below the noise.

    Args:
        images: (N, H, W) or (N, H, W, C), uint8 or float; not changed.
        labels: (N,) codes or (N, K) shares.
        alpha: parameter of the Beta distribution of the shares; .4 as in the paper on large sets.
        seed: of partners and shares.

    Returns:
        Pictures of the same type, and (N, K) float32 shares.

    Source: Zhang, Cisse, Dauphin and Lopez-Paz 2018, mixup: Beyond Empirical Risk Minimization.
    """
    images = batch_of("augment.mixup", images)
    soft = one_hot("augment.mixup", images, labels)
    share, partners, _ = shares_and_partners("augment.mixup", len(images), alpha, seed)
    out = np.empty_like(images)
    for row, other in enumerate(partners.tolist()):
        out[row] = blend(images[row], images[other], float(share[row]))
    return out, mixed_labels(soft, partners, share)


def blend(image: Array, other: Array, share: float) -> Array:
    """Return ``share`` of one picture and the rest of another one; whole numbers are rounded."""
    import cv2

    return np.asarray(cv2.addWeighted(image, share, other, 1 - share, 0.0)).reshape(image.shape)
