from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scarce import augment
from scarce.cli import main
from scarce.cli._group import load
from scarce.flywheel.feedback import give
from scarce.lineage import digest
from scarce.project import Project

Call = Callable[..., Any]


def text_of(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["status", str(folder)]) == 0
    return capsys.readouterr().out


def parsed(command: str) -> None:
    """Read a command as the shell and scarce would, without running it."""
    page, *rest = shlex.split(command)[1:]
    found: Any = load(page)
    while rest and hasattr(found, "commands"):
        found = found.commands[rest.pop(0)]
    found.make_context(page, rest)


def log(folder: Path, many: int = 40) -> list[str]:
    """Log answers of a champion that is right three times in four, half of them confirmed after a random draw."""
    classes = ("Bag", "Coat", "Trouser")
    with Project.open(folder) as project:
        rows: list[dict[str, Any]] = [
            {"request": digest("r", str(n)), "sample": digest("s", str(n)), "model": "m", "served_as": "champion",
             "label": classes[n % 3], "probability": 0.9, "verdict": "ask" if n % 10 == 0 else None,
             "inclusion": 0.5 if n % 2 else None, "body": {}} for n in range(many)
        ]  # fmt: skip
        project.state.log_predictions(rows)
        project.state.set_alias("champion", "m", version="v1")
        give(project, [{"request": row["request"], "label": classes[(n + (n % 4 == 0)) % 3]}
                       for n, row in enumerate(rows)], source="http")  # fmt: skip
    return [str(row["request"]) for row in rows]


def test_a_new_project_says_what_comes_first(project: Path, call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    body = call("status", project)
    assert body["plan"]["phase"] == "initial model"
    assert body["plan"]["next"]["command"] == f"scarce split {project}"
    assert (body["champion"], body["promotions"], body["alarms"], body["state_lost"]) == (None, [], [], False)
    assert body["kpis"] == {"weeks": [], "months": [], "all": None, "untold": {"open": 0, "unsure": 0}}
    parsed(body["plan"]["next"]["command"])
    text = text_of(project, capsys)
    assert "Phase: initial model." in text
    assert f"  scarce split {project}" in text
    assert "to judge" in text


def test_an_empty_project_says_add(tmp_path: Path, call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "my photos"
    main(["init", str(folder), "--quiet"])
    capsys.readouterr()
    body = call("status", folder)
    parsed(body["plan"]["next"]["command"])
    assert "Phase: initial data. There is no data yet." in text_of(folder, capsys)


def test_production_is_shown_with_intervals_and_what_was_left_out(
    project: Path, call: Call, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    log(project)
    body = call("status", project)
    whole = body["kpis"]["all"]
    assert (whole["answered"], whole["labels_spent"], whole["drawn"], whole["left_out"]) == (40, 40, 20, 20)
    assert whole["to_person"]["value"] == 0.1
    assert whole["accuracy"]["value"] == 1.0  # only every fourth is wrong, and none of those was drawn
    assert whole["accuracy"]["low"] == pytest.approx(0.8316, abs=1e-3)
    assert body["kpis"]["weeks"][-1]["period"].startswith("20")
    assert body["champion"]["target"] == "m"
    parsed(body["plan"]["next"]["command"])
    monkeypatch.setenv("COLUMNS", "80")
    text = text_of(project, capsys)
    assert "100 [83-100]" in text
    assert "20 confirmed answers were not drawn at random and are left out." in text
    table = text[text.index("period") : text.index("In %")]
    assert max(map(len, table.splitlines())) <= 80


def test_made_rows_are_counted_by_class_in_status_and_diff(
    project: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    call("split", project)
    with Project.open(project) as opened:
        before = opened.head
        opened.change(lambda ds: augment.run(ds, "garment", counts={"Bag": 5}), "more bags", owner="augment")
        made = int((opened.dataset()["origin"] == "augmented").sum())
    assert made > 0
    body = call("status", project)
    assert body["origins"]["Bag"] == {"real": 16, "augmented": made, "synthetic": 0}
    assert body["origins"]["Coat"] == {"real": 24, "augmented": 0, "synthetic": 0}
    assert "augmented" in text_of(project, capsys)
    grown = call("diff", before, "--project", project)["grown"]
    assert grown == {"Bag": {"augmented": made}}
    assert main(["diff", str(before), "--project", str(project)]) == 0
    assert "grown" in capsys.readouterr().out


def test_a_lost_state_is_told(project: Path, call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    for place in (project / ".scarce").glob("state.db*"):
        place.unlink()
    assert call("status", project)["state_lost"] is True
    assert "gone: what people said" in text_of(project, capsys)
    (project / ".scarce" / "state.db").write_bytes(b"no database at all" * 100)
    assert main(["status", str(project), "--json"]) == 2
    shown = json.loads(capsys.readouterr().out)
    assert "state" in shown["error"]["message"]


def test_the_page_draws_the_weeks_and_needs_nothing_else(project: Path, call: Call, tmp_path: Path) -> None:
    log(project)
    with Project.open(project) as opened:
        old = opened.state.predictions()
        opened.state.log_predictions([
            {**{key: row[key] for key in row if key != "number"}, "request": f"{row['request']}-old",
             "at": "2026-03-02T10:00:00.000+00:00"} for row in old
        ])  # fmt: skip
    body = call("status", project, "--page", tmp_path / "p.html")
    text = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert body["page"] == str(tmp_path / "p.html")
    assert "26-W10" in text
    assert "<svg" in text
    assert "100.0" in text
    assert "src=" not in text
    assert "http" not in text.replace("http-equiv", "")
    empty = call("status", project, "--page", tmp_path / "no" / "p.html")
    assert Path(empty["page"]).is_file()
