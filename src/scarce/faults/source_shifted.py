"""A second camera."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import numpy as np

from scarce.dataset import Array
from scarce.faults._base import AbstractFault, Material, Truth


def other_camera(image: Array, strength: float) -> Array:
    """Return the picture as a second camera would take it: another tone curve, and corners that are darker.

    Args:
        image: uint8 (H, W) or (H, W, 3).
        strength: 0 = the same camera, 1 = a gamma of 1.5 and corners with half the light.
    """
    if not strength:
        return image
    height, width = image.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    light = 1 - 0.25 * strength * (x * x + y * y)
    bent = (image.astype(np.float32) / 255) ** np.float32(1 + 0.5 * strength)
    shaded = bent * (light[:, :, None] if image.ndim == 3 else light)
    return np.asarray(np.clip(255 * shaded + 0.5, 0, 255), np.uint8)


@final
@dataclass(frozen=True, kw_only=True)
class SourceShifted(AbstractFault):
    """Take a share of the pictures with a second camera: darker tones, shaded corners.

    Use when you want to know how small a difference between two sources an audit proves. Column ``camera`` says ``a``
    or ``b``; with strength 0 the two do not differ, and an audit must say so.

    Args:
        rate: share of the samples that the second camera takes.
        strength: of the difference, in [0, 1].
    """

    strength: float = 1.0

    def plant(self, material: Material, *, seed: int = 0) -> tuple[Material, Truth]:
        """Return the material with the column ``camera``, and which pictures are the second camera's."""
        material.refuse_tables(self.plugin_name())
        rows = self.drawn(np.arange(len(material.images)), np.random.default_rng([seed, 14]))
        images, camera = list(material.images), np.full(len(material.images), "a", object)
        for row in rows:
            images[row], camera[row] = other_camera(images[row], self.strength), "b"
        truth = Truth.clean(material)
        truth.faulty[rows], truth.how[rows] = True, "source_shifted"
        return replace(material, images=images).with_columns({"camera": camera}), truth
