"""The sentences of ``scarce evaluate`` beside the scores."""

from __future__ import annotations

from scarce.cli._beside import beside
from scarce.evaluate.operating_point import operating_point


def test_the_p_of_accuracy_stands_beside_accuracy_and_differences_are_points() -> None:
    differences = {
        "balanced_accuracy": {"value": 0.026, "low": -0.14, "high": 0.196},
        "accuracy": {"value": -0.107, "low": -0.2, "high": 0.01},
    }
    other = {"first": "m", "differences": differences, "p": 0.136, "verdict": "no evidence", "only_first": 19,
             "only_second": 10}  # fmt: skip
    (said,) = beside({"compare": other})
    assert "balanced accuracy +2.6 points (-14.0 to +19.6): no evidence; accuracy -10.7 points" in said
    assert said.endswith("McNemar p = 0.136.")
    assert "%" not in said


def test_nothing_lost_is_no_negative_loss_and_the_field_is_told_in_whole_sentences() -> None:
    curves = {"noise": [{"lost": -0.012}], "blur": [{"lost": 0.05}, {"lost": 0.25}]}
    field = {"covered": 0.94, "field": 150, "verdict": "not shown"}
    whole, lost = beside({"variety": field, "robustness": {"curves": curves}})
    assert lost == "Accuracy lost at worst: noise none, blur 25.0 points."
    assert whole.endswith("Whether the test set is as varied as the field is not shown: take more field samples.")


def test_costs_are_told_with_their_intervals() -> None:
    (said,) = beside({"costs": {"ways": {"likeliest class": {"value": 120.0, "low": 80.0, "high": 170.0}}}})
    assert said == "Costs of 1,000 samples, by the way to answer: likeliest class 120 (80 to 170)."


def test_shares_have_a_space_before_their_sign() -> None:
    import numpy as np

    y = np.array([False] * 50 + [True] * 10)
    said = operating_point(y, np.linspace(0, 1, 60), threshold=0.5).why()
    assert " %" in said
    assert not [word for word in said.split() if word[0].isdigit() and word.endswith("%")]
