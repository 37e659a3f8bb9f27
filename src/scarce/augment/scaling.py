"""Another gain of the sensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.augment._base import AbstractOperation
from scarce.augment._series import as_before, channels
from scarce.augment._text import constant, seeds
from scarce.dataset import Floats
from scarce.recipe import Params


@final
@dataclass(frozen=True, kw_only=True)
class Scaling(AbstractOperation):
    """Multiply each channel by one random factor.

    Use when sensors differ in gain, or people in strength.
    Do not use when the absolute level is the label.
    Needs: series (T,) or (C, T).
    Writes: parameters sigma, seed.
    Source: Um et al. 2017.

    Args:
        sigma: spread of the factors around 1.
    """

    modality: ClassVar[str] = "time_series"
    uniforms: ClassVar[int] = 1

    sigma: float = 0.1

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        self.check("sigma", self.sigma, 0.0, 10.0)

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return the seed and the settings."""
        return {"sigma": constant(uniform, self.sigma), "seed": seeds(uniform[:, 0])}

    def alter(self, sample: Any, params: Params, other: Any = None) -> Floats:  # noqa: ARG002  one hook for all
        """Return the changed series."""
        return scale(sample, sigma=params["sigma"], seed=params["seed"])


def scale(series: Any, *, sigma: float = 0.1, seed: int) -> Floats:
    """Return a (T,) or (C, T) series, each channel times a factor from a normal distribution around 1."""
    values = channels(series)
    return as_before(values * np.random.default_rng(seed).normal(1.0, sigma, (len(values), 1)), series)
