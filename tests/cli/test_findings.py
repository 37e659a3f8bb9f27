from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scarce.cli import main
from scarce.cli._findings import Names, draw_findings, told_once
from scarce.cli._screen import Tail, console
from scarce.cli._screen import table as screen_table

Call = Callable[..., Any]


def row(check: str, level: str, members: list[str], score: float, why: str = "") -> dict[str, Any]:
    return {"check": check, "level": level, "members": members, "score": score, "why": why}


@pytest.fixture
def even(photos: Path, tmp_path: Path) -> Path:
    """Sixteen good pictures of each class."""
    for folder in photos.iterdir():
        for path in sorted(path for path in folder.iterdir() if path.stem != "broken")[:16]:
            (tmp_path / "even" / folder.name).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, tmp_path / "even" / folder.name)
    return tmp_path / "even"


def test_even_classes_pass_the_gate(even: Path, call: Call) -> None:
    body = call("audit", even, "--only", "imbalance", "--fail-on", "warning")
    assert body["counts"] == {"imbalance": 0}
    assert [(one["level"], one["severity"]) for one in body["findings"]] == [("data", "note")]


def test_uneven_classes_do_not(photos: Path, call: Call, tmp_path: Path) -> None:
    shutil.copytree(photos, tmp_path / "few")
    for path in sorted((tmp_path / "few" / "Bag").iterdir())[2:]:
        path.unlink()
    body = call("audit", tmp_path / "few", "--only", "imbalance", "--fail-on", "warning", code=1)
    assert body["counts"]["imbalance"] >= 2


