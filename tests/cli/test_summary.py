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
