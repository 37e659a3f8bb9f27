"""Sentences and cells of the page of a look that could be misread."""

from __future__ import annotations

import re

from scarce.report import doubt, look_parts
from scarce.report.model import Interval, OperatingPoint, ReportData

POINT = {
    "defects": 72, "defect_groups": 72, "provable_recall": 0.96, "more_defects": {"0.99": 9}, "at_detection_rate": None,
    "per_class": {"dent": {"n": 12, "caught": 9, "recall": 0.75, "low": 0.473}},
}  # fmt: skip


def test_a_one_sided_bound_is_no_interval() -> None:
    point = OperatingPoint(recall=Interval(value=0.9, low=0.8), false_alarms=Interval(value=0.01, high=0.05))
    page = look_parts.operating({"operating_point": POINT}, ReportData(title="t", operating_point=point))
    assert "at least 47.3" in page
    assert "47.3\N{EN DASH}75.0" not in page
    left, width = map(float, re.findall(r'<rect x="([\d.]+)" y="7" width="([\d.]+)"', page)[0])
    axis = look_parts.SHARE
    assert abs(left - axis(0.473)) < 0.1
    assert abs(left + width - axis(1.0)) < 0.2, "all that is left possible"


def test_the_verdict_of_a_comparison_names_its_score() -> None:
    differences = {"balanced_accuracy": {"first": 0.8, "second": 0.9, "value": 0.1, "low": 0.02, "high": 0.18}}
    found = {"differences": differences, "verdict": "better", "first": "v1", "only_second": 16, "only_first": 6,
             "p": 0.0525, "groups": 172}  # fmt: skip
    page = str(look_parts.compare({"compare": found}))
    assert "By balanced accuracy this model is better than v1. By accuracy, 16 samples only this one gets right" in page
    other = str(look_parts.compare({"compare": {**found, "verdict": "no evidence"}}))
    assert "By balanced accuracy this test set cannot tell the two apart: v1." in other


def test_the_gap_between_training_and_held_back_is_drawn_and_told() -> None:
    history = [{"epoch": epoch, "loss": 1 / epoch, "balanced_accuracy": 0.6, "training_balanced_accuracy": high}
               for epoch, high in ((1, 0.62), (2, 0.9))]  # fmt: skip
    clean = {"accuracy": 0.6, "low": 0.5, "high": 0.7}
    found = {"n": 9, "clean": clean, "curves": {}, "history": history, "augment": "light"}
    page = str(look_parts.robustness({"robustness": found}))
    assert "Gap between training and held-back" in page
    assert "2: 30" in page
    assert "was right on 90.0\N{NO-BREAK SPACE}% of its training samples" in page
    assert "a gap of +30.0 points" in page
    bare = [{"epoch": epoch, "loss": 1.0, "balanced_accuracy": 0.6} for epoch in (1, 2)]
    assert "Gap" not in str(look_parts.robustness({"robustness": {**found, "history": bare}}))


def test_what_detectors_were_tried_on_is_a_sentence() -> None:
    row = {"auroc": 0.9, "fpr95": 0.1, "cost95": 0.0}
    stored = {"detector": "knn", "threshold": 1.0, "kept": 0.99, "chosen_on": "50 samples held back from training",
              "known_called_unknown": 0.0, "low": 0.0, "high": 0.1, "accuracy": 1.0,
              "accuracy_passed": 1.0}  # fmt: skip
    for tried, said in (("made from held-back rows: x", "Tried on samples made from held-back rows: x."),
                        ("given", "Tried on the foreign samples that were given to the training.")):  # fmt: skip
        body = {"out_of_distribution": {"stored": {**stored, "tried_on": tried}, "foreign": 0, "tried": {"knn": row}}}
        assert said in str(doubt.unknown(body))
