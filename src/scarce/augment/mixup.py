"""Blends of two samples."""

from __future__ import annotations

import numpy as np

from scarce.augment._mix import mixed_labels, one_hot, shares_and_partners
from scarce.dataset import Array, Floats


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
