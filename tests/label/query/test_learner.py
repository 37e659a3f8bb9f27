"""The shape of modAL, and when to stop."""

from __future__ import annotations

import doctest
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from scarce.errors import DataError, UnknownNameError
from scarce.label.query import learner as module
from scarce.label.query.learner import ActiveLearner
from scarce.label.query.stopping import curve_is_flat, predictions_are_stable, target_reached


def digits() -> tuple[np.ndarray, np.ndarray]:
    return load_digits(return_X_y=True)


def test_a_learner_is_taught_what_it_asked_for_and_gets_better_than_by_chance() -> None:
    X, y = digits()
    reached = {}
    for name in ("margin", "random"):
        scores = []
        for seed in range(3):
            rng = np.random.default_rng(seed)
            order = rng.permutation(len(X))
            test, pool = order[:600], order[600:]
            start = pool[:30]
            model = LogisticRegression(max_iter=300)
            taught = ActiveLearner(model, name, X_training=X[start], y_training=y[start], seed=seed)
            left = pool[30:]
            for _ in range(6):
                rows, samples = taught.query(X[left], n_instances=20)
                assert np.array_equal(samples, X[left[rows]])
                taught.teach(samples, y[left[rows]])
                left = np.delete(left, rows)
            assert len(taught.X_training) == 150
            scores.append(taught.score(X[test], y[test]))
        reached[name] = np.mean(scores)
    assert reached["margin"] > reached["random"] + 0.005


def test_it_takes_functions_names_and_objects_and_text_labels() -> None:
    X, y = digits()
    names = np.array([f"digit {code}" for code in y])

    def last(learner: Any, pool: np.ndarray, n_instances: int = 1) -> np.ndarray:
        return np.arange(len(pool))[-n_instances:]

    assert ActiveLearner(GaussianNB(), last).query(X[:9], 2)[0].tolist() == [7, 8]
    cold = ActiveLearner(GaussianNB(), "core_set")
    rows, _ = cold.query(X[:50], 5)
    assert len(set(rows.tolist())) == 5
    cold.teach(X[:40], names[:40])
    assert set(cold.predict(X[:5])) <= set(names)
    assert cold.predict_proba(X[:5]).shape == (5, 10)
    assert len(ActiveLearner(GaussianNB(), "badge", X[:60], names[:60]).query(X[60:90], 99)[0]) == 30


def test_mistakes_are_told() -> None:
    X, y = digits()
    with pytest.raises(DataError, match="nothing was taught yet"):
        ActiveLearner(GaussianNB(), "margin").query(X)
    with pytest.raises(DataError, match="belong together"):
        ActiveLearner(GaussianNB(), "margin", X)
    with pytest.raises(DataError, match="3 samples and 2 labels"):
        ActiveLearner(GaussianNB()).teach(X[:3], y[:2])
    with pytest.raises(DataError, match="no sample is left"):
        ActiveLearner(GaussianNB(), "random").query(X[:0])
    with pytest.raises(UnknownNameError, match="margin"):
        ActiveLearner(GaussianNB(), "margn")


def test_the_example_is_true() -> None:
    assert doctest.testmod(module).failed == 0


def test_a_curve_is_flat_when_the_last_rounds_gained_little() -> None:
    assert not curve_is_flat([0.5, 0.6]).stop
    assert "too few" in curve_is_flat([0.5, 0.6]).why
    assert not curve_is_flat([0.5, 0.6, 0.7, 0.8, 0.9]).stop
    flat = curve_is_flat([0.5, 0.8, 0.9, 0.901, 0.899, 0.902])
    assert flat.stop
    assert flat.value == pytest.approx(0.002)
    assert "+0.0020" in flat.why
    assert curve_is_flat([0.9, 0.8, 0.7, 0.6]).stop
    for wrong in ([0.5, np.nan, 0.6, 0.7, 0.8], ["a"] * 5):
        with pytest.raises((DataError, ValueError)):
            curve_is_flat(wrong)
    with pytest.raises(DataError):
        curve_is_flat([0.5] * 5, window=0)


def test_predictions_are_stable_when_neighboring_rounds_agree() -> None:
    from sklearn.metrics import cohen_kappa_score

    rng = np.random.default_rng(0)
    one = rng.integers(0, 4, 500)
    other = np.where(rng.random(500) < 0.3, rng.integers(0, 4, 500), one)
    assert predictions_are_stable([one] * 4).stop
    moving = predictions_are_stable([one, other, one, other])
    assert not moving.stop
    assert moving.value == pytest.approx(cohen_kappa_score(one, other))
    assert predictions_are_stable([other, one, one, one, one]).stop
    assert predictions_are_stable([np.zeros(9, int)] * 4).value == 1
    assert "too few" in predictions_are_stable([one, one]).why
    with pytest.raises(DataError, match="same samples"):
        predictions_are_stable([one, one[:5], one, one])


def test_a_target_is_reached_by_the_lower_end() -> None:
    assert target_reached(0.96, 0.95).stop
    assert not target_reached(0.94, 0.95).stop
    unsure = target_reached(0.96, 0.95, low=0.93)
    assert not unsure.stop
    assert unsure.why.startswith("not proven")
    assert target_reached(0.98, 0.95, low=0.951).stop
    with pytest.raises(DataError):
        target_reached(float("nan"), 0.95)
