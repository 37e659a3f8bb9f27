"""Faster or slower, pitch and all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.augment._base import AbstractOperation, spread
from scarce.augment._spectrum import resampled
from scarce.dataset import Floats
from scarce.recipe import Params


@final
@dataclass(frozen=True, kw_only=True)
class Speed(AbstractOperation):
    """Play the sound faster or slower; pitch and length follow.

    Use when speakers or machines differ: it changes pace and size of the voice at once.
    Do not use when pitch or duration is the label.
    Needs: sounds, (T,) float32.
    Writes: parameter factor, in hundredths.
    Source: Ko, Peddinti, Povey and Khudanpur 2015 (0.9, 1.0, 1.1).

    Args:
        factor: slowest and fastest.
    """

    modality: ClassVar[str] = "audio"
    uniforms: ClassVar[int] = 1

    factor: tuple[float, float] = (0.9, 1.1)

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        self.check_range("factor", self.factor, 0.1, 10.0)

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return what is drawn for each sound."""
        return {"factor": np.round(spread(uniform[:, 0], *self.factor), 2)}

    def alter(self, sample: Any, params: Params, other: Any = None) -> Floats:  # noqa: ARG002  one hook for all
        """Return the changed sound."""
        return change_speed(sample, params["factor"])


def change_speed(sound: Any, factor: float) -> Floats:
    """Return a (T,) sound played ``factor`` times as fast (in hundredths): about T / factor samples."""
    return resampled(np.asarray(sound, np.float32), factor)
