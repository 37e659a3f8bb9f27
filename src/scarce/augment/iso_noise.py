"""Noise of high gain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.augment._base import AbstractOperation, spread
from scarce.augment.gaussian_noise import noise_levels
from scarce.dataset import Array, Floats, Ints
from scarce.recipe import Params


@final
@dataclass(frozen=True, kw_only=True)
class IsoNoise(AbstractOperation):
    """Add the noise of a camera at high gain: light noise that grows with the root of the light, and color noise.

    Use when pictures are taken in weak light.
    Do not use when fine grain or faint tints are the evidence.
    Needs: pictures; gray ones get no color noise.
    Writes: parameters light and tint (shares of full white), noise (seed).

    Args:
        light: smallest and largest deviation of the light noise at full white, in shares of full white.
        color_noise: smallest and largest deviation of the color noise, in shares of full white.
    """

    uniforms: ClassVar[int] = 3

    light: tuple[float, float] = (0.01, 0.05)
    color_noise: tuple[float, float] = (0.005, 0.02)

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        self.check_range("light", self.light, 0.0, 1.0)
        self.check_range("color_noise", self.color_noise, 0.0, 1.0)

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return both deviations and the seed."""
        return {
            "light": spread(uniform[:, 0], *self.light),
            "tint": spread(uniform[:, 1], *self.color_noise),
            "noise": (uniform[:, 2] * 2**31).astype(np.int64),
        }

    def change(self, images: Array, params: Params, rows: Ints) -> None:
        """Add both kinds of noise to each row from its own seed."""
        import cv2

        root = np.sqrt(np.arange(256, dtype=np.float32) / 255)
        for row in rows.tolist():
            seed, image = int(params["noise"][row]), images[row]
            grain = noise_levels(seed, image.shape[:2], 255 * 16 * float(params["light"][row])).astype(np.float32) / 16
            if image.ndim == 2:
                image[...] = cv2.add(image, grain * root[image], dtype=cv2.CV_8U)
                continue
            added = cv2.LUT(image, root) * grain[..., None]
            added += noise_levels(seed + 1, image.shape, 255 * float(params["tint"][row]))
            cv2.add(image, added, image, dtype=cv2.CV_8U)
