"""Masks in time and frequency, and a warp of time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.augment._base import AbstractOperation
from scarce.augment._spectrum import RATE, run_through, sound_of, spectrum
from scarce.augment._text import constant, seeds
from scarce.dataset import Array, Floats
from scarce.recipe import Params

BANDS, LOWEST = 80, 20.0
"""Mel bands that frequency masks are counted in, and the lower edge of the first in 1/s."""
FRAME, STEP = 400, 160
"""Samples of a frame and of a step at 16 kHz: 25 and 10 ms, as speech recognition has them."""


@final
@dataclass(frozen=True, kw_only=True)
class SpecAugment(AbstractOperation):
    """Mask bands of frequencies and stretches of time, and warp time a little (SpecAugment).

    Use when sounds are words or events that are recognized from many bands and moments.
    Do not use when one short moment or one band is the whole evidence.
    Needs: sounds, (T,) float32 at 16 kHz. The sound is changed through its spectrum, so that any encoder sees it.
    Writes: parameters frequency, time, warp, share, masks, seed.
    Source: Park et al. 2019, SpecAugment, policy LB (80 mel bands, 10 ms steps). Masked is silent, not the mean.

    Args:
        frequency: widest mask in mel bands of 80.
        time: longest mask in steps of 10 ms.
        warp: farthest move of a moment in steps of 10 ms.
        share: no time mask and no warp exceeds this share of the sound: 70 steps are more than a short word.
        masks: masks of each kind.
    """

    modality: ClassVar[str] = "audio"
    uniforms: ClassVar[int] = 1

    frequency: int = 27
    time: int = 70
    warp: int = 80
    share: float = 0.2
    masks: int = 1

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        self.check("frequency", self.frequency, 0, BANDS)
        self.check("time", self.time, 0, 100_000)
        self.check("warp", self.warp, 0, 100_000)
        self.check("share", self.share, 0.0, 1.0)
        self.check("masks", self.masks, 0, 100)

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return the seed and the settings."""
        names = ("frequency", "time", "warp", "share", "masks")
        return {**{name: constant(uniform, getattr(self, name)) for name in names}, "seed": seeds(uniform[:, 0])}

    def alter(self, sample: Any, params: Params, other: Any = None) -> Floats:  # noqa: ARG002  one hook for all
        """Return the masked sound."""
        found = spectrum(np.asarray(sample, np.float32), FRAME, STEP)
        limits = {name: int(params[name]) for name in ("frequency", "time", "warp", "masks")}
        plan = draw_masks(found.shape[1], seed=int(params["seed"]), share=params["share"], **limits)
        found = run_through(found, plan.times, STEP) if plan.moved else found.copy()
        places = mel_places(found.shape[0])
        for start, end in plan.frequency:
            found[(places >= start) & (places < end)] = 0
        for start, end in plan.time:
            found[:, start:end] = 0
        return np.clip(sound_of(found, len(sample), FRAME, STEP), -1.0, 1.0)


@dataclass(frozen=True)
class Masks:
    """What is masked.

    Attributes:
        times: (frames,) the frame that each frame is taken from.
        frequency: first band and the one after the last, of each mask.
        time: first frame and the one after the last, of each mask.
    """

    times: Floats
    frequency: tuple[tuple[int, int], ...]
    time: tuple[tuple[int, int], ...]

    @property
    def moved(self) -> bool:
        """Whether time is warped."""
        return not np.array_equal(self.times, np.arange(len(self.times)))


def draw_masks(  # noqa: PLR0913  the settings of SpecAugment
    frames: int, *, seed: int, frequency: int = 27, time: int = 70, warp: int = 80, share: float = 1.0, masks: int = 1,
    bands: int = BANDS,
) -> Masks:  # fmt: skip
    """Return drawn masks for a sound of some frames; see :class:`SpecAugment` for the settings."""
    rng = np.random.default_rng(seed)
    longest = int(share * frames)
    move = min(warp, longest, (frames - 1) // 2)
    times = np.arange(frames, dtype=np.float64)
    if move > 0:
        center = int(rng.integers(move, frames - move))
        moved = center + rng.uniform(-move, move) * (1 - 1e-9)
        times = np.interp(times, [0.0, moved, frames - 1.0], [0.0, float(center), frames - 1.0])
    drawn: list[tuple[tuple[int, int], ...]] = []
    for widest, whole in ((min(frequency, bands), bands), (min(time, longest), frames)):
        own = []
        for _ in range(masks):
            width = int(rng.integers(0, widest + 1))
            start = int(rng.integers(0, whole - width + 1))
            own.append((start, start + width))
        drawn.append(tuple(own))
    return Masks(times, drawn[0], drawn[1])


def mask_spectrogram(spectrogram: Array, *, seed: int, fill: float | None = None, **settings: Any) -> Floats:
    """Return a (bands, frames) log-mel spectrogram with masks, warped in time.

    Args:
        spectrogram: (bands, frames).
        seed: of what is drawn.
        fill: value of masked places; None = the mean, as in the paper.
        settings: frequency, time, warp, share, masks, see :func:`draw_masks`.
    """
    values = np.asarray(spectrogram, np.float32)
    plan = draw_masks(values.shape[1], seed=seed, bands=values.shape[0], **settings)
    steps = np.arange(values.shape[1])
    out = np.stack([np.interp(plan.times, steps, row) for row in values]).astype(np.float32)
    level = float(values.mean()) if fill is None else fill
    for start, end in plan.frequency:
        out[start:end] = level
    for start, end in plan.time:
        out[:, start:end] = level
    return out


def mel_places(bins: int) -> Floats:
    """Return the (bins,) places of a spectrum's frequencies on the scale of 80 mel bands from 20 to 8,000 1/s."""
    hertz = np.linspace(0, RATE / 2, bins)
    mel = 2595 * np.log10(1 + np.maximum(hertz, LOWEST) / 700)
    low, high = 2595 * np.log10(1 + LOWEST / 700), 2595 * np.log10(1 + RATE / 2 / 700)
    places: Floats = (mel - low) / (high - low) * BANDS
    return np.minimum(places, BANDS - 1e-6)
