from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scarce import registry
from scarce.augment import AbstractOperation
from scarce.augment.guided_warp import align, warp_guided
from scarce.augment.jitter import add_jitter
from scarce.augment.permutation import permute
from scarce.augment.rotation import rotate
from scarce.augment.scaling import scale
from scarce.augment.time_warp import warp_time
from scarce.augment.window_slice import slice_window
from scarce.augment.window_warp import warp_window
from scarce.errors import DataError

NAMES = (
    "jitter", "scaling", "rotation", "permutation", "magnitude_warp", "time_warp", "window_slice", "window_warp",
    "guided_warp",
)  # fmt: skip


@pytest.fixture(scope="session")
def beats(shared_data: Path) -> np.ndarray:
    with np.load(shared_data / "time_series" / "ECG200.npz") as opened:
        return np.asarray(opened["x_train"], np.float32)


@pytest.mark.parametrize("name", NAMES)
def test_each_keeps_length_channels_and_input_and_is_seeded(name: str, beats: np.ndarray) -> None:
    operation = registry.load("augment", name, AbstractOperation)()
    three = np.stack([beats[0], beats[1], beats[2]])
    before = three.copy()
    for series, other in ((beats[0], beats[3]), (three, np.stack([beats[3], beats[4], beats[5]]))):
        made = [
            operation.alter(series, operation.draw_for("a", seed=0, operation=0, copy=copy), other)
            for copy in (0, 0, 1, 2)
        ]
        assert all(one.shape == series.shape and one.dtype == np.float32 for one in made)
        assert all(np.isfinite(one).all() for one in made)
        np.testing.assert_array_equal(made[0], made[1])
        if name != "guided_warp":
            assert len({one.tobytes() for one in made}) > 1
    np.testing.assert_array_equal(three, before)
    assert operation.alter(
        np.ones(2, np.float32), operation.draw_for("a", seed=0, operation=0, copy=0), np.ones(2)
    ).shape == (2,)


def test_the_arithmetic(beats: np.ndarray) -> None:
    series = beats[0]
    noise = np.concatenate([add_jitter(series, sigma=0.1, seed=seed) - series for seed in range(200)])
    assert noise.std() == pytest.approx(0.1 * series.std(), rel=0.02)
    ratio = scale(series, sigma=0.1, seed=3) / series
    assert np.ptp(ratio) < 1e-4
    assert {float((rotate(series, seed=seed) / series).round(3)[0]) for seed in range(20)} == {-1.0, 1.0}
    assert sorted(permute(series, seed=1)) == sorted(series)
    missing = series.copy()
    missing[5] = np.nan
    assert np.isnan(add_jitter(missing, seed=0)).sum() == 1
    # a straight line shows which times were read
    line = np.arange(100, dtype=np.float32)
    warped = warp_time(line, sigma=0.3, seed=2)
    assert warped[0] == 0
    assert warped[-1] == pytest.approx(99)
    assert (np.diff(warped) > 0).all()
    window = slice_window(line, share=0.9, seed=5)
    assert np.ptp(window) == pytest.approx(0.9 * 99, rel=1e-4)
    for seed in range(5):
        paces = np.diff(warp_window(line, share=0.2, seed=seed))
        rest = np.median(paces)
        inside = paces[np.abs(paces - rest) > 0.2 * rest] / rest
        assert np.median(inside) == pytest.approx(0.5, rel=0.05) or np.median(inside) == pytest.approx(2, rel=0.05)


def test_axes_are_turned_in_space_and_keep_their_length(beats: np.ndarray) -> None:
    three = np.stack([beats[0], beats[1], beats[2]])
    turned = rotate(three, axes=True, seed=0)
    np.testing.assert_allclose((turned**2).sum(0), (three**2).sum(0), rtol=1e-4)
    assert not np.allclose(np.abs(turned), np.abs(three))
    with pytest.raises(DataError, match="1 channels"):
        rotate(beats[0], axes=True, seed=0)


def slow_cost(one: np.ndarray, two: np.ndarray, band: int) -> float:
    """Dynamic time warping by its definition."""
    table = np.full((len(one) + 1, len(two) + 1), np.inf)
    table[0, 0] = 0
    for i, a in enumerate(one):
        for j, b in enumerate(two):
            if abs(i - j) <= band:
                table[i + 1, j + 1] = ((a - b) ** 2).sum() + min(table[i, j], table[i, j + 1], table[i + 1, j])
    return float(table[-1, -1])


@pytest.mark.parametrize("band", [3, 10, 96])
def test_alignment_agrees_with_its_definition(beats: np.ndarray, band: int) -> None:
    one, two = beats[:2].astype(float), beats[2:4, :90].astype(float)
    cost, path = align(one, two, window=band / 96)
    held = max(band, 6)
    assert cost == pytest.approx(slow_cost(one.T, two.T, held))
    along = ((one[:, path[:, 0]] - two[:, path[:, 1]]) ** 2).sum()
    assert along == pytest.approx(cost)
    assert path[0].tolist() == [0, 0]
    assert path[-1].tolist() == [95, 89]
    steps = np.diff(path, axis=0)
    assert ((steps >= 0) & (steps <= 1)).all()
    assert (steps.sum(1) > 0).all()
    assert (np.abs(path[:, 0] - path[:, 1]) <= held).all()


def test_a_guided_series_runs_at_the_pace_of_its_teacher() -> None:
    time = np.linspace(0, 1, 100)
    student, teacher = np.exp(-(((time - 0.4) / 0.05) ** 2)), np.exp(-(((time - 0.45) / 0.05) ** 2))
    made = warp_guided(student, teacher)
    assert abs(int(made.argmax()) - int(teacher.argmax())) < abs(int(student.argmax()) - int(teacher.argmax()))
    np.testing.assert_allclose(warp_guided(student, student), student, atol=1e-6)
    with pytest.raises(DataError, match="different numbers of channels"):
        warp_guided(student, np.stack([teacher, teacher]))
    operation = registry.load("augment", "guided_warp", AbstractOperation)()
    with pytest.raises(DataError, match="none is given"):
        operation.alter(student, {"window": 0.1})
