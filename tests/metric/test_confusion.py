from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as oracle

from scarce import metric
from scarce.errors import DataError


@pytest.fixture
def labels() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    y = rng.choice(5, size=400, p=[0.6, 0.2, 0.1, 0.08, 0.02])
    pred = np.where(rng.random(400) < 0.7, y, rng.integers(5, size=400))
    return y, pred


def test_matches_scikit_learn(labels):
    y, pred = labels
    assert (metric.confusion_matrix(y, pred, 5) == oracle.confusion_matrix(y, pred, labels=range(5))).all()
    assert metric.balanced_accuracy(y, pred, 5) == pytest.approx(oracle.balanced_accuracy_score(y, pred))
    assert metric.macro_f1(y, pred, 5) == pytest.approx(oracle.f1_score(y, pred, average="macro"))
    assert metric.accuracy(y, pred) == pytest.approx(oracle.accuracy_score(y, pred))
    precision, recall, f1 = metric.precision_recall_f1(y, pred, 5)
    theirs = oracle.precision_recall_fscore_support(y, pred, labels=range(5))
    for ours, other in zip((precision, recall, f1), theirs, strict=False):
        np.testing.assert_allclose(ours, other)
    np.testing.assert_allclose(metric.recalls(y, pred, 5), recall)


def test_absent_class_is_nan_and_left_out_of_the_mean():
    y, pred = np.array([0, 0, 1]), np.array([0, 1, 1])
    assert np.isnan(metric.recalls(y, pred, 3)[2])
    assert metric.balanced_accuracy(y, pred, 3) == pytest.approx(0.75)
    assert metric.macro_f1(y, pred, 3) == pytest.approx(oracle.f1_score(y, pred, average="macro"))


def test_nothing_gives_nan():
    empty = np.zeros(0, int)
    assert np.isnan(metric.balanced_accuracy(empty, empty, 2))
    assert np.isnan(metric.macro_f1(empty, empty, 2))
    assert np.isnan(metric.accuracy(empty, empty))


@pytest.mark.parametrize(("y", "pred"), [([0, 1], [0]), ([0, -1], [0, 0]), ([0, 1], [0, 2])])
def test_misuse_is_refused(y, pred):
    with pytest.raises(DataError):
        metric.confusion_matrix(np.array(y), np.array(pred), 2)


def test_log_loss_matches_scikit_learn(labels):
    y, _ = labels
    probs = np.random.default_rng(2).dirichlet(np.ones(5), size=len(y))
    assert metric.log_loss(y, probs) == pytest.approx(oracle.log_loss(y, probs, labels=range(5)))
    assert metric.log_loss(np.array([0]), np.array([[0.0, 1.0]])) == pytest.approx(-np.log(1e-12))
    with pytest.raises(DataError):
        metric.log_loss(y, probs[:3])
