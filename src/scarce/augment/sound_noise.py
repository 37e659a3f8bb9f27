"""Another room, another microphone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.augment._base import AbstractOperation, spread
from scarce.augment._text import seeds
from scarce.dataset import Floats
from scarce.recipe import Params


@final
@dataclass(frozen=True, kw_only=True)
class SoundNoise(AbstractOperation):
    """Add noise at a random distance below the sound.

    Use when recordings in the field are noisier than those that are trained on.
    Do not use when faint sounds are the message.
    Needs: sounds, (T,) float32 at 16 kHz.
    Writes: parameters decibels, color (0 = white, 1 = pink), seed.
    Source: Ko et al. 2017 (noise as augmentation); pink noise falls by 3 dB an octave.

    Args:
        decibels: smallest and largest signal-to-noise ratio.
        pink: share of the samples that get pink noise; the others get white.
    """

    modality: ClassVar[str] = "audio"
    uniforms: ClassVar[int] = 3

    decibels: tuple[float, float] = (10.0, 40.0)
    pink: float = 0.5

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        self.check_range("decibels", self.decibels, -40.0, 120.0)
        self.check("pink", self.pink, 0.0, 1.0)

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return what is drawn for each sound."""
        color = (uniform[:, 1] < self.pink).astype(np.int64)
        return {"decibels": spread(uniform[:, 0], *self.decibels), "color": color, "seed": seeds(uniform[:, 2])}

    def alter(self, sample: Any, params: Params, other: Any = None) -> Floats:  # noqa: ARG002  one hook for all
        """Return the changed sound."""
        return add_noise(sample, decibels=params["decibels"], pink=bool(params["color"]), seed=params["seed"])


def add_noise(sound: Any, *, decibels: float, pink: bool = False, seed: int) -> Floats:
    """Return a (T,) sound with noise.

    Args:
        sound: (T,) in [-1, 1].
        decibels: energy of the sound over that of the noise. Silence stays silent.
        pink: noise that falls by 3 dB an octave, in place of white noise.
        seed: of the noise.
    """
    values = np.asarray(sound, np.float64)
    noise = np.random.default_rng(seed).normal(size=len(values))
    if pink and len(values) > 1:
        bands = np.fft.rfft(noise)
        noise = np.fft.irfft(bands / np.sqrt(np.maximum(np.arange(len(bands)), 1)), len(values))
    loud = np.sqrt(np.mean(values**2) / max(float(np.mean(noise**2)), 1e-30)) * 10 ** (-decibels / 20)
    return np.asarray(np.clip(values + loud * noise, -1.0, 1.0), np.float32)
