from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from scarce import metric
from scarce.errors import DataError
from scarce.metric import ranking

PAIRS = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=40)


@settings(max_examples=150, deadline=None)
@given(PAIRS)
def test_average_precision_matches_scikit_learn_also_with_ties(pairs):
    y, score = np.array([p[0] for p in pairs]), np.array([p[1] / 6 for p in pairs])
    if not y.any():
        assert np.isnan(metric.average_precision(y, score))
    else:
        assert metric.average_precision(y, score) == pytest.approx(oracle.average_precision_score(y, score))


@settings(max_examples=150, deadline=None)
@given(PAIRS, st.sampled_from([0.0, 0.01, 0.1, 0.25, 0.5]))
def test_recall_at_rate_is_what_the_threshold_gives(pairs, rate):
    y, score = np.array([p[0] for p in pairs]), np.array([p[1] / 6 for p in pairs])
    found = metric.recall_at_false_positive_rate(y, score, rate)
    if y.all() or not y.any():
        assert np.isnan(found)
        return
    fpr, tpr, _ = oracle.roc_curve(y, score, drop_intermediate=False)
    assert found == pytest.approx(tpr[fpr <= rate + 1e-12].max())
    flagged = score >= metric.threshold_at_false_positive_rate(y, score, rate)
    assert flagged[~y].mean() <= rate + 1e-12
    assert flagged[y].mean() == pytest.approx(found)


def test_mean_over_rare_classes_leaves_absent_ones_out():
    y = np.array([0, 0, 1, 1])
    probs = np.array([[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.2, 0.7, 0.1], [0.1, 0.2, 0.7]])
    wanted = [oracle.average_precision_score(y == c, probs[:, c]) for c in (0, 1)]
    assert metric.mean_average_precision(y, probs) == pytest.approx(np.mean(wanted))
    assert metric.mean_average_precision(y, probs, [1]) == pytest.approx(wanted[1])
    assert np.isnan(metric.mean_average_precision(y, probs, [2]))


def test_misuse_is_refused():
    with pytest.raises(DataError):
        metric.average_precision(np.array([1, 0]), np.array([np.nan, 0.2]))
    with pytest.raises(DataError):
        metric.recall_at_false_positive_rate(np.array([1, 0]), np.array([0.1, 0.2]), 1.0)


def test_false_positive_rate_at_recall_is_the_curve_of_scikit_learn():
    rng = np.random.default_rng(5)
    y, score = rng.random(200) < 0.2, rng.integers(0, 30, 200)
    alarms, recall, _ = oracle.roc_curve(y, score + 3 * y, drop_intermediate=False)
    for wanted in (0.1, 0.5, 1.0):
        assert metric.false_positive_rate_at_recall(y, score + 3 * y, wanted) == alarms[recall >= wanted - 1e-12][0]
    assert np.isnan(metric.false_positive_rate_at_recall(np.zeros(3), np.ones(3), 0.5))
    with pytest.raises(DataError, match="recall 0"):
        metric.false_positive_rate_at_recall(np.array([0, 1]), np.array([0.1, 0.2]), 0.0)


def test_a_threshold_lies_beside_the_score_that_it_was_read_from():
    score = np.array([0.2, 0.50000, 0.50004, 0.9])
    assert ranking.beside(0.9, score) == pytest.approx(0.9 - 1e-4)
    assert ranking.beside(0.50004, score) == pytest.approx(0.50002), "half way, where the next is near"
    assert ranking.beside(0.2, score) == pytest.approx(0.2 - 1e-4), "there is none below"
    assert ranking.beside(0.5, score, above=True) == pytest.approx(0.50002)
    assert ranking.beside(-40.0, score, above=True) == pytest.approx(-40.0 + 4e-3)
    assert ranking.beside(float("inf"), score, above=True) == float("inf")
