from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from scarce.cli._screen import console
from scarce.cli._summary import draw_run, interval, last_result, number, percent, points, span
from scarce.errors import ReadError


def drawn(result: dict[str, Any]) -> str:
    stream = io.StringIO()
    draw_run(console(stream), result)
    return stream.getvalue()


def test_summary_says_everything(outcome: dict[str, Any]) -> None:
    text = " ".join(drawn(outcome).split())
    for part in (
        "88.1 %", "[87.0, 89.3]", "2,000 held-out real samples", "10.0 %", "majority", "+8.1", "[+6.0, +10.0]",
        "87.7 %",
        "rebalance.balanced_softmax", "+4.1", "[+2.1, +6.1]", "helped*", "kept", "not with the final network",
        "points of macro-F1", "synthesize: no class is known to be sound", "94.0 % of 150 defects", "at least 89.0 %",
        "0.8 % false alarms among 900 sound parts", "beyond every score", "looked at 3 times", "Note: a note", "r.html",
        "3 min 25 s",
    ):  # fmt: skip
        assert part in text, part
    assert "\x1b" not in text
    assert "[bold]" in text  # a name is no markup


def test_without_a_normal_class_it_says_so(outcome: dict[str, Any]) -> None:
    assert "--normal" in drawn({**outcome, "operating_point": None})


def test_why_there_is_no_operating_point(outcome: dict[str, Any]) -> None:
    rows = {"free": {"n": 0}, "hole": {"n": 4}}
    bare = {**outcome, "operating_point": None, "normal_classes": ["free"]}
    text = drawn({**bare, "test": {**outcome["test"], "per_class": rows}})
    assert "the test has no sound sample" in text
    assert "--normal" not in text
    rows = {"free": {"n": 5}, "hole": {"n": 0}}
    assert "the test has no defective sample" in drawn({**bare, "test": {**outcome["test"], "per_class": rows}})


def test_nothing_found_at_the_wanted_rate(outcome: dict[str, Any]) -> None:
    blind = {**outcome["operating_point"], "recall": 0.0, "half_found_at": 0.382, "false_positive_rate": 0.01}
    blind |= {"rate_resolved": False, "held_out_normals": 40}
    text = " ".join(drawn({**outcome, "operating_point": blind}).split())
    assert "at the wanted false-alarm rate of 1 % none of 150 defects is found" in text
    assert "40 held-out sound samples cannot show 1 %" in text
    assert "found from 38.2 % false alarms on" in text


def test_what_was_left_out_and_how_it_was_counted(outcome: dict[str, Any]) -> None:
    rows = {"free": {"n": 5}, "fray": {"n": 0}, "crack[b]": {"n": 0}}
    test = {**outcome["test"], "per_class": rows, "groups": 300}
    reasons = {"empty": 1, "broken": 2, **{f"r{index}": 1 for index in range(5)}}
    point = {**outcome["operating_point"], "defect_groups": 30}
    text = " ".join(drawn({**outcome, "test": test, "set_aside": reasons, "operating_point": point}).split())
    assert "8 samples set aside, none deleted: 2 broken, 1 empty" in text
    assert "2 for other reasons" in text
    assert "No test sample of fray, crack[b]: not judged." in text
    assert "2,000 test samples come from 300 groups and are counted by group" in text
    assert "one-sided 95 %; bounds counted by group" in text
    plain = drawn(outcome)
    assert "counted by group" not in plain
    assert "set aside" not in plain


@pytest.mark.parametrize(
    ("metric", "first"),
    [
        ("macro_f1", "87.7 % macro-F1 on test [86.0, 89.0]"),
        ("rare_average_precision", "33.0 % average precision of the rare classes on test"),
        ("recall_at_fpr", "94.0 % recall at the false-alarm rate on test [at least 89.0 %]"),
    ],
)
def test_the_chosen_metric_leads(outcome: dict[str, Any], metric: str, first: str) -> None:
    test = {**outcome["test"], "rare_average_precision": {"value": 0.33, "low": None, "high": None}}
    made = {"baseline": 0.4, "final": 0.5}
    text = " ".join(drawn({**outcome, "metric": metric, "test": test, "development": made}).split())
    assert first in text
    assert text.index(first) < text.index("balanced accuracy on 2,000")
    assert "on development data with the plan (40.0 % without the plan, cross-validated)" in text
    default = " ".join(drawn({**outcome, "metric": "balanced_accuracy", "development": made}).split())
    assert default.index("balanced accuracy on 2,000") < default.index("development data with the plan")
    blind = {**outcome, "metric": "recall_at_fpr", "operating_point": None}
    assert "recall at the false-alarm rate: not judged on test" in " ".join(drawn(blind).split())


def test_numbers() -> None:
    assert (percent(None), percent(0.5), points(-0.012), number(0.25)) == ("-", "50.0 %", "-1.2", "0.2500")
    assert interval({"low": None, "high": 1}) == ""
    assert span({"low": -0.01, "high": 0.02}) == "[-1.0, +2.0]"


def test_last_result(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="no run has ended"):
        last_result(tmp_path)
    for name in ("v2", "v10"):
        (tmp_path / f"{name}.json").write_text(json.dumps({"version": name}), encoding="utf-8")
    assert last_result(tmp_path) == {"version": "v10", "report": str(tmp_path / "v10.html")}
    assert last_result(tmp_path, "v2")["version"] == "v2"
    with pytest.raises(ReadError, match="v3"):
        last_result(tmp_path, "v3")
    (tmp_path / "v10.json").write_text("{", encoding="utf-8")
    with pytest.raises(ReadError, match="damaged"):
        last_result(tmp_path)
