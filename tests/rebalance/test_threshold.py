from __future__ import annotations

import itertools

import numpy as np
import pytest

from scarce.errors import ConfigError, DataError
from scarce.rebalance.threshold import cheapest, fit_factors, moved_prior


def test_a_moved_prior_is_bayes_rule() -> None:
    x = np.linspace(-4, 4, 81)
    likelihood = np.exp(-0.5 * (x[:, None] - [-1, 1]) ** 2)
    wide = likelihood * [900, 100]
    even = likelihood / likelihood.sum(1, keepdims=True)
    np.testing.assert_allclose(moved_prior(wide / wide.sum(1, keepdims=True), [900, 100]), even)
    other = likelihood * [0.2, 0.8]
    np.testing.assert_allclose(moved_prior(even, [0.5, 0.5], [0.2, 0.8]), other / other.sum(1, keepdims=True))


def test_costs_move_the_threshold_to_where_they_balance() -> None:
    p = np.linspace(0.0, 1.0, 101)
    probs = np.stack([1 - p, p], axis=1)
    missed, alarm = 9.0, 1.0
    answer = cheapest(probs, np.array([[0.0, alarm], [missed, 0.0]]))
    np.testing.assert_array_equal(answer, p > alarm / (alarm + missed))
    three = np.array([[0.4, 0.35, 0.25]])
    assert cheapest(three, 1 - np.eye(3)).tolist() == [0]
    assert cheapest(three, np.array([[0, 1, 1], [1, 0, 1], [9, 9, 0]])).tolist() == [2]


def balanced(probs: np.ndarray, labels: np.ndarray) -> float:
    answer = probs.argmax(1)
    return float(np.mean([(answer[labels == code] == code).mean() for code in np.unique(labels)]))


def test_two_classes_get_the_best_threshold() -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random(400) < 0.1).astype(int)
    p = 1 / (1 + np.exp(-(rng.normal(0, 1.5, 400) + 2 * labels - 3)))
    probs = np.stack([1 - p, p], axis=1)
    best = max(balanced(np.stack([np.full(400, t), p], 1), labels) for t in np.unique(p) - 1e-12)
    assert balanced(fit_factors(labels, probs) * probs, labels) == pytest.approx(best)


def test_many_classes_come_near_an_exhaustive_search_and_never_get_worse() -> None:
    rng = np.random.default_rng(1)
    labels = rng.choice(3, 300, p=[0.8, 0.15, 0.05])
    logits = rng.normal(0, 1, (300, 3)) + 1.5 * np.eye(3)[labels] + np.log([0.8, 0.15, 0.05])
    probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    found = balanced(fit_factors(labels, probs) * probs, labels)
    grid = np.exp(np.linspace(0, 5, 26))
    exhaustive = max(balanced(probs * [1, b, c], labels) for b, c in itertools.product(grid, grid))
    assert found > balanced(probs, labels) + 0.05
    assert found > exhaustive - 0.01


def test_bad_input_is_explained() -> None:
    probs = np.full((4, 2), 0.5)
    with pytest.raises(ConfigError, match="2 classes"):
        moved_prior(probs, [1, 2, 3])
    with pytest.raises(ConfigError, match="before"):
        moved_prior(probs, [-1, 2])
    with pytest.raises(DataError, match="costs have shape"):
        cheapest(probs, np.eye(3))
    with pytest.raises(DataError, match="two classes"):
        fit_factors(np.zeros(4, int), probs)
    with pytest.raises(DataError, match="numbers >= 0"):
        cheapest(np.full((2, 2), np.nan), np.eye(2))
