"""Short-time spectra of sounds: there, through at another pace, and back."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import numpy as np

from scarce.dataset import Array, Floats

RATE: Final = 16_000
"""Samples per second of every decoded sound."""
WINDOW, HOP = 1024, 256
"""Samples of a window (64 ms) and of a step (16 ms)."""


@lru_cache(maxsize=4)
def _transform(window: int, hop: int) -> Any:
    from scipy.signal import ShortTimeFFT
    from scipy.signal.windows import hann

    return ShortTimeFFT(hann(window, sym=False), hop, fs=RATE)


def spectrum(sound: Floats, window: int = WINDOW, hop: int = HOP) -> Array:
    """Return the (window // 2 + 1, frames) complex spectrum of a (T,) sound."""
    padded = np.pad(np.asarray(sound, np.float64), (0, max(0, window - len(sound))))
    return np.asarray(_transform(window, hop).stft(padded))


def sound_of(found: Array, length: int, window: int = WINDOW, hop: int = HOP) -> Floats:
    """Return the (length,) float32 sound of a complex spectrum."""
    transform = _transform(window, hop)
    longest = max(window, (found.shape[1] + transform.p_min - 1) * hop)
    out = np.asarray(transform.istft(found, k1=longest), np.float32)
    out = np.pad(out, (0, max(0, length - len(out))))
    return out[:length]


def run_through(found: Array, times: Floats, hop: int = HOP) -> Array:
    """Return the spectrum at (M,) frame times, the phases going on as the frequencies ask (phase vocoder).

    Args:
        found: (F, frames) complex.
        times: rising frame numbers in [0, frames - 1].
        hop: samples of a step.
    """
    bands, frames = found.shape
    left = np.minimum(times.astype(np.int64), frames - 1)
    right = np.minimum(left + 1, frames - 1)
    share = times - left
    size = (1 - share) * np.abs(found[:, left]) + share * np.abs(found[:, right])
    expected = np.pi * hop * np.arange(bands)[:, None] / (bands - 1)
    angle = np.angle(found)
    step = angle[:, right] - angle[:, left] - expected
    step -= 2 * np.pi * np.round(step / (2 * np.pi))
    step += expected
    phase = np.cumsum(step, axis=1) - step  # each frame goes on from the one before
    loudest = int((size**2).sum(axis=0).argmax())  # there the phases of neighboring frequencies fit, as they did before
    phase += angle[:, left[loudest], None] - phase[:, loudest, None]
    return np.asarray(size * np.exp(1j * phase))


def stretched(sound: Floats, pace: float) -> Floats:
    """Return a (T,) sound at another pace and the same pitch: about T / pace samples."""
    found = spectrum(sound)
    times = np.arange(0, found.shape[1] - 1 + 1e-9, pace)
    return sound_of(run_through(found, times), max(1, round(len(sound) / pace)))


def resampled(sound: Floats, factor: float) -> Floats:
    """Return a (T,) sound run through ``factor`` times as fast (pitch follows), factor in hundredths."""
    from scipy.signal import resample_poly

    return np.asarray(resample_poly(np.asarray(sound, np.float64), 100, max(1, round(100 * factor))), np.float32)
