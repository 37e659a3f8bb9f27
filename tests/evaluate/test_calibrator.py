from __future__ import annotations

import numpy as np
import pytest

from scarce.errors import ConfigError, DataError
from scarce.evaluate.calibration import expected_calibration_error, fit_temperature
from scarce.evaluate.calibrator import KINDS, cross_fitted, fit, judge_kinds, with_prior
from scarce.evaluate.conformal import conformal_sets, conformal_threshold, risk_coverage, summary
from scarce.evaluate.threshold import at_cost, at_detection_rate, decide, mean_cost
from scarce.probe import softmax


def make(n: int, shares: tuple[float, ...], *, blow: float = 3.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are true log-odds under these shares, blown up: too sure."""
    rng = np.random.default_rng(seed)
    y = rng.choice(len(shares), n, p=shares)
    x = rng.normal(size=(n, len(shares))) + 1.5 * np.eye(len(shares))[y]
    return blow * (1.5 * x + np.log(shares)), y


@pytest.mark.parametrize("kind", ["temperature", "vector", "isotonic"])
def test_each_kind_mends_what_is_too_sure(kind: str) -> None:
    logits, y = make(4000, (0.6, 0.3, 0.1))
    probs = cross_fitted(logits, y, kind)  # type: ignore[arg-type]
    assert expected_calibration_error(y, softmax(logits)) > 0.06
    assert expected_calibration_error(y, probs) < 0.025
    np.testing.assert_allclose(probs.sum(1), 1.0)


def test_vector_scaling_mends_class_frequencies_and_temperature_does_not() -> None:
    logits, y = make(5000, (0.9, 0.08, 0.02), blow=1.0)
    alike = logits - np.log([0.9, 0.08, 0.02])
    table = judge_kinds(alike, y)
    assert set(table) == set(KINDS)
    assert table["vector"]["log_loss"] < table["temperature"]["log_loss"] - 0.05
    moved = with_prior(softmax(alike), np.ones(3), np.array([0.9, 0.08, 0.02]))
    np.testing.assert_allclose(moved, softmax(logits), atol=1e-9)
    assert expected_calibration_error(y, moved) < 0.02 < expected_calibration_error(y, softmax(alike))


def test_one_temperature_is_the_fitted_one() -> None:
    logits, y = make(2000, (0.5, 0.5), blow=2.0)
    np.testing.assert_allclose(fit(logits, y)(logits), softmax(logits / fit_temperature(logits, y)))
    with pytest.raises(ConfigError, match="isotonic"):
        fit(logits, y, "platt")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="labels"):
        fit(logits, y[:-1])


def test_sets_hold_the_truth_as_promised() -> None:
    held = []
    for seed in range(200):
        logits, y = make(60, (0.5, 0.3, 0.2), seed=seed)
        probs = softmax(logits)
        cut = conformal_threshold(y[:39], probs[:39], coverage=0.9)
        held.append(conformal_sets(probs[39:], cut)[np.arange(21), y[39:]].mean())
    assert 0.885 <= np.mean(held) <= 0.94
    assert conformal_threshold(y[:5], probs[:5], coverage=0.9) == 0.0
    found = summary(y, probs, 0.3)
    assert found["accuracy_sure"] >= found["accuracy"]


def test_the_error_falls_with_what_is_left_unanswered() -> None:
    logits, y = make(1000, (0.5, 0.3, 0.2))
    answered, risk = risk_coverage(y, softmax(logits))
    assert answered[-1] == 1
    assert risk[-1] == pytest.approx((logits.argmax(1) != y).mean())
    assert risk[299] < risk[-1] / 2


def test_thresholds_for_a_detection_rate_and_for_costs() -> None:
    rng = np.random.default_rng(0)
    y = rng.random(2000) < 0.2
    score = rng.normal(size=2000) + 2 * y
    chosen = at_detection_rate(y, score, 0.99)
    recall = (score[y] >= chosen.threshold).mean()
    assert 0.99 <= recall < 0.995
    assert (score[y] >= np.nextafter(chosen.threshold, 9)).mean() < 0.99, "no higher one would do"

    def cost(cut: float) -> float:
        return float((10 * (y & (score < cut)) + 1 * (~y & (score >= cut))).mean())

    best = at_cost(y, score, miss=10, alarm=1)
    assert cost(best.threshold) == pytest.approx(min(cost(cut) for cut in [*score, np.inf]))
    assert at_cost(y, score, miss=0, alarm=1).threshold == np.inf
    probs, costs = np.array([[0.8, 0.2], [0.95, 0.05]]), np.array([[0.0, 1.0], [10.0, 0.0]])
    assert decide(probs, costs).tolist() == [1, 0]
    assert mean_cost(np.array([0, 1]), np.array([1, 0]), costs) == 5.5
    with pytest.raises(DataError, match="matrix"):
        decide(probs, np.eye(3))
    with pytest.raises(DataError, match="both"):
        at_detection_rate(np.ones(3), np.ones(3))
