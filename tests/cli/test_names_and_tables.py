"""What people read on a screen: names of samples, tables at 80 columns, reasons and warnings, on real data."""

from __future__ import annotations

import csv
import io as text_io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from scarce.cli import main
from scarce.cli._screen import table
from scarce.project import Project

Call = Callable[..., Any]


@pytest.fixture(scope="module")
def oil(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of the oil spill table with five copied rows, audited for copies."""
    source: Path = request.getfixturevalue("shared_data") / "tabular_imbalanced" / "oil_spill.csv"
    folder = tmp_path_factory.mktemp("oil")
    lines = source.read_text(encoding="utf-8").splitlines()
    (folder / "oil_spill.csv").write_text("\n".join([*lines, *lines[1:6]]) + "\n", encoding="utf-8")
    assert main(["init", str(folder / "p"), "--from", str(folder / "oil_spill.csv"), "--quiet"]) == 0
    words = ["audit", str(folder / "p"), "--only", "exact-duplicate", "--only", "missing", "--only", "blurred"]
    assert main([*words, "--quiet"]) == 0
    return folder / "p"


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main([str(word) for word in words]) == 0
    return capsys.readouterr().out


def test_rows_are_named_by_file_and_number(oil: Path, call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    body = call("audit", oil, "--only", "exact-duplicate", "--only", "missing", "--only", "dark")
    copies = [row for row in body["findings"] if row["check"] == "exact_duplicate"]
    assert min(copies[0]["samples"]).startswith("oil_spill.csv#")
    assert {name for row in copies for name in row["samples"]} == {
        f"oil_spill.csv#{row}" for row in (*range(5), *range(937, 942))
    }
    assert not [row for row in body["findings"] if row["check"] == "missing"], "nothing is missing, so nothing is said"
    assert body["skipped"]["dark"] == "it judges image, this is tabular"
    out = shown(capsys, "audit", oil, "--only", "exact-duplicate", "--only", "dark")
    assert ":!target" not in out
    for name in ("blurred", "dark"):
        assert re.search(rf"{name} +not run +it judges image, this is tabular", out)
    sample = Project.open(oil).dataset().ids[0]
    for name in ("oil_spill.csv#547", "#547", "row 547", "oil_spill.csv#547:!target"):
        found = call("blame", name, "--project", oil)
        assert found["uri"] == "oil_spill.csv#547:!target"
    assert call("blame", sample, "--project", oil)["sample"] == sample
    assert call("blame", sample[:12], "--project", oil)["sample"] == sample
    assert "oil_spill.csv#547 (" in shown(capsys, "blame", "#547", "--project", oil)
    assert main(["blame", "#5470", "--project", str(oil)]) == 2


def test_reasons_of_copies_name_files_and_tables_fit_the_screen(
    oil: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], call: Call
) -> None:
    place = tmp_path / "p"
    shutil.copytree(oil, place)
    plan = call("clean", place, "--dry-run", "--only", "merge-duplicates")
    reasons = [action["reason"] for action in plan["actions"]]
    assert len(reasons) == 5
    assert all(re.fullmatch(r"exact duplicate of oil_spill\.csv#\d+", reason) for reason in reasons)
    call("clean", place, "--only", "merge-duplicates")
    for words in (["clean", place, "--list"], ["clean", place, "--dry-run"], ["blame", "#939", "--project", place]):
        out = shown(capsys, *map(str, words))
        assert ":!target" not in out
        assert max(map(len, out.splitlines())) <= 120
    assert call("clean", place, "--list")["applied"][0]["reason"] in reasons


@pytest.mark.parametrize(("width", "cut"), [(80, True), (200, False)])
def test_elastic_columns_keep_one_line_a_row(width: int, cut: bool) -> None:
    why = "labelled 1, more likely 0 (probability 0.93); the model gives 0.04 to the label and 0.96 to the other"
    rows = [(f"a{row:06d}", "relabel", f"oil_spill.csv#{row}", why) for row in range(5)]
    stream = text_io.StringIO()
    Console(file=stream, width=width).print(table(("id", "action", "samples", "why"), rows, elastic=("samples", "why")))
    lines = [line for line in stream.getvalue().splitlines() if line.lstrip().startswith("a0")]
    assert len(lines) == 5
    assert ("…" in lines[0]) == cut
    assert (why in lines[0]) != cut


def test_tables_beside_pictures_that_were_not_read_are_named(
    shared_data: Path, tmp_path: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    source = shared_data / "fabric_defects"
    with (source / "index.csv").open(encoding="utf-8", newline="") as file:
        some = [row for row in csv.DictReader(file) if row["image"].startswith("stain_photos")][:12]
    for row in some:
        place = tmp_path / "images" / row["image"]
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / row["image"], place)
    with (tmp_path / "index.csv").open("w", encoding="utf-8", newline="") as file:
        out = csv.DictWriter(file, list(some[0]))
        out.writeheader()
        out.writerows(some)
    (tmp_path / "prices.csv").write_text("part,price\n1,2\n", encoding="utf-8")  # names no picture
    (tmp_path / "images" / "notes.json").write_text('{"camera": "A"}', encoding="utf-8")
    words = ("--only", "dark")
    for told in (
        call("audit", tmp_path / "images", *words),
        call("init", tmp_path / "p", "--from", tmp_path / "images"),
    ):
        text = " | ".join(told["warnings"])
        assert "index.csv lies beside the samples and was not read: scarce audit" in text
        assert "notes.json lies beside the samples and was not read" in text
        assert "prices.csv" not in text
    assert "index.csv lies beside" in shown(capsys, "audit", str(tmp_path / "images"), *words)
    (tmp_path / "images" / "notes.json").unlink()
    (tmp_path / "index.csv").unlink()
    (tmp_path / "images" / "stain_photos" / f"{Path(some[0]['image']).stem}.json").write_text("{}", encoding="utf-8")
    assert not [text for text in call("audit", tmp_path / "images", *words)["warnings"] if "was not read" in text]
    main(["init", str(tmp_path / "q"), "--quiet"])
    capsys.readouterr()
    (tmp_path / "images" / "notes.json").write_text('{"camera": "A"}', encoding="utf-8")
    assert main(["add", str(tmp_path / "images"), "--project", str(tmp_path / "q")]) == 0
    assert "notes.json lies beside" in capsys.readouterr().out


def test_questions_go_out_as_a_table_and_come_back_as_answers(
    oil: Path, tmp_path: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    place, asked = tmp_path / "p", tmp_path / "questions.csv"
    shutil.copytree(oil, place)
    project = Project.open(place)
    rows = project.dataset().ids[:4].tolist()
    project.state.ask([{"sample": row, "reason": "which?", "priority": 1.0, "version": project.head} for row in rows])
    assert call("clean", place, "--ask", asked)["questions"] == 4
    with asked.open(encoding="utf-8", newline="") as file:
        questions = list(csv.DictReader(file))
    assert all(re.fullmatch(r"oil_spill\.csv#\d+", row["file"]) for row in questions)
    for row, answer, label in zip(questions, ("right", "set aside", "", ""), ("", "", "1", ""), strict=True):
        row["answer"], row["new_label"] = answer, label
    with asked.open("w", encoding="utf-8", newline="") as file:
        out = csv.DictWriter(file, list(questions[0]))
        out.writeheader()
        out.writerows(questions)
    done = call("clean", place, "--answers", asked, "--voter", "kim")
    assert done["unanswered"] == 1
    after = Project.open(place).dataset()
    picked = {row["sample"]: after.rows_of([row["sample"]])[0] for row in questions}
    codes = [picked[row["sample"]] for row in questions]
    assert after.table["label_source"].to_pylist()[codes[0]] == "human"
    assert not after["keep"][codes[1]]
    assert after.table["label"].to_pylist()[codes[2]] == "1"
    assert call("clean", place, "--ask", asked)["questions"] == 1
    voters = [row["voter"] for row in after.votes.to_pylist()]
    assert json.dumps(done)
    assert set(voters) <= {"kim"}
