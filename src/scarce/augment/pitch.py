"""Higher or lower, as long as before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.augment._base import AbstractOperation, spread
from scarce.augment._spectrum import resampled, stretched
from scarce.dataset import Floats
from scarce.recipe import Params


@final
@dataclass(frozen=True, kw_only=True)
class Pitch(AbstractOperation):
    """Shift the pitch by some semitones; the length stays.

    Use when speakers or engines differ in pitch.
    Do not use when the pitch is the label (notes, a whistling bearing), or by more than some semitones: it rings.
    Needs: sounds, (T,) float32 at 16 kHz.
    Writes: parameter semitones.
    Source: Flanagan and Golden 1966 (phase vocoder), then resampling.

    Args:
        semitones: lowest and highest shift; 12 = an octave up.
    """

    modality: ClassVar[str] = "audio"
    uniforms: ClassVar[int] = 1

    semitones: tuple[float, float] = (-2.0, 2.0)

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        self.check_range("semitones", self.semitones, -24.0, 24.0)

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return what is drawn for each sound."""
        return {"semitones": spread(uniform[:, 0], *self.semitones)}

    def alter(self, sample: Any, params: Params, other: Any = None) -> Floats:  # noqa: ARG002  one hook for all
        """Return the changed sound."""
        return shift_pitch(sample, params["semitones"])


def shift_pitch(sound: Any, semitones: float) -> Floats:
    """Return a (T,) sound of the same length whose frequencies are 2 ** (semitones / 12) times as high."""
    values = np.asarray(sound, np.float32)
    factor = round(100 * 2 ** (semitones / 12)) / 100
    out = resampled(stretched(values, 1 / factor), factor)
    return np.pad(out, (0, max(0, len(values) - len(out))))[: len(values)]
