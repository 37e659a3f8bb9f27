"""Mel spectrogram statistics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import ClassVar, final

import numpy as np

from scarce.dataset import Array, Floats
from scarce.encode._base import AbstractEncoder

RATE, WINDOW, HOP, FFT = 16_000, 400, 160, 512
FLOOR = 1e-8
LONGEST = 4096
"""Frames that are transformed at once, so that an hour's recording needs no more memory than a minute's."""


@final
@dataclass(frozen=True, kw_only=True)
class Logmel(AbstractEncoder):
    """Loudness of mel bands over time: mean, spread and course; learns nothing.

    Use when a sample is a short sound: words, machines, animals.
    Do not use when a rare event hides in a long recording: cut it into pieces first.
    Needs: (T,) float32 mono at 16 kHz.
    Writes: embedding.logmel (N, bands x (4 + parts)) float32: mean, spread, highest value and spread of the change of
    each band's logarithm, and its mean in equal parts of the sound's loud stretch less the overall mean.
    Source: Davis and Mermelstein 1980 (mel scale, 25 ms windows, 10 ms steps).

    Args:
        bands: mel bands from 50 Hz to 8 kHz.
        parts: parts of the course.
    """

    modalities: ClassVar[tuple[str, ...]] = ("audio",)

    bands: int = 48
    parts: int = 8

    def embed(self, batch: Sequence[Array | str]) -> Floats:
        """Return (B, bands x (4 + parts)) features of sounds."""
        rows = [spectrum_statistics(np.asarray(sound, np.float32), self.bands, self.parts) for sound in batch]
        return np.stack(rows)


def spectrum_statistics(sound: Floats, bands: int = 48, parts: int = 8) -> Floats:
    """Return (bands x (4 + parts),) float32 features of a (T,) sound at 16 kHz; see :class:`Logmel`."""
    levels = log_mel(sound, bands)
    total = levels.mean(axis=1)
    loud = np.flatnonzero(total > total.max() - 0.75 * (total.max() - total.min()) - 1e-6)
    course = levels[loud[0] : loud[-1] + 1]
    edges = np.linspace(0, len(course), parts + 1)
    mean = course.mean(axis=0)
    steps = [course[int(a) : max(int(np.ceil(b)), int(a) + 1)].mean(axis=0) - mean for a, b in pairwise(edges)]
    change = np.diff(course, axis=0).std(axis=0) if len(course) > 1 else np.zeros(bands)
    return np.concatenate([mean, course.std(axis=0), course.max(axis=0), change, *steps]).astype(np.float32)


def log_mel(sound: Floats, bands: int = 48) -> Floats:
    """Return (frames, bands) natural logarithms of the energy in mel bands of a (T,) sound at 16 kHz."""
    padded = np.pad(sound, (0, max(0, WINDOW - len(sound))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    window = np.hanning(WINDOW).astype(np.float32)
    filters = mel_filters(bands)
    out = np.empty((len(frames), bands), np.float32)
    for start in range(0, len(frames), LONGEST):
        block = frames[start : start + LONGEST] * window
        power = np.abs(np.fft.rfft(block, FFT, axis=1)) ** 2
        out[start : start + LONGEST] = np.log(power @ filters + FLOOR)
    return out


@lru_cache(maxsize=4)
def mel_filters(bands: int) -> Floats:
    """Return (257, bands) triangles, equally wide on the mel scale, 50 Hz to 8 kHz."""
    mel = np.linspace(2595 * np.log10(1 + 50 / 700), 2595 * np.log10(1 + RATE / 2 / 700), bands + 2)
    hertz = 700 * (10 ** (mel / 2595) - 1)
    bins = np.fft.rfftfreq(FFT, 1 / RATE)[:, None]
    rise = (bins - hertz[:-2]) / (hertz[1:-1] - hertz[:-2])
    fall = (hertz[2:] - bins) / (hertz[2:] - hertz[1:-1])
    filters: Floats = np.maximum(0, np.minimum(rise, fall)).astype(np.float32)
    return filters
