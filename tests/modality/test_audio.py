"""Sounds, against soundfile and SciPy."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np
import pytest

from scarce.modality import BrokenSampleError
from scarce.modality.audio import RATE, Audio, read_sound

AUDIO = Audio()


def tone(seconds: float = 0.2, rate: int = 8000, channels: int = 1) -> np.ndarray:
    when = np.arange(int(seconds * rate)) / rate
    return np.stack([0.5 * np.sin(2 * np.pi * 440 * (turn + 1) * when) for turn in range(channels)], axis=1)


def wav(sound: np.ndarray, rate: int = 8000, width: int = 2) -> bytes:
    held = io.BytesIO()
    with wave.open(held, "wb") as file:
        file.setnchannels(sound.shape[1])
        file.setsampwidth(width)
        file.setframerate(rate)
        if width == 1:
            data = (sound * 127 + 128).astype(np.uint8).tobytes()
        else:
            whole = (sound * (2 ** (8 * width - 1) - 1)).astype("<i4")
            data = whole.view(np.uint8).reshape(*whole.shape, 4)[..., :width].tobytes()
        file.writeframes(data)
    return held.getvalue()


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 2])
def test_wav_against_soundfile(width: int, channels: int) -> None:
    soundfile = pytest.importorskip("soundfile")
    data = wav(tone(channels=channels), width=width)
    found, rate = read_sound(data)
    oracle, stated = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    assert rate == stated == 8000
    np.testing.assert_allclose(found, oracle, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "subtype"), [("FLAC", "PCM_16"), ("WAV", "FLOAT"), ("OGG", "VORBIS"), ("AIFF", "PCM_16")]
)
def test_other_formats(kind: str, subtype: str) -> None:
    soundfile = pytest.importorskip("soundfile")
    held = io.BytesIO()
    soundfile.write(held, tone(0.5, 16000), 16000, format=kind, subtype=subtype)
    found = AUDIO.decode(held.getvalue())
    assert len(found) == pytest.approx(8000, abs=200)
    assert np.abs(found).max() == pytest.approx(0.5, abs=0.05)


def test_one_rate_for_all() -> None:
    found = AUDIO.decode(wav(tone(1.0, 8000), 8000))
    assert found.dtype == np.float32
    assert len(found) == RATE
    peak = np.argmax(np.abs(np.fft.rfft(found)))
    assert peak == 440
    assert len(AUDIO.decode(wav(tone(1.0, 44100), 44100))) == RATE


def test_properties() -> None:
    sound = tone(1.0, 8000, 2)
    sound[:2000] = 0
    found = AUDIO.measure(wav(sound))
    assert (found["rate"], found["channels"], found["seconds"]) == (8000, 2, 1.0)
    assert found["peak"] == pytest.approx(0.5, abs=1e-3)
    assert found["rms"] == pytest.approx(np.sqrt((sound**2).mean()), abs=1e-3)
    assert found["silence"] > 0.25
    assert found["clipped"] == 0


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"no sound at all", "broken"),
        (wav(tone())[:700], "truncated"),
        (wav(np.zeros((0, 1))), "empty"),
        (b"fLaC1234", "broken"),
    ],
)
def test_what_cannot_be_used(data: bytes, reason: str) -> None:
    with pytest.raises(BrokenSampleError, match=f"^{reason}"):
        AUDIO.measure(data)


def test_real_digits(shared_data: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    for file in sorted((shared_data / "audio_digits" / "wav").rglob("*.wav"))[::150]:
        found, rate = read_sound(file.read_bytes())
        oracle, stated = soundfile.read(file, dtype="float32", always_2d=True)
        assert rate == stated
        np.testing.assert_allclose(found, oracle, atol=1e-6)