def test_checks_that_did_not_run_say_so(even: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", str(even), "--only", "imbalance", "--only", "agreement"]) == 0
    shown = capsys.readouterr().out
    line = next(line for line in shown.splitlines() if line.strip().startswith("agreement"))
    assert "not run" in line
    assert "votes" in shown[shown.index(line) :]


def test_what_is_said_of_the_whole_comes_first(garments_ds: Any, capsys: pytest.CaptureFixture[str]) -> None:
    import sys

    ids = garments_ds.ids.tolist()
    found = {"label_error": [
        *(row("label_error", "sample", [ids[i]], 0.99, f"sample line {i}") for i in range(9)),
        row("label_error", "class", ["Coat", "Bag"], 0.1, "a confused pair"),
        row("label_error", "data", [], 0.05, "about 5 % of the labels are wrong"),
    ]}  # fmt: skip
    draw_findings(console(sys.stdout), found, Names(garments_ds), 3)
    shown = capsys.readouterr().out
    order = [shown.index(text) for text in ("about 5 %", "a confused pair", "sample line 0")]
    assert order == sorted(order)
    assert shown.count("sample line") == 3
    assert "6 more lines" in shown


@pytest.fixture
def garments_ds(even: Path) -> Any:
    from scarce import io

    return io.read(even)


def test_a_group_is_told_once() -> None:
    found = {
        "exact_duplicate": [row("exact_duplicate", "group", ["a", "b"], 1), row("exact_duplicate", "data", [], 0.1)],
        "near_duplicate": [
            row("near_duplicate", "group", ["b", "a"], 1), row("near_duplicate", "group", ["a", "b", "c"], 1),
        ],
        "label_conflict": [row("label_conflict", "group", ["a", "b"], 0.5)],
    }  # fmt: skip
    once = told_once(found)
    assert [len(once[name]) for name in found] == [1, 1, 1]
    assert once["near_duplicate"][0]["members"] == ["a", "b", "c"], "a larger group says more"


def test_texts_and_rows_are_shown_by_what_they_say(tmp_path: Path, call: Call) -> None:
    lines = ["text,label", *(f"the {word} number {n} of a list,{n % 2}" for n in range(30) for word in ("red", "red"))]
    (tmp_path / "said.csv").write_text("\n".join(lines), encoding="utf-8")
    body = call("audit", tmp_path / "said.csv", "--only", "exact-duplicate")
    group = next(one for one in body["findings"] if one["level"] == "group")
    assert len(group["content"]) == len(group["samples"]) == 2
    assert group["content"][0].startswith("the red number")
    cells = np.random.default_rng(0).normal(size=(60, 4)).round(3)
    cells[7] = cells[3]
    text = "\n".join(",".join(map(str, [*cell, n % 2])) for n, cell in enumerate(cells.tolist()))
    (tmp_path / "cells.csv").write_text("a,b,c,d,label\n" + text, encoding="utf-8")
    body = call("audit", tmp_path / "cells.csv", "--only", "exact-duplicate")
    group = next(one for one in body["findings"] if one["level"] == "group")
    assert f"a: {cells[3][0]:.6g}; b:" in group["content"][0]


def test_text_output_shows_the_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "How did serfdom develop in and then leave Russia , and who ended it after so long a time ?"
    lines = [f'"{text}",a', f'"{text}",b', *(f'"number {n} of many other texts",a' for n in range(20))]
    (tmp_path / "said.csv").write_text("text,label\n" + "\n".join(lines), encoding="utf-8")
    assert main(["audit", str(tmp_path / "said.csv"), "--only", "exact-duplicate"]) == 0
    shown = capsys.readouterr().out
    assert "How did serfdom" in shown
    assert "\u2026" in shown


@pytest.fixture
def asked(tmp_path: Path, call: Call) -> Path:
    """A project of texts in which one text carries two labels, audited for copies."""
    text = "How did serfdom develop in and then leave Russia , and who ended it after so long a time ?"
    lines = [f'"{text}",a', f'"{text}",b', *(f'"number {n} of many other texts",{"ab"[n % 2]}' for n in range(30))]
    (tmp_path / "said.csv").write_text("text,label\n" + "\n".join(lines), encoding="utf-8")
    call("init", tmp_path / "p", "--from", tmp_path / "said.csv")
    call("audit", tmp_path / "p", "--only", "exact-duplicate", "--only", "label-conflict")
    return tmp_path / "p"


def test_plan_and_questions_say_what_the_texts_are(
    asked: Path, tmp_path: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, table = tmp_path / "plan.json", tmp_path / "q.csv"
    body = call("clean", asked, "--dry-run", "--save", plan)
    questions = [one for one in body["actions"] if one["kind"] == "ask"]
    assert questions
    assert all("How did serfdom" in text for one in questions for text in one["content"])
    saved = json.loads(plan.read_text(encoding="utf-8"))["actions"]
    assert {len(one["files"]) - len(one["samples"]) for one in saved} == {0}
    assert any(one["files"][0].startswith("said.csv#") and "How did serfdom" in one["files"][0] for one in saved)
    before = call("clean", asked, "--ask", table)
    assert before["questions"] == 0
    assert before["proposed"] == sum(len(one["samples"]) for one in questions)
    assert main(["clean", str(asked), "--ask", str(table)]) == 0
    assert "scarce clean puts them into the queue first" in capsys.readouterr().out
    call("clean", asked, "--plan", plan)
    after = call("clean", asked, "--ask", table)
    assert (after["questions"], after["proposed"]) == (before["proposed"], 0)
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(row["content"].endswith("so long a time ?") for row in rows), "whole"


def test_blame_leaves_the_scores_of_the_audit_out(asked: Path, call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert any(one["name"].startswith("audit.") for one in call("blame", "#1", "--project", asked)["fields"])
    for words, there in ((["blame", "#1"], False), (["blame", "#1", "--all"], True)):
        assert main([*words, "--project", str(asked)]) == 0
        shown = capsys.readouterr().out
        assert ("audit.exact_duplicate" in shown) is there
        assert "said.csv#1" in shown, "values are whole"


def test_names_that_differ_at_the_end_stay_apart(capsys: pytest.CaptureFixture[str]) -> None:
    import sys

    base = "tilda_crops/foreign_matter/a_rather_long_folder_name_of_a_camera/" * 2
    rows = [(Tail([f"{base}{n}.png", f"{base}{n}_copy.png"]), "why " * 40) for n in (17, 18)]
    console(sys.stdout).print(screen_table(("samples", "why"), rows, elastic=("samples", "why")))
    shown = capsys.readouterr().out
    assert all(part in shown for part in ("17.png", "17_copy.png", "18.png", "18_copy.png"))
    assert Tail(["short.png"]).fitted(40) == "short.png"


def test_samples_of_which_the_same_is_said_share_a_line() -> None:
    found = {"table_schema": [
        row("table_schema", "data", [], 0.8, "column 'a': 2 values are far"),
        row("table_schema", "sample", ["x"], 0.8, "column 'a': 2 values are far"),
        row("table_schema", "sample", ["y"], 0.8, "column 'a': 2 values are far"),
        row("table_schema", "sample", ["x"], 0.7, "another thing"),
    ]}  # fmt: skip
    once = told_once(found)["table_schema"]
    assert [(one["level"], one["members"]) for one in once] == [("data", ["x", "y"]), ("sample", ["x"])]
    assert found["table_schema"][0]["members"] == [], "what is given stays as it is"
