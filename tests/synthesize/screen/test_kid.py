"""The kernel distance against whole kernel matrices, and its interval against repeated draws."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics.pairwise import polynomial_kernel

from scarce.errors import DataError
from scarce.synthesize.screen import kid
from scarce.synthesize.screen.kid import kernel_distance, kernel_interval


def by_matrices(real: np.ndarray, made: np.ndarray) -> float:
    value = -2 * polynomial_kernel(real, made).mean()
    for rows in (real, made):
        near = polynomial_kernel(rows)
        value += (near.sum() - np.trace(near)) / (len(rows) * (len(rows) - 1))
    return float(value)


def test_it_equals_whole_matrices_whatever_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    real, made = rng.normal(size=(130, 20)), rng.normal(0.3, 1.2, size=(90, 20))
    whole = kernel_distance(real, made)
    assert whole == pytest.approx(by_matrices(real, made), rel=1e-4)
    monkeypatch.setattr(kid, "BLOCK", 37)
    assert kernel_distance(real, made) == pytest.approx(whole, rel=1e-5)


def test_it_is_unbiased_and_its_interval_holds_the_truth() -> None:
    rng = np.random.default_rng(2)
    far = kernel_distance(rng.normal(size=(6000, 8)), rng.normal(0.4, 1, size=(6000, 8)))
    found = [
        kernel_interval(np.random.default_rng([seed, 0]).normal(size=(60, 8)),
                        np.random.default_rng([seed, 1]).normal(0.4, 1, size=(60, 8)))
        for seed in range(200)
    ]  # fmt: skip
    values = np.array([one.value for one in found])
    assert abs(values.mean() - far) < 4 * values.std() / np.sqrt(200)
    assert np.mean([one.low <= far <= one.high for one in found]) > 0.88
    same = [kernel_distance(*np.random.default_rng(seed).normal(size=(2, 60, 8))) for seed in range(200)]
    assert abs(np.mean(same)) < 4 * np.std(same) / np.sqrt(200)


def test_groups_widen_the_interval_and_bad_features_are_refused() -> None:
    rng = np.random.default_rng(3)
    real = np.repeat(rng.normal(size=(20, 6)), 6, axis=0)
    made = rng.normal(size=(120, 6))
    alone = kernel_interval(real, made)
    grouped = kernel_interval(real, made, groups=(np.repeat(np.arange(20), 6), np.arange(120)))
    assert grouped.high - grouped.low > 1.5 * (alone.high - alone.low)
    with pytest.raises(DataError, match="0 synthetic"):
        kernel_distance(real, made[:0])
