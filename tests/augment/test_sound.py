from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scarce import registry
from scarce.augment import AbstractOperation
from scarce.augment._spectrum import RATE, run_through, sound_of, spectrum, stretched
from scarce.augment.pitch import shift_pitch
from scarce.augment.sound_noise import add_noise
from scarce.augment.sound_shift import shift_sound
from scarce.augment.spec_augment import BANDS, draw_masks, mask_spectrogram, mel_places
from scarce.augment.speed import change_speed
from scarce.modality.audio import read_sound, resample

NAMES = ("sound_noise", "sound_shift", "speed", "pitch", "spec_augment")


@pytest.fixture(scope="session")
def word(shared_data: Path) -> np.ndarray:
    found, rate = read_sound((shared_data / "audio_digits" / "wav" / "7" / "7_jackson_0.wav").read_bytes())
    return resample(found[:, 0], rate)


def tone(hertz: float) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE)).astype(np.float32)


def highest(sound: np.ndarray) -> float:
    return float(np.fft.rfftfreq(len(sound), 1 / RATE)[np.abs(np.fft.rfft(sound)).argmax()])


@pytest.mark.parametrize("name", NAMES)
def test_each_gives_a_sound_that_encodes_and_is_seeded(name: str, word: np.ndarray) -> None:
    operation = registry.load("augment", name, AbstractOperation)()
    before = word.copy()
    made = [operation.alter(word, operation.draw_for("a", seed=0, operation=0, copy=copy)) for copy in (0, 0, 1, 2)]
    assert all(one.dtype == np.float32 and np.abs(one).max() <= 1 for one in made)
    assert name == "speed" or all(one.shape == word.shape for one in made)
    np.testing.assert_array_equal(made[0], made[1])
    assert len({one.tobytes() for one in made}) == 3
    np.testing.assert_array_equal(word, before)
    short = operation.alter(np.zeros(50, np.float32), operation.draw_for("a", seed=0, operation=0, copy=0))
    assert np.isfinite(short).all()


def test_spectrum_and_back_is_the_sound(word: np.ndarray) -> None:
    np.testing.assert_allclose(sound_of(spectrum(word), len(word)), word, atol=1e-6)
    found = spectrum(word)
    same = run_through(found, np.arange(found.shape[1], dtype=float))
    np.testing.assert_allclose(sound_of(same, len(word)), word, atol=1e-4)


def test_pace_pitch_and_speed_move_what_they_say() -> None:
    slow = stretched(tone(440), 0.5)
    assert len(slow) == 2 * RATE
    assert highest(slow) == pytest.approx(440, abs=1)
    assert np.sqrt((slow[4000:-4000] ** 2).mean()) == pytest.approx(0.5 / np.sqrt(2), rel=0.01)  # as loud as before
    assert highest(shift_pitch(tone(440), 12)) == pytest.approx(880, abs=4)
    assert highest(shift_pitch(tone(440), -12)) == pytest.approx(220, abs=4)
    fast = change_speed(tone(440), 1.1)
    assert len(fast) == pytest.approx(RATE / 1.1, abs=1)
    assert highest(fast) == pytest.approx(484, abs=2)


def test_noise_lies_as_far_below_the_sound_as_asked(word: np.ndarray) -> None:
    for pink in (False, True):
        noise = add_noise(word, decibels=20, pink=pink, seed=1) - word
        assert 10 * np.log10((word**2).mean() / (noise**2).mean()) == pytest.approx(20, abs=0.1)
        power = np.abs(np.fft.rfft(noise)) ** 2
        low, high = (power[len(power) // 16 : len(power) // 8].mean(), power[len(power) // 2 :].mean())
        assert bool(low / high > 3) is pink
    assert not add_noise(np.zeros(100), decibels=10, seed=0).any()


def test_a_shift_moves_the_sound_and_silence_comes_in(word: np.ndarray) -> None:
    steps = round(0.1 * len(word))
    later, earlier = shift_sound(word, 0.1), shift_sound(word, -0.1)
    np.testing.assert_array_equal(later[steps:], word[:-steps])
    assert not later[:steps].any()
    np.testing.assert_array_equal(earlier[:-steps], word[steps:])


def test_masks_keep_the_limits_of_the_paper_and_reach_them() -> None:
    plans = [draw_masks(500, seed=seed, warp=0) for seed in range(600)]
    bands = np.array([end - start for plan in plans for start, end in plan.frequency])
    times = np.array([end - start for plan in plans for start, end in plan.time])
    assert (bands.min(), bands.max()) == (0, 27)
    assert (times.min(), times.max()) == (0, 70)
    assert not any(plan.moved for plan in plans)
    short = [draw_masks(40, seed=seed, share=0.2) for seed in range(100)]
    assert max(end - start for plan in short for start, end in plan.time) <= 8
    for plan in short:
        assert plan.times[0] == 0
        assert plan.times[-1] == 39
        assert (np.diff(plan.times) > 0).all()


def test_a_mask_silences_its_band_and_its_moment(word: np.ndarray) -> None:
    operation = registry.load("augment", "spec_augment", AbstractOperation)(warp=0)
    noise = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    for copy in range(50):
        params = operation.draw_for("a", seed=0, operation=0, copy=copy)
        plan = draw_masks(spectrum(noise, 400, 160).shape[1], seed=params["seed"], warp=0, share=0.2)
        (first, last), (start, end) = plan.frequency[0], plan.time[0]
        if last - first > 10 and end - start > 10:
            break
    found = np.abs(spectrum(operation.alter(noise, params), 400, 160)) ** 2
    own = np.abs(spectrum(noise, 400, 160)) ** 2
    places = mel_places(len(found))
    middle = (places > first + 3) & (places < last - 3)
    assert found[middle].sum() < 0.02 * own[middle].sum()
    assert found[:, start + 3 : end - 3].sum() < 0.02 * own[:, start + 3 : end - 3].sum()
    assert places.max() < BANDS


def test_masks_on_a_spectrogram_take_its_mean(word: np.ndarray) -> None:
    levels = np.random.default_rng(0).normal(size=(80, 300))
    masked = mask_spectrogram(levels, seed=2, warp=0)
    plan = draw_masks(300, seed=2, warp=0)
    (first, last), (start, end) = plan.frequency[0], plan.time[0]
    held = np.ones(levels.shape, bool)
    held[first:last] = held[:, start:end] = False
    np.testing.assert_allclose(masked[held], levels[held], rtol=1e-6)
    assert np.allclose(masked[~held], levels.mean(), atol=1e-5)
