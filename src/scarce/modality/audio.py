"""Sounds."""

from __future__ import annotations

import io
import wave
from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd
from typing import Any, ClassVar, final

import numpy as np

from scarce.dataset import Array
from scarce.extras import need
from scarce.modality._base import AbstractModality, BrokenSampleError, Raw, curve

RATE = 16_000
"""Samples per second of every decoded sound."""
_FORMATS = {b"RIFF": "wav", b"fLaC": "flac", b"OggS": "ogg", b"FORM": "aiff"}


@final
@dataclass(frozen=True, kw_only=True)
class Audio(AbstractModality):
    """Sounds: WAV by the standard library; FLAC, OGG, AIFF and odd WAV through the extra ``audio``.

    Use when a sample is a recording.
    Do not use when the channels carry the difference: they are averaged.
    Needs: file bytes.
    Writes: scan.* of shape (N,): rate (1/s), channels, seconds, peak and rms (0..1), silence (share of samples below
    0.001), clipped (share at full scale), bytes.
    """

    encoders: ClassVar[tuple[str, ...]] = ("logmel",)
    properties: ClassVar[Mapping[str, Any]] = {
        "rate": np.int32, "channels": np.uint8, "bytes": np.int64,
        **dict.fromkeys(("seconds", "peak", "rms", "silence", "clipped"), np.float32),
    }  # fmt: skip

    def decode(self, raw: Raw) -> Array:
        """Return (T,) float32 in [-1, 1], mono, at 16 kHz."""
        sound, rate = read_sound(raw)
        return resample(sound.mean(axis=1, dtype=np.float32), rate)

    def thumbnail(self, sample: Array | str, size: int) -> Array:
        """Return the wave as a curve."""
        return curve(np.asarray(sample, np.float32), size)

    def measure(self, raw: Raw) -> dict[str, Any]:
        """Measure the recording as stored; see the class."""
        sound, rate = read_sound(raw)
        size = np.abs(sound)
        return {
            "rate": rate, "channels": sound.shape[1], "bytes": raw.nbytes if isinstance(raw, np.ndarray) else len(raw),
            "seconds": len(sound) / rate,
            "peak": float(size.max()), "rms": float(np.sqrt(np.mean(sound.astype(np.float64) ** 2))),
            "silence": float((size < 1e-3).mean()), "clipped": float((size >= 0.999).mean()),
        }  # fmt: skip


def read_sound(raw: Raw) -> tuple[Array, int]:
    """Return (T, channels) float32 in [-1, 1] and the samples per second.

    A (T,) array, a sound that was decoded or made before, is taken as it is at :data:`RATE`.

    Raises:
        BrokenSampleError: empty, truncated or no sound.
        MissingExtraError: the format needs the extra ``audio``.
    """
    if isinstance(raw, np.ndarray) and raw.ndim == 1 and raw.size:
        return raw[:, None].astype(np.float32), RATE
    if not isinstance(raw, bytes) or not raw:
        raise BrokenSampleError("empty: 0 bytes" if isinstance(raw, bytes) else "broken: not a sound")
    kind = _FORMATS.get(raw[:4])
    if kind == "wav":
        try:
            return _wav(raw)
        except wave.Error:
            kind = "other"
        except EOFError:
            raise BrokenSampleError("truncated: the file ends too early") from None
    if kind is None and raw[:3] != b"ID3" and raw[:1] != b"\xff":
        raise BrokenSampleError("broken: not a sound")
    soundfile = need("soundfile", extra="audio")
    try:
        sound, rate = soundfile.read(io.BytesIO(raw), dtype="float32", always_2d=True)
    except (RuntimeError, OSError, ValueError):
        raise BrokenSampleError("broken: the sound cannot be decoded") from None
    if not len(sound):
        raise BrokenSampleError("empty: no sound")
    return np.asarray(sound), int(rate)


def _wav(raw: bytes) -> tuple[Array, int]:
    with wave.open(io.BytesIO(raw)) as opened:
        channels, width, rate, frames = opened.getparams()[:4]
        data = opened.readframes(frames)
    if not frames or not data:
        raise BrokenSampleError("empty: no sound")
    if len(data) < frames * channels * width:
        raise BrokenSampleError("truncated: the file ends too early")
    if width == 1:
        sound: Array = (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / 128
    elif width == 3:
        parts = np.frombuffer(data, np.uint8).reshape(-1, 3).astype(np.int32)
        whole = (parts[:, 2] << 24 | parts[:, 1] << 16 | parts[:, 0] << 8) >> 8
        sound = whole.astype(np.float32) / 2**23
    else:
        sound = np.frombuffer(data, "<i2" if width == 2 else "<i4").astype(np.float32) / float(2 ** (8 * width - 1))
    return sound.reshape(-1, channels), rate


def resample(sound: Array, rate: int) -> Array:
    """Return a (T,) sound at :data:`RATE`, by a polyphase filter."""
    if rate == RATE:
        return sound
    from scipy.signal import resample_poly

    common = gcd(RATE, rate)
    return np.asarray(resample_poly(sound, RATE // common, rate // common), np.float32)
