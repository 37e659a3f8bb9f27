from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as oracle

from scarce import metric
from scarce.errors import DataError, UnknownNameError


@pytest.fixture
def data():
    rng = np.random.default_rng(7)
    y = rng.choice(4, size=300, p=[0.7, 0.18, 0.08, 0.04])
    probs = rng.dirichlet(np.ones(4), size=300) + 0.6 * np.eye(4)[y]
    probs = np.round(probs / probs.sum(1, keepdims=True), 2)
    return y, probs


@pytest.mark.parametrize("name", metric.METRICS)
@pytest.mark.parametrize("normal", [(), (0,)])
def test_weights_mean_repeated_samples(data, name, normal):
    y, probs = data
    setting = metric.Setting(normal=normal, rare=(2, 3), false_positive_rate=0.1)
    weights = metric.cluster_weights(np.arange(300), repeats=20, strata=y)
    found = metric.weighted(name)(y, probs, weights, setting)
    for row in range(20):
        again = np.repeat(np.arange(300), weights[row])
        assert found[row] == pytest.approx(metric.get(name)(y[again], probs[again], setting), rel=1e-6)
    np.testing.assert_allclose(metric.weighted(name)(y, probs, weights.astype(np.float64), setting), found, rtol=1e-6)


def test_plain_metrics_match_scikit_learn(data):
    y, probs = data
    pred = probs.argmax(1)
    assert metric.get("balanced_accuracy")(y, probs) == pytest.approx(oracle.balanced_accuracy_score(y, pred))
    assert metric.get("macro-F1")(y, probs) == pytest.approx(oracle.f1_score(y, pred, average="macro"))
    wanted = np.mean([oracle.average_precision_score(y == code, probs[:, code]) for code in (2, 3)])
    setting = metric.Setting(rare=(2, 3))
    assert metric.get("rare_average_precision")(y, probs, setting) == pytest.approx(wanted)
    score = 1 - probs[:, 0]
    setting = metric.Setting(normal=(0,), false_positive_rate=0.05)
    assert metric.get("recall_at_fpr")(y, probs, setting) == pytest.approx(
        metric.recall_at_false_positive_rate(y != 0, score, 0.05)
    )


def test_rare_classes():
    assert metric.rare_codes(np.array([10_000, 100, 50])) == (1, 2)
    assert metric.rare_codes(np.array([50, 50])) == (0, 1)
    assert metric.rare_codes(np.array([50, 50]), normal=(0, 1)) == (0, 1)
    assert metric.rare_codes(np.array([50, 50]), normal=(0,)) == (1,)
    assert metric.rare_codes(np.array([5, 500, 500]), normal=(0,)) == (1, 2)


def test_a_class_that_was_not_drawn_is_left_out():
    y, probs = np.array([0, 1]), np.eye(2)
    weights = np.array([[2, 0], [0, 0]])
    assert metric.weighted("balanced_accuracy")(y, probs, weights)[0] == 1.0
    assert np.isnan(metric.weighted("balanced_accuracy")(y, probs, weights)[1])
    assert np.isnan(metric.weighted("rare_average_precision")(y, probs, weights)[1])


def test_errors_help():
    with pytest.raises(UnknownNameError, match="macro_f1"):
        metric.get("macro_f2")
    with pytest.raises(DataError):
        metric.get("macro_f1")(np.array([0, 4]), np.eye(2))
    with pytest.raises(DataError):
        metric.weighted("macro_f1")(np.array([0, 1]), np.eye(2), np.ones((3, 5)))
    for name in metric.METRICS:
        assert metric.describe(name)
