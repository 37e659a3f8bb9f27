"""Copies with small changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np

from scarce.dataset import Array
from scarce.errors import DataError, closest
from scarce.faults._base import AbstractFault, Material, Truth

WAYS: Final = ("exact", "jpeg", "blur", "brighter", "flip", "crop")


def copied(image: Array, way: str, rng: np.random.Generator) -> Array:
    """Return a copy of a picture, changed a little.

    Args:
        image: uint8 (H, W) or (H, W, 3); a row (F,) of a table is copied as it is, whatever the way.
        way: one of ``exact``, ``jpeg`` (quality 40 to 80), ``blur``, ``brighter``, ``flip``, ``crop`` (85 to 95 % of
            the edges).
        rng: draws how much.
    """
    import cv2

    if way not in WAYS:
        raise DataError("faults.duplicated", f"there is no way {way!r}", closest(way, WAYS))
    if image.ndim == 1:
        return image.copy()
    height, width = image.shape[:2]
    if way == "jpeg":
        quality = int(rng.integers(40, 80))
        return np.asarray(
            cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_UNCHANGED)
        )
    if way == "blur":
        return np.asarray(cv2.GaussianBlur(image, (0, 0), max(0.5, min(height, width) / 200)))
    if way == "brighter":
        return np.asarray(cv2.convertScaleAbs(image, alpha=rng.uniform(0.85, 1.1), beta=rng.uniform(5, 15)))
    if way == "flip":
        return np.ascontiguousarray(image[:, ::-1])
    if way == "crop":
        scale = rng.uniform(0.85, 0.95)
        h, w = max(1, round(height * scale)), max(1, round(width * scale))
        y, x = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
        return np.asarray(cv2.resize(image[y : y + h, x : x + w], (width, height), interpolation=cv2.INTER_LINEAR))
    return image.copy()


@final
@dataclass(frozen=True, kw_only=True)
class Duplicated(AbstractFault):
    """Add copies of a share of the samples: exact, re-saved, blurred, brightened, mirrored, cropped.

    Use when you want to know which copies an audit finds. Copies keep the label and the split. Copies of rows of a
    table are exact.

    Args:
        rate: share of the samples that get a copy.
        ways: used in turn; see :func:`copied`.
    """

    ways: tuple[str, ...] = WAYS

    def plant(self, material: Material, *, seed: int = 0) -> tuple[Material, Truth]:
        """Return the material with copies added at the end, and what each was made from."""
        rng = np.random.default_rng([seed, 2])
        rows = self.drawn(np.arange(len(material.images)), rng)
        ways = [self.ways[number % len(self.ways)] for number in range(len(rows))]
        images = [copied(material.images[row], way, rng) for row, way in zip(rows, ways, strict=True)]
        labels = np.asarray(material.labels)[rows]
        split = None if material.split is None else material.split[rows]
        return material.added(images, labels, split), Truth.clean(material).added(rows, labels, ways)
