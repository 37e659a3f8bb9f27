"""Sensor noise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, final

import numpy as np

from scarce.augment._base import AbstractOperation, spread
from scarce.dataset import Array, Floats, Ints
from scarce.recipe import Params


@final
@dataclass(frozen=True, kw_only=True)
class GaussianNoise(AbstractOperation):
    """Add normal noise to every value.

    Use when cameras are noisy or gain varies.
    Do not use when fine grain is the evidence.
    Needs: pictures.
    Writes: parameters deviation (share of full white), noise (seed).

    Args:
        deviation: smallest and largest standard deviation, in shares of full white.
    """

    uniforms: ClassVar[int] = 2

    deviation: tuple[float, float] = (0.005, 0.03)

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        self.check_range("deviation", self.deviation, 0.0, 1.0)

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return deviation and seed."""
        noise = (uniform[:, 1] * 2**31).astype(np.int64)
        return {"deviation": spread(uniform[:, 0], *self.deviation), "noise": noise}

    def change(self, images: Array, params: Params, rows: Ints) -> None:
        """Add noise to each row from its own seed."""
        import cv2

        for row in rows.tolist():
            added = noise_levels(int(params["noise"][row]), images.shape[1:], 255 * float(params["deviation"][row]))
            cv2.add(images[row], added, images[row], dtype=cv2.CV_8U)


def noise_levels(seed: int, shape: tuple[int, ...], deviation: float) -> Array:
    """Return int16 normal noise of 256 equally likely levels (at most 2.9 deviations), for a fifth of NumPy's time."""
    import cv2

    count = int(np.prod(shape))
    drawn = np.random.PCG64(seed).random_raw(-(-count // 8)).view(np.uint8)[:count].reshape(shape)
    return np.asarray(cv2.LUT(drawn, np.rint(_quantiles() * deviation).astype(np.int16)))


@cache
def _quantiles() -> Floats:
    from scipy.special import ndtri

    found: Floats = ndtri((np.arange(256) + 0.5) / 256)
    return np.asarray(found / found.std())
