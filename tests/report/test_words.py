from __future__ import annotations

import math
from dataclasses import replace

import pytest

from scarce.report import (
    ChosenMetric,
    ClassResult,
    Decision,
    Exhibit,
    Interval,
    LabelError,
    OperatingPoint,
    ReportData,
    TestResult,
    to_html,
    words,
)


def page_of(report: ReportData) -> str:
    """The page with plain spaces."""
    return to_html(report).replace("\N{NO-BREAK SPACE}", " ")


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


def test_copies_that_a_network_draws_are_named() -> None:
    test = TestResult(n=9, balanced_accuracy=Interval(value=0.5), difference=Interval(value=0.03, low=0.01, high=0.05))
    ledger = (Decision(decision="augment", gain=-0.01, verdict="no evidence"),)
    drawn = ReportData(title="x", test=test, ledger=ledger, draws_copies=True)
    assert words.gain_sentence(drawn).startswith("The changed copies that the network draws in every epoch added 3.0")
    kept = replace(drawn, ledger=(Decision(decision="rebalance.focal", gain=0.02, verdict="helped", kept=True),))
    assert "The kept decisions and the changed copies" in words.gain_sentence(kept)


def test_decision_titles() -> None:
    assert words.decision_title("rebalance.focal") == "Focal loss"
    assert words.decision_title("synthesize.cut_paste") == "Synthetic defects: cut paste"
    assert words.decision_title("my_step") == "My step"


BLIND = OperatingPoint(
    recall=Interval(value=0.0, low=0.0), false_alarms=Interval(value=0.0, high=0.3), defects=9, sound=12,
    defect_groups=3, sound_groups=12, wanted=0.01, held_out_sound=40, rate_resolved=False, half_found_at=0.382,
)  # fmt: skip
TESTED = TestResult(
    n=21, groups=15, balanced_accuracy=Interval(value=0.61, low=0.4, high=0.8), macro_f1=Interval(value=0.55),
    per_class=(
        ClassResult(name="free", n=12, groups=12, recall=Interval(value=0.9, low=0.6, high=1.0)),
        ClassResult(name="hole", n=9, groups=3, recall=Interval(value=0.4, low=0.1, high=0.9)),
        ClassResult(name="fray", n=0, recall=Interval(value=math.nan)),
    ),
)  # fmt: skip


def test_where_nothing_is_found_the_class_result_leads() -> None:
    report = ReportData(title="x", test=TESTED, operating_point=BLIND)
    (main, _), (second, half) = words.headline(report)
    assert main.startswith("It names the right class for 61 of 100")
    assert second == "At the wanted false-alarm rate of at most 1 % it finds none of 9 damaged test samples."
    assert "half of the held-out defects are found is 38.2 %" in half
    page = page_of(report)
    assert "At the wanted rate nothing is found." in page
    assert "40 held-out sound samples cannot show 1 %" in page
    assert page.index(">Balanced accuracy<") < page.index(">Damage found<")
    judged = replace(report, chosen=ChosenMetric(name="recall_at_fpr", title="recall"))
    page = page_of(judged)
    assert page.index(">Damage found<") < page.index(">Balanced accuracy<")


def test_a_threshold_of_the_test_samples_is_called_optimistic() -> None:
    page = page_of(ReportData(title="x", test=TESTED, operating_point=replace(BLIND, in_sample=True)))
    assert "chosen on the test samples themselves" in page
    assert "then frozen" not in page


def test_groups_and_classes_without_test_samples_are_named() -> None:
    report = ReportData(title="x", test=TESTED, operating_point=BLIND)
    page = page_of(report)
    assert page.count("No test sample of ‘fray’: not judged.") == 1
    assert "no test sample: not judged" in page
    assert "intervals are counted by group" in page
    assert "on 21 real test samples (counted by group: 15)" in page
    assert "9 test samples (counted by group: 3)" in words.weakest_sentence(report)
    alone = replace(TESTED, per_class=TESTED.per_class[:1], groups=21)
    assert "counted by group" not in page_of(ReportData(title="x", test=alone))


def test_the_chosen_metric_is_in_the_head_and_its_figure_first() -> None:
    chosen = ChosenMetric(
        name="macro_f1", title="macro-F1", baseline=0.41, planned=0.5, test=Interval(value=0.55, low=0.3, high=0.7)
    )
    point = replace(BLIND, recall=Interval(value=0.5, low=0.2))
    report = ReportData(title="x", test=TESTED, operating_point=point, chosen=chosen)
    page = page_of(report)
    assert (
        "The chosen metric, macro-F1: 41.0 % without the plan and 50.0 % with it on development data "
        "(cross-validated); 55.0 % on test (30.0–70.0)."
    ) in page
    assert page.index(">Macro F1<") < page.index(">Damage found<") < page.index(">Balanced accuracy<")
    assert "not judged on test" in words.chosen_sentence(replace(report, chosen=replace(chosen, test=None)))
    rare = replace(chosen, name="rare_average_precision")
    page = page_of(replace(report, chosen=rare))
    assert page.index(">Rare classes: AP<") < page.index(">Damage found<")


def test_a_missing_side_and_contradicted_labels_are_told() -> None:
    error = LabelError(exhibit=Exhibit(name="a", text="a"), given="x", suggested="y", probability=0.8)
    report = ReportData(title="x", no_point="Not judged: no sound.", contradicted="2.0 % (not proven).")
    page = page_of(replace(report, label_errors=(error,)))
    assert "Not judged: no sound." in page
    assert "2.0 % (not proven). A model fitted on the rest of the data contradicts these labels" in page
