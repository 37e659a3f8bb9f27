"""A pace that drifts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.augment._base import AbstractOperation
from scarce.augment._series import as_before, channels, read_at, smooth_curves
from scarce.augment._text import constant, seeds
from scarce.dataset import Floats
from scarce.recipe import Params


@final
@dataclass(frozen=True, kw_only=True)
class TimeWarp(AbstractOperation):
    """Run through the series at a smoothly changing pace.

    Use when the same process runs a little faster here and slower there.
    Do not use when durations are the label.
    Needs: series (T,) or (C, T); all channels are warped alike.
    Writes: parameters sigma, knots, seed.
    Source: Um et al. 2017. Time never runs backwards here, and both ends stay where they are.

    Args:
        sigma: spread of the pace around 1.
        knots: points inside the series at which a pace is drawn.
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
        return warp_time(sample, sigma=params["sigma"], knots=int(params["knots"]), seed=params["seed"])


SLOWEST = 0.05
"""Of the usual pace: the curve may dip below 0, time may not."""


def warp_time(series: Any, *, sigma: float = 0.2, knots: int = 4, seed: int) -> Floats:
    """Return a (T,) or (C, T) series of the same length, run through at a random smooth pace from end to end."""
    values = channels(series)
    length = values.shape[1]
    if length < 3:
        return as_before(values, series)
    pace = smooth_curves(np.random.default_rng(seed), length - 1, sigma, knots=knots, n=1)[0]
    times = np.concatenate([[0.0], np.cumsum(np.maximum(pace, SLOWEST))])
    return as_before(read_at(values, times * ((length - 1) / times[-1])), series)
