from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta

from scarce.errors import DataError
from scarce.evaluate.operating_point import defect_score, more_defects, operating_point
from scarce.metric import provable


def test_the_factory_figures() -> None:
    score = np.r_[np.zeros(1000), np.ones(150)]
    point = operating_point(np.r_[np.zeros(1000), np.ones(150)], score, threshold=0.5)
    assert point.recall == 1
    assert point.recall_low == pytest.approx(0.980, abs=5e-4)
    assert point.more_defects == {"0.98": 0, "0.99": 149}
    assert not point.in_sample
    assert "150 of 150" in point.why()


def test_bounds_are_exact_and_one_sided() -> None:
    y = np.r_[np.zeros(500), np.ones(80)]
    score = np.r_[np.linspace(0, 0.6, 500), np.linspace(0.4, 1, 80)]
    point = operating_point(y, score, false_positive_rate=0.05)
    assert point.in_sample
    assert point.false_alarms == 25
    assert point.recall_low == pytest.approx(beta.ppf(0.05, point.caught, 80 - point.caught + 1))
    assert point.false_alarm_high == pytest.approx(beta.ppf(0.95, 26, 475))
    lower = operating_point(y, score, false_positive_rate=0.2)
    assert lower.recall >= point.recall


def test_what_is_missing_is_the_least_number_that_proves_it() -> None:
    for caught, defects in ((40, 40), (57, 60), (299, 299), (10, 50)):
        for goal in (0.9, 0.98):
            extra = more_defects(caught, defects, goal)
            misses = defects - caught
            assert provable(defects + extra, misses) >= goal
            if extra:
                assert provable(defects + extra - 1, misses) < goal


def test_more_defects_are_counted_by_group() -> None:
    y = np.r_[np.zeros(60), np.ones(60)]
    groups = np.r_[np.arange(60) // 6, 100 + np.arange(60) // 6]
    point = operating_point(y, y, threshold=0.5, groups=groups)
    assert (point.defect_groups, point.normal_groups, point.grouped) == (10, 10, True)
    assert point.recall_low == pytest.approx(0.05**0.1)
    assert point.false_alarm_high == pytest.approx(1 - 0.05**0.1)
    assert point.more_defects["0.99"] == more_defects(10, 10, 0.99) == 289
    score = y - np.r_[np.zeros(60), np.arange(60) % 6 == 0]
    missed = operating_point(y, score, threshold=0.5, groups=groups)
    assert missed.recall_low == pytest.approx(beta.ppf(0.05, 50 / 6, 10 - 50 / 6 + 1))


def test_threshold_that_rejects_nothing() -> None:
    point = operating_point(np.array([0, 1]), np.array([0.9, 0.9]), false_positive_rate=0.0)
    assert (point.threshold, point.recall) == (float("inf"), 0.0)
    assert point.to_json()["threshold"] is None


def test_refuses_what_cannot_be_judged() -> None:
    with pytest.raises(DataError, match="no defect"):
        operating_point(np.zeros(3), np.ones(3))
    with pytest.raises(DataError, match="no sound sample"):
        operating_point(np.ones(3), np.ones(3))
    with pytest.raises(DataError, match="not finite"):
        operating_point(np.array([0, 1]), np.array([0, np.nan]))


def test_several_normal_classes_count_together() -> None:
    np.testing.assert_allclose(defect_score(np.array([[0.2, 0.3, 0.5]]), (0, 2)), [0.3])


def test_a_threshold_that_is_no_number_is_refused():
    y, score = np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.6, 0.9])
    with pytest.raises(DataError, match="nan decides nothing"):
        operating_point(y, score, threshold=float("nan"))
    assert operating_point(y, score, threshold=float("inf")).recall == 0.0


@pytest.mark.parametrize("y", [["ok", "ok", "crack", "crack"], [0, 0, 1, 2], [-1, -1, 1, 1], [0, 0, 1, float("nan")]])
def test_labels_that_are_neither_true_nor_false_are_told(y):
    with pytest.raises(DataError, match="neither true and false nor 1 and 0"):
        operating_point(np.array(y), np.array([0.1, 0.4, 0.6, 0.9]))
