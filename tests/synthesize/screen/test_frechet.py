"""The Frechet distance against the closed form, SciPy's matrix root, and repeated draws."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm

from scarce.errors import DataError
from scarce.synthesize.screen.frechet import frechet_distance, frechet_interval


def by_matrix_root(real: np.ndarray, made: np.ndarray) -> float:
    first, second = np.cov(real, rowvar=False), np.cov(made, rowvar=False)
    root = np.real(sqrtm(first @ second))
    return float(((real.mean(0) - made.mean(0)) ** 2).sum() + np.trace(first + second - 2 * root))


@pytest.mark.parametrize(("n", "m", "width"), [(400, 300, 32), (40, 90, 64), (200, 30, 64), (30, 30, 64)])
def test_it_equals_the_matrix_root(n: int, m: int, width: int) -> None:
    rng = np.random.default_rng(n)
    mix = rng.normal(size=(width, width))
    real, made = rng.normal(size=(n, width)) @ mix, rng.normal(0.2, 1.3, size=(m, width)) @ mix
    assert frechet_distance(real, made) == pytest.approx(by_matrix_root(real, made), rel=1e-5)
    assert frechet_distance(made, real) == pytest.approx(frechet_distance(real, made), rel=1e-6)
    assert frechet_distance(real, real) == pytest.approx(0, abs=1e-5 * width * np.trace(mix @ mix.T) / width)


def test_a_constant_feature_does_no_harm() -> None:
    rng = np.random.default_rng(0)
    real, made = rng.normal(size=(300, 10)), rng.normal(1, 1, size=(300, 10))
    real[:, 3] = made[:, 3] = 7.0
    others = np.arange(10) != 3
    assert frechet_distance(real, made) == pytest.approx(by_matrix_root(real[:, others], made[:, others]), rel=1e-5)


def test_the_correction_takes_the_bias_away_and_the_interval_holds_the_truth() -> None:
    width, truth, held, plain, mended = 12, 12 * 0.3**2, 0, [], []
    for seed in range(60):
        rng = np.random.default_rng([seed, 5])
        found = frechet_interval(rng.normal(size=(80, width)), rng.normal(0.3, 1, size=(80, width)), seed=seed)
        held += found.low <= truth <= found.high
        plain.append(found.value - truth)
        mended.append(found.corrected - truth)
    assert np.mean(plain) > 0.4
    assert abs(np.mean(mended)) < 0.25 * np.mean(plain)
    assert held >= 53


def test_samples_of_one_group_count_as_one() -> None:
    rng = np.random.default_rng(3)
    centers = rng.normal(size=(20, 6))
    real = np.repeat(centers, 6, axis=0) + rng.normal(0, 0.05, size=(120, 6))
    made = rng.normal(size=(120, 6))
    groups = (np.repeat(np.arange(20), 6), np.arange(120))
    alone, grouped = frechet_interval(real, made), frechet_interval(real, made, groups=groups)
    assert alone.value == grouped.value
    assert grouped.high - grouped.low > 1.5 * (alone.high - alone.low)


def test_bad_features_are_refused() -> None:
    rows = np.random.default_rng(0).normal(size=(9, 3))
    with pytest.raises(DataError, match="shapes"):
        frechet_distance(rows, rows[:, :2])
    with pytest.raises(DataError, match="1 real and 9 synthetic"):
        frechet_distance(rows[:1], rows)
    with pytest.raises(DataError, match="1 of 9 synthetic rows"):
        frechet_distance(rows, np.where(rows == rows[2, 1], np.nan, rows))
