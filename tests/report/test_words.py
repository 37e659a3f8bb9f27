from __future__ import annotations

import math

import pytest

from scarce.report import Decision, Interval, OperatingPoint, ReportData, TestResult, words


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "100"), (0.9999, "99.9"), (0.0, "0"), (0.0004, "0.1"), (0.83, "83"), (0.996, "99.6"), (0.4949, "49")],
)
def test_an_imperfect_result_is_never_rounded_to_perfect(value: float, text: str) -> None:
    assert words.whole(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.0573, "+5.7"), (-0.0084, "−0.8"), (0.0002, "0.0"), (-0.0002, "0.0"), (math.nan, "–")]
)
def test_points(value: float, text: str) -> None:
    assert words.points(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(3.21, "3.2 s"), (42.4, "42 s"), (218.4, "3 min 38 s"), (120, "2 min"), (7260, "2 h 1 min")]
)
def test_duration(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


def test_headline_of_an_inspection_says_found_missed_and_proof() -> None:
    point = OperatingPoint(
        recall=Interval(value=0.83, low=0.757),
        false_alarms=Interval(value=0.0103, high=0.0141),
        defects=100,
        sound=3010,
    )
    (main, more), *_ = words.headline(ReportData(title="x", operating_point=point))
    assert main == "Of 100 damaged ones it finds 83, with a false alarm on 1 of 100 sound ones."
    assert "100 damaged test samples" in more
    assert "at least 75.7 %" in more
    assert "at most 1.4 %" in more


def test_headline_of_classes_names_the_trivial_answer() -> None:
    test = TestResult(
        n=2000, balanced_accuracy=Interval(value=0.882, low=0.868, high=0.896), majority=0.1, majority_class="T-shirt"
    )
    ((main, more),) = words.headline(ReportData(title="x", test=test))
    assert "88 of 100" in main
    assert "88.2 % balanced accuracy (86.8–89.6) on 2,000 real test samples" in more
    assert "Always answering ‘T-shirt’ would score 10.0 %" in more


def test_headline_without_a_model() -> None:
    assert words.headline(ReportData(title="x"))[0][0] == "This run looked at the data and trained no model."


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.044, 0.081, "added 6.2 points (+4.4 to +8.1), compared with"), (-0.01, 0.13, "cannot tell whether")],
)
def test_a_gain_that_may_be_chance_is_called_so(low: float, high: float, expected: str) -> None:
    change = Interval(value=0.062, low=low, high=high)
    test = TestResult(n=9, balanced_accuracy=Interval(value=0.5), difference=change)
    assert expected in words.gain_sentence(ReportData(title="x", test=test))


def test_where_nothing_was_kept_nothing_is_claimed() -> None:
    test = TestResult(n=9, balanced_accuracy=Interval(value=0.5), difference=Interval(value=0.0, low=0.0, high=0.0))
    ledger = (Decision(decision="augment", gain=0.01, verdict="no evidence"),)
    assert words.gain_sentence(ReportData(title="x", test=test, ledger=ledger)).startswith("No decision was kept")


def test_decision_titles() -> None:
    assert words.decision_title("rebalance.focal") == "Focal loss"
    assert words.decision_title("synthesize.cut_paste") == "Synthetic defects: cut paste"
    assert words.decision_title("my_step") == "My step"
