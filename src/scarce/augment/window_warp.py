"""A part at another pace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.augment._base import AbstractOperation
from scarce.augment._series import as_before, channels, read_at
from scarce.augment._text import constant, seeds
from scarce.dataset import Floats
from scarce.recipe import Params


@final
@dataclass(frozen=True, kw_only=True)
class WindowWarp(AbstractOperation):
    """Run through one window twice as fast or half as fast.

    Use when one phase of a process may take longer or shorter.
    Do not use when the length of the phases is the label.
    Needs: series (T,) or (C, T).
    Writes: parameters share, seed.
    Source: Le Guennec, Malinowski and Tavenard 2016.

    Args:
        share: length of the window, as a share of the series.
    """

    modality: ClassVar[str] = "time_series"
    uniforms: ClassVar[int] = 1

    share: float = 0.1

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        self.check("share", self.share, 0.01, 1.0)

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return the seed and the settings."""
        return {"share": constant(uniform, self.share), "seed": seeds(uniform[:, 0])}

    def alter(self, sample: Any, params: Params, other: Any = None) -> Floats:  # noqa: ARG002  one hook for all
        """Return the changed series."""
        return warp_window(sample, share=params["share"], seed=params["seed"])


PACES = (0.5, 2.0)


def warp_window(series: Any, *, share: float = 0.1, seed: int) -> Floats:
    """Return a (T,) or (C, T) series of the same length in which one random window runs at half or double pace."""
    values, rng = channels(series), np.random.default_rng(seed)
    length = values.shape[1]
    if length < 3:
        return as_before(values, series)
    width = max(1, round(share * (length - 1)))
    start = int(rng.integers(0, length - width))
    pace = np.ones(length - 1)
    pace[start : start + width] = PACES[int(rng.integers(len(PACES)))]
    lasts = np.concatenate([[0.0], np.cumsum(1 / pace)])
    times = np.interp(np.linspace(0, lasts[-1], length), lasts, np.arange(length))
    return as_before(read_at(values, times), series)
