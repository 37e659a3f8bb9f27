from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax
from sklearn import metrics as oracle
from sklearn.linear_model import LogisticRegression

from scarce.errors import DataError
from scarce.evaluate.calibration import (
    brier_score,
    expected_calibration_error,
    fit_temperature,
    honesty,
    reliability,
)


def drawn(n: int = 4000, k: int = 4, *, sharpness: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits and labels drawn from softmax(logits / sharpness): the right temperature is the sharpness."""
    rng = np.random.default_rng(3)
    logits = rng.normal(size=(n, k)) * 2
    labels = (rng.random((n, 1)) > softmax(logits / sharpness, axis=1).cumsum(1)).sum(1)
    return logits, labels


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_temperature_is_found_and_is_the_minimum(sharpness: float) -> None:
    logits, labels = drawn(sharpness=sharpness)
    found = fit_temperature(logits, labels)
    assert found == pytest.approx(sharpness, rel=0.08)
    at = [oracle.log_loss(labels, softmax(logits / value, axis=1)) for value in (found, found * 0.97, found * 1.03)]
    assert at[0] == min(at)


def test_temperature_with_weights_is_that_of_repeated_rows() -> None:
    logits, labels = drawn(300)
    times = np.random.default_rng(0).integers(0, 4, 300)
    repeated = fit_temperature(np.repeat(logits, times, 0), np.repeat(labels, times))
    assert fit_temperature(logits, labels, weights=times) == pytest.approx(repeated, rel=1e-4)
    assert fit_temperature(logits[:0], labels[:0]) == 1.0


def test_calibration_error_falls_when_the_model_is_calibrated() -> None:
    logits, labels = drawn(sharpness=3.0)
    before = expected_calibration_error(labels, softmax(logits, axis=1))
    after = expected_calibration_error(labels, softmax(logits / fit_temperature(logits, labels), axis=1))
    assert before > 0.2
    assert after < 0.03


def test_calibration_error_by_hand() -> None:
    probs = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    labels = np.array([0, 1, 0, 0])
    assert expected_calibration_error(labels, probs, bins=2) == pytest.approx((0.4 + 0.4) / 2)
    bins = reliability(labels, probs, bins=2)
    np.testing.assert_allclose(bins.confidence, [0.6, 0.9])
    np.testing.assert_allclose(bins.accuracy, [1.0, 0.5])
    twice = expected_calibration_error(labels, probs, bins=2, weights=np.full(4, 2.0))
    assert twice == pytest.approx(expected_calibration_error(labels, probs, bins=2))


def test_brier_matches_scikit_learn() -> None:
    logits, labels = drawn(500, 2)
    probs = softmax(logits, axis=1)
    assert brier_score(labels, probs) == pytest.approx(2 * oracle.brier_score_loss(labels, probs[:, 1]))


def test_a_fitted_model_is_calibrated_on_its_own_data() -> None:
    logits, labels = drawn(2000, 3)
    model = LogisticRegression(C=1e6, max_iter=500).fit(logits, labels)
    assert fit_temperature(model.decision_function(logits), labels) == pytest.approx(1.0, abs=0.02)


def test_refuses_what_does_not_fit() -> None:
    with pytest.raises(DataError, match="for 3 labels"):
        expected_calibration_error(np.zeros(3), np.full((2, 2), 0.5))
    with pytest.raises(DataError, match="outside the classes"):
        brier_score(np.array([2]), np.full((1, 2), 0.5))


LOGITS = np.array([[2.0, 0.0], [0.0, 1.0], [1.0, 0.5]])
FINE = np.array([0, 1, 0])


@pytest.mark.parametrize(
    ("logits", "labels", "said"),
    [
        (np.where(LOGITS == 2.0, np.nan, LOGITS), FINE, "1 of 3 rows of logits are not finite"),
        (np.where(LOGITS == 2.0, np.inf, LOGITS), FINE, "not finite"),
        (LOGITS, np.array([0, -1, 0]), "outside the classes"),
        (LOGITS, np.array([0, 2, 0]), "there are 2 classes"),
        (LOGITS, np.array([0, 1]), "shape"),
        (LOGITS[:, 0], FINE, "shape"),
        (LOGITS, FINE[:, None], "shape"),
        (LOGITS, np.array([0.5, 1, 0]), "no codes"),
        (LOGITS, np.array(["a", "b", "a"]), "no codes"),
    ],
)
def test_bad_logits_and_labels_are_told(logits, labels, said):
    with pytest.raises(DataError, match=said):
        fit_temperature(logits, labels)


@pytest.mark.parametrize(
    ("labels", "probs", "said"),
    [
        (FINE, np.full((3, 2), 0.5) * 3, "outside 0 to 1"),
        (FINE, np.full((3, 2), -0.1), "outside 0 to 1"),
        (FINE, np.full((3, 2), 0.3), "row 0 sums to 0.6"),
        (FINE, np.full((3, 2), np.nan), "not finite"),
        (np.array([0, 1, -1]), np.full((3, 2), 0.5), "outside the classes"),
        (FINE[:0], np.zeros((0, 2)), "no sample"),
    ],
)
def test_what_is_no_probability_is_told(labels, probs, said):
    with pytest.raises(DataError, match=said):
        expected_calibration_error(labels, probs)


def test_half_precision_is_probability_enough():
    rng = np.random.default_rng(0)
    probs = softmax(rng.normal(size=(200, 10)), axis=1)
    y = rng.integers(10, size=200)
    half = expected_calibration_error(y, probs.astype(np.float16))
    assert half == pytest.approx(expected_calibration_error(y, probs), abs=2e-3)


@pytest.mark.parametrize(("power", "least"), [(1.0, 0.9), (1.7, 0.85)])
def test_the_interval_of_the_calibration_error_holds_value_and_truth(power: float, least: float) -> None:
    """A percentile bootstrap held the true error of calibrated models in none of 60 sets, and its own value in 40."""
    rng = np.random.default_rng(0)
    many = rng.dirichlet([0.3] * 3, 50_000)
    truth = np.abs(_said(many, power).max(1) - many[np.arange(len(many)), many.argmax(1)]).mean()
    held = []
    for seed in range(60):
        p = rng.dirichlet([0.3] * 3, 200)
        y = np.minimum((rng.random(200)[:, None] > p.cumsum(1)).sum(1), 2)
        found = honesty(y, _said(p, power), np.full(200, None, object), seed=seed)["ece"]
        assert found["low"] <= found["value"] <= found["high"]
        held.append(found["low"] <= truth + 1e-9 <= found["high"] + 1e-9)
    assert np.mean(held) >= least


def _said(probs: np.ndarray, power: float) -> np.ndarray:
    raised = probs**power
    return np.asarray(raised / raised.sum(1, keepdims=True))


@pytest.mark.parametrize("n", [7, 100, 203])
def test_the_bins_of_the_plot_give_the_error_beside_it(n: int) -> None:
    rng = np.random.default_rng(n)
    probs, y = rng.dirichlet([1.0] * 3, n), rng.integers(3, size=n)
    found = honesty(y, probs, np.full(n, None, object))
    gaps = sum(row["n"] * abs(row["confidence"] - row["accuracy"]) for row in found["bins"]) / n
    assert gaps == pytest.approx(found["ece"]["value"])
    assert sum(row["n"] for row in found["bins"]) == n
    one = honesty(y, probs, np.zeros(n, int))["ece"]
    assert one["value"] == found["ece"]["value"]
    assert np.isnan([one["low"], one["high"]]).all(), "one group, drawn again and again"
