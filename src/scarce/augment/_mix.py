"""What the mixes share: partners, and labels in the shares of the pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from scarce.dataset import Array, Floats, Ints
from scarce.errors import ConfigError, DataError
from scarce.recipe import Scene, checked_seed, fit_mask


def batch_of(who: str, images: Array) -> Array:
    """Return pictures as one array.

    Raises:
        DataError: they are no numbers, or differ in shape.
    """
    try:
        found = np.asarray(images)
    except ValueError as error:
        raise DataError(who, f"the pictures make no one array ({error})", do="give pictures of one shape") from error
    if found.dtype.kind not in "uif" or found.ndim not in (3, 4):
        raise DataError(who, f"pictures of type {found.dtype} and shape {found.shape} cannot be mixed",
                        "it takes (N, H, W) or (N, H, W, C) numbers")  # fmt: skip
    return found


def one_hot(who: str, images: Array, labels: Array) -> Floats:
    """Return (N, K) float32 labels from codes (N,) or soft labels (N, K).

    Raises:
        DataError: pictures and labels do not fit each other.
    """
    labels = np.asarray(labels)
    if images.ndim not in (3, 4) or len(images) != len(labels) or labels.ndim not in (1, 2) or not len(labels):
        raise DataError(who, f"pictures of shape {images.shape} and labels of shape {labels.shape} do not fit",
                        "it takes (N, H, W) or (N, H, W, C) and (N,) codes or (N, K) shares")  # fmt: skip
    if labels.ndim == 2:
        return labels.astype(np.float32)
    if labels.dtype.kind not in "iu" or labels.min() < 0:
        raise DataError(
            who, f"labels of type {labels.dtype} are no codes", do="give numbers 0 .. K - 1, or (N, K) shares"
        )
    return np.asarray(np.eye(int(labels.max()) + 1, dtype=np.float32)[labels])


def shares_and_partners(who: str, n: int, alpha: float, seed: int) -> tuple[Floats, Ints, np.random.Generator]:
    """Return (N,) shares of the picture itself from Beta(alpha, alpha), (N,) partners, and the generator.

    Raises:
        ConfigError: alpha is not above 0.
    """
    seed = checked_seed(seed, who)
    if not alpha > 0:
        raise ConfigError(who, f"alpha = {alpha} is out of range", do="use a number above 0, .2 to 1 as a rule")
    rng = np.random.default_rng([seed, 0x6D6978])
    return rng.beta(alpha, alpha, n), rng.permutation(n), rng


def like(image: Array, shape: tuple[int, ...]) -> Array:
    """Return a partner's picture with the height, width and channels of another one."""
    import cv2

    if image.ndim == 2 and len(shape) == 3:
        image = np.repeat(image[..., None], 3, axis=2)
    if image.ndim == 3 and len(shape) == 2:
        image = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
    if image.shape[:2] != shape[:2]:
        image = np.asarray(cv2.resize(image, (shape[1], shape[0]), interpolation=cv2.INTER_AREA))
    return image


def beta(uniform: Floats, alpha: float) -> Floats:
    """Return (N,) shares from Beta(alpha, alpha), the larger one of each pair, from numbers in [0, 1)."""
    from scipy.special import betaincinv

    drawn = np.asarray(betaincinv(alpha, alpha, uniform), np.float64)
    return np.maximum(drawn, 1 - drawn)


def fitted(other: Scene, shape: tuple[int, ...]) -> Scene:
    """Return a partner at the height, width and channels of another picture, with its mask and boxes."""
    factor = np.array([shape[1] / other.image.shape[1], shape[0] / other.image.shape[0]])
    mask = None if other.mask is None else fit_mask(other.mask, shape[0], shape[1])
    boxes = None if other.boxes is None else other.boxes * np.tile(factor, 2)
    return Scene(like(other.image, shape), mask, boxes)


def either_mask(own: Array | None, other: Array | None) -> Array | None:
    """Return the pixels of either mask; None where there is none."""
    found = [mask for mask in (own, other) if mask is not None]
    return np.asarray(np.any(found, axis=0)) if found else None


def both_boxes(own: Floats | None, other: Floats | None) -> Floats | None:
    """Return the boxes of both, the partner's behind; None where there are none."""
    found = [boxes for boxes in (own, other) if boxes is not None]
    return np.concatenate(found) if found else None


def mixed_labels(soft: Floats, partners: Any, own: Floats) -> Floats:
    """Return ``own`` (N,) shares of each label and the rest of its partner's, (N, K) float32."""
    keep = np.asarray(own, np.float32)[:, None]
    out: Floats = keep * soft + (1 - keep) * soft[partners]
    return out
