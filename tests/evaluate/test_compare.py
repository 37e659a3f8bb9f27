from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from scarce.errors import DataError
from scarce.evaluate.compare import compare, mcnemar


def answers(y: np.ndarray, accuracy: float, seed: int, groups: np.ndarray | None = None) -> np.ndarray:
    rng = np.random.default_rng(seed)
    units = np.arange(len(y)) if groups is None else groups
    right = (rng.random(int(units.max()) + 1) < accuracy)[units]
    probs = np.full((len(y), 3), 0.1)
    probs[np.arange(len(y)), np.where(right, y, (y + 1) % 3)] = 0.8
    return probs


def test_a_better_model_is_found_and_the_counts_are_right() -> None:
    y = np.random.default_rng(0).integers(3, size=600)
    a, b = answers(y, 0.8, 1), answers(y, 0.9, 2)
    found = compare(y, a, b)
    one, two = a.argmax(1) == y, b.argmax(1) == y
    assert (found.only_first, found.only_second) == (int((one & ~two).sum()), int((two & ~one).sum()))
    assert found.p == pytest.approx(binomtest(found.only_first, found.only_first + found.only_second).pvalue)
    assert found.verdict == "better"
    assert compare(y, b, a).verdict == "worse"
    gain = found.differences["accuracy"]
    assert gain["value"] == pytest.approx(two.mean() - one.mean())
    assert gain["low"] < gain["value"] < gain["high"]


def test_equal_models_are_rarely_told_apart_also_in_groups() -> None:
    claims = {"alone": 0, "grouped": 0}
    for seed in range(40):
        y = np.arange(120) // 6 % 3
        groups = np.arange(120) // 6
        a, b = answers(y, 0.7, 2 * seed, groups), answers(y, 0.7, 2 * seed + 1, groups)
        claims["grouped"] += compare(y, a, b, groups=groups, draws=200, seed=seed).p < 0.05
        claims["alone"] += compare(y, a, b, draws=50, seed=seed).p < 0.05
    assert claims["grouped"] <= 6, "at most 5 % and chance"
    assert claims["alone"] >= 12, "single photos of one part claim too much: that is why groups count"


def test_the_same_model_twice_is_no_evidence() -> None:
    y = np.arange(30) % 3
    probs = answers(y, 0.8, 0)
    found = compare(y, probs, probs)
    assert (found.p, found.verdict, mcnemar(0, 0)) == (1.0, "no evidence", 1.0)
    with pytest.raises(DataError, match="same samples"):
        compare(y, probs, probs[:-1])
