"""A gain that drifts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.augment._base import AbstractOperation
from scarce.augment._series import as_before, channels, smooth_curves
from scarce.augment._text import constant, seeds
from scarce.dataset import Floats
from scarce.recipe import Params


@final
@dataclass(frozen=True, kw_only=True)
class MagnitudeWarp(AbstractOperation):
    """Multiply each channel by a smooth random curve around 1.

    Use when gain or load drift while a sample is recorded.
    Do not use when the heights of two peaks are compared.
    Needs: series (T,) or (C, T).
    Writes: parameters sigma, knots, seed.
    Source: Um et al. 2017; a cubic spline through knots + 2 points.

    Args:
        sigma: spread of the curve's points around 1.
        knots: points inside the series.
    """

    modality: ClassVar[str] = "time_series"
    uniforms: ClassVar[int] = 1

    sigma: float = 0.2
    knots: int = 4

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        self.check("sigma", self.sigma, 0.0, 10.0)
        self.check("knots", self.knots, 1, 1000)

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return the seed and the settings."""
        return {
            "sigma": constant(uniform, self.sigma),
            "knots": constant(uniform, self.knots),
            "seed": seeds(uniform[:, 0]),
        }

    def alter(self, sample: Any, params: Params, other: Any = None) -> Floats:  # noqa: ARG002  one hook for all
        """Return the changed series."""
        return warp_magnitude(sample, sigma=params["sigma"], knots=int(params["knots"]), seed=params["seed"])


def warp_magnitude(series: Any, *, sigma: float = 0.2, knots: int = 4, seed: int) -> Floats:
    """Return a (T,) or (C, T) series, each channel times its own smooth curve around 1."""
    values = channels(series)
    curves = smooth_curves(np.random.default_rng(seed), values.shape[1], sigma, knots=knots, n=len(values))
    return as_before(values * curves, series)
