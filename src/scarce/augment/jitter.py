"""Noise of the sensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.augment._base import AbstractOperation
from scarce.augment._series import as_before, channels, scale_of
from scarce.augment._text import constant, seeds
from scarce.dataset import Floats
from scarce.recipe import Params


@final
@dataclass(frozen=True, kw_only=True)
class Jitter(AbstractOperation):
    """Add normal noise to each value.

    Use when a sensor's noise is not the message.
    Do not use when small ripples are the defect.
    Needs: series (T,) or (C, T).
    Writes: parameters sigma, seed.
    Source: Um et al. 2017. Theirs is on z-scored series; here sigma is a share of each channel's own spread.

    Args:
        sigma: spread of the noise, as a share of the channel's spread.
    """

    modality: ClassVar[str] = "time_series"
    uniforms: ClassVar[int] = 1

    sigma: float = 0.03

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        self.check("sigma", self.sigma, 0.0, 10.0)

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return the seed and the settings."""
        return {"sigma": constant(uniform, self.sigma), "seed": seeds(uniform[:, 0])}

    def alter(self, sample: Any, params: Params, other: Any = None) -> Floats:  # noqa: ARG002  one hook for all
        """Return the changed series."""
        return add_jitter(sample, sigma=params["sigma"], seed=params["seed"])


def add_jitter(series: Any, *, sigma: float = 0.03, seed: int) -> Floats:
    """Return a (T,) or (C, T) series with normal noise of sigma times each channel's spread; missing stays missing."""
    values = channels(series)
    noise = np.random.default_rng(seed).normal(0.0, 1.0, values.shape)
    return as_before(values + sigma * scale_of(values) * noise, series)
