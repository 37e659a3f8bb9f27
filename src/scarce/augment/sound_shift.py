"""Earlier or later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.augment._base import AbstractOperation, spread
from scarce.dataset import Floats
from scarce.recipe import Params


@final
@dataclass(frozen=True, kw_only=True)
class SoundShift(AbstractOperation):
    """Move the sound in time; silence fills the gap.

    Use when recordings start at no fixed moment.
    Do not use when the sound fills the recording: its end is cut off.
    Needs: sounds, (T,) float32.
    Writes: parameter shift (share of the length; positive = later).
    Source: common practice.

    Args:
        share: largest shift to either side, as a share of the length.
    """

    modality: ClassVar[str] = "audio"
    uniforms: ClassVar[int] = 1

    share: float = 0.1

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        self.check("share", self.share, 0.0, 1.0)

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return what is drawn for each sound."""
        return {"shift": spread(uniform[:, 0], -self.share, self.share)}

    def alter(self, sample: Any, params: Params, other: Any = None) -> Floats:  # noqa: ARG002  one hook for all
        """Return the changed sound."""
        return shift_sound(sample, params["shift"])


def shift_sound(sound: Any, shift: float) -> Floats:
    """Return a (T,) sound moved by a share of its length; what leaves it is lost, silence comes in."""
    values = np.asarray(sound, np.float32)
    steps = round(shift * len(values))
    out = np.zeros_like(values)
    if steps >= 0:
        out[steps:] = values[: len(values) - steps]
    else:
        out[:steps] = values[-steps:]
    return out
