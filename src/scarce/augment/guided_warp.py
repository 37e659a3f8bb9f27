"""The time steps of another sample of the class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.augment._base import AbstractOperation
from scarce.augment._series import as_before, channels, read_at
from scarce.augment._text import constant, seeds
from scarce.dataset import Floats, Ints
from scarce.errors import DataError
from scarce.recipe import Params


@final
@dataclass(frozen=True, kw_only=True)
class GuidedWarp(AbstractOperation):
    """Run through the series at the pace of another sample of its class (dynamic time warping).

    Use when samples of one class differ in pace, and random paces leave the class.
    Do not use when a class has very few samples: the same paces come back.
    Needs: series (T,) or (C, T) with as many channels each; at least two samples of the class.
    Writes: parameters window, seed, partner (id of the sample that gives the pace).
    Source: Iwana and Uchida 2020, random guided warping.

    Args:
        window: how far the two may run apart, as a share of the longer one (Sakoe and Chiba's band).
    """

    modality: ClassVar[str] = "time_series"
    uniforms: ClassVar[int] = 1
    partner: ClassVar[bool] = True

    window: float = 0.1

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        self.check("window", self.window, 0.0, 1.0)

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return the seed and the settings."""
        return {"window": constant(uniform, self.window), "seed": seeds(uniform[:, 0])}

    def alter(self, sample: Any, params: Params, other: Any = None) -> Floats:
        """Return the changed series."""
        if other is None:
            raise DataError("augment.guided_warp", "it takes the pace of a second sample of the class",
                            "none is given",
                            "pass other, or run it through scarce.augment.run")  # fmt: skip
        return warp_guided(sample, other, window=params["window"])


def warp_guided(series: Any, teacher: Any, *, window: float = 0.1) -> Floats:
    """Return a series of the same length that runs at the pace of a teacher.

    Args:
        series: (T,) or (C, T), gives the values.
        teacher: (U,) or (C, U), gives the pace.
        window: how far the two may run apart, as a share of the longer one.

    Raises:
        DataError: the numbers of channels differ.
    """
    values, guide = channels(series), channels(teacher)
    if len(values) != len(guide):
        raise DataError("augment.guided_warp", "the two series have different numbers of channels",
                        f"{len(values)} and {len(guide)}", "give samples of one kind")  # fmt: skip
    _, path = align(guide, values, window=window)
    warped = values[:, path[:, 1]]
    return as_before(read_at(warped, np.linspace(0, warped.shape[1] - 1, values.shape[1])), series)


def align(one: Floats, two: Floats, *, window: float = 1.0) -> tuple[float, Ints]:
    """Return the least sum of squared distances of two aligned series, and the (L, 2) pairs of steps that reach it.

    Args:
        one: (C, T).
        two: (C, U).
        window: how far the two may run apart, as a share of the longer one. Missing values count as 0.
    """
    from scarce.augment._alignment import warping_path

    first, second = (np.nan_to_num(np.ascontiguousarray(each.T, np.float64)) for each in (one, two))
    longer = max(len(first), len(second))
    band = max(int(np.ceil(window * longer)), abs(len(first) - len(second)), 1)
    return warping_path(first, second, band)
