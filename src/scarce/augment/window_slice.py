"""A part of the series, stretched."""

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
class WindowSlice(AbstractOperation):
    """Cut out a window and stretch it to the whole length.

    Use when recordings start and end at no fixed moment.
    Do not use when the start or the end is the message.
    Needs: series (T,) or (C, T).
    Writes: parameters share, seed.
    Source: Le Guennec, Malinowski and Tavenard 2016.

    Args:
        share: length of the window, as a share of the series.
    """

    modality: ClassVar[str] = "time_series"
    uniforms: ClassVar[int] = 1

    share: float = 0.9

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        self.check("share", self.share, 0.01, 1.0)

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return the seed and the settings."""
        return {"share": constant(uniform, self.share), "seed": seeds(uniform[:, 0])}

    def alter(self, sample: Any, params: Params, other: Any = None) -> Floats:  # noqa: ARG002  one hook for all
        """Return the changed series."""
        return slice_window(sample, share=params["share"], seed=params["seed"])


def slice_window(series: Any, *, share: float = 0.9, seed: int) -> Floats:
    """Return a window of a (T,) or (C, T) series at a random place, stretched linearly to its length."""
    values = channels(series)
    last = values.shape[1] - 1
    width = share * last
    start = np.random.default_rng(seed).random() * (last - width)
    return as_before(read_at(values, np.linspace(start, start + width, last + 1)), series)
