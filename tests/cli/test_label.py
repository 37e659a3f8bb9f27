"""``scarce label`` and ``scarce review``, as a person types them."""

from __future__ import annotations

import csv
import io
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from scarce.cli import main
from scarce.cli._sitting import _preview, half_blocks
from scarce.io import read
from scarce.loop import asking
from scarce.project import Project

if TYPE_CHECKING:
    from conftest import Hidden


def lines(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def test_answers_line_by_line_and_again_where_it_stopped(
    hidden: Hidden, call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = hidden.project.folder
    lines("2\nBag\nnonsense\n:tro\n-\n1\nu\nx\n\nq\n", monkeypatch)
    got = call("label", folder, "--initial", "8", "--voter", "anna")
    assert (got["waiting"], got["stopped"]) == (3, "")
    (one,) = got["rounds"]
    assert (one["answered"], one["unsure"], one["by"]) == (3, 2, {"anna": 5})
    said = [(row["label"], (row["note"] or "").partition(";")[0]) for row in hidden.project.state.annotations()]
    assert said == [("Trouser", "label"), ("Bag", "label"), ("Trouser", "label"), (None, "undo"),
                    ("T-shirt/top", "label"), (None, "unsure"), (None, "set aside")]  # fmt: skip
    assert all(row["seconds"] is not None for row in hidden.project.state.annotations() if row["label"])
    lines("1\n2\n3\n", monkeypatch)
    end = call("label", "session", folder, "--initial", "8", "--rounds", "1", "--budget", "4")
    assert end["waiting"] == 4, "the next round waits, as nobody is there to answer"
    assert end["rounds"][0]["after"]["labels"] == 6
    ds = hidden.project.dataset()
    assert int((ds["label_source"] == "human").sum()) == 6
    assert int((~ds["keep"].astype(bool)).sum()) == 1
    assert [item["status"] for item in call("label", "history", folder)["rounds"]] == ["done", "open"]


def test_a_table_that_came_in_shows_the_rounds_that_it_answers(
    hidden: Hidden, call: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project, table = hidden.project, tmp_path / "q.csv"

    def come_in(wanted: Callable[[str], bool]) -> str:
        asking.write_questions(project, project.dataset(), table, (asking.LABEL,))
        with table.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if wanted(row["reason"])]
        with table.open("w", encoding="utf-8", newline="") as file:
            out = csv.DictWriter(file, asking.HEADS)
            out.writeheader()
            out.writerows({**row, "new_label": hidden.truth[row["sample"]]} for row in rows)
        assert main(["label", "import", str(project.folder), "--csv", str(table), "--voter", "ben"]) == 0
        return capsys.readouterr().out

    def ask(count: int) -> None:
        free = set(hidden.truth) - {row["sample"] for row in (*project.state.queue(), *project.state.queue("done"))}
        asking.put(project, [{"sample": one, "reason": "label: production, priority: like none", "priority": 0.5,
                              "version": project.head} for one in sorted(free)[:count]])  # fmt: skip

    call("label", "export", project.folder, "--csv", table, "--initial", "8")
    ask(5)
    told = come_in(lambda _: True)
    assert "13 answers" in told
    assert "8/8" in told
    assert "5 of the 13 answers are to questions that no round asked" in told
    ask(4)
    told = come_in(lambda reason: "production" in reason)
    assert "4 answers" in told
    assert "8/8" not in told  # that round was over before


def test_tables_go_out_and_come_in(hidden: Hidden, call: Callable[..., Any], tmp_path: Path) -> None:
    folder, table = hidden.project.folder, tmp_path / "q.csv"
    assert call("label", "export", folder, "--csv", table, "--initial", "30")["questions"] == 30
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with table.open("w", encoding="utf-8", newline="") as file:
        out = csv.DictWriter(file, asking.HEADS)
        out.writeheader()
        out.writerows({**row, "new_label": hidden.truth[row["sample"]]} for row in rows)
    got = call("label", "import", folder, "--csv", table, "--voter", "ben")
    assert (got["answers"], got["labels"], got["waiting"], got["version"]) == (30, 30, 0, "v2")
    assert got["rounds"][0]["after"]["judged_on"] == "val"
    assert call("label", "import", folder, "--csv", table)["answers"] == 0
    call("label", "export", folder, code=2)
    call("label", "export", folder, "--csv", table, "--page", tmp_path / "x.html", code=2)
    call("label", "export", folder, "--csv", table, "--budget", "3")
    text = table.read_text(encoding="utf-8").splitlines()
    number, sample = text[1].split(",")[:2]
    table.write_text(f"number,sample,new_label\n{number},{sample},Trousers\n", encoding="utf-8")
    got = call("label", "import", folder, "--csv", table, code=2)
    assert "line 2 names 'Trousers', which is no class" in got["error"]["message"]


def test_label_studio_without_token_or_server(
    hidden: Hidden, call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = hidden.project.folder
    monkeypatch.delenv("LABEL_STUDIO_TOKEN", raising=False)
    got = call("label", "export", folder, "--label-studio", "http://127.0.0.1:9", "--initial", "3", code=2)
    assert "LABEL_STUDIO_TOKEN is not set" in got["error"]["message"]
    monkeypatch.setenv("MY_TOKEN", "x")
    got = call("label", "export", folder, "--label-studio", "nonsense", "--token-env", "MY_TOKEN", code=2)
    assert "no address of a server" in got["error"]["message"]


def test_review_by_lines_and_by_page(
    hidden: Hidden, call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    project = hidden.project
    val = [str(name) for name in project.dataset().ids[project.dataset()["split"] == "val"][:3]]
    found = [{"level": "sample", "members": [name], "score": 0.9 - place / 10,
              "why": 'more likely "Bag" (probability 0.91)'} for place, name in enumerate(val)]  # fmt: skip
    project.change(lambda ds: ds.with_findings("label_error", found), "findings")
    page = tmp_path / "review.html"
    got = call("review", project.folder, "--page", page)
    assert (got["new"]["label_error"], got["waiting"]) == (3, 3)
    assert page.stat().st_size < 5_000_000
    lines("4\n\n", monkeypatch)
    got = call("review", project.folder, "--voter", "anna")
    assert (got["waiting"], got["version"]) == (1, "v3")
    assert sum(item["right"] + item["relabeled"] for item in got["results"]) == 2
    ds = project.dataset()
    assert ds.table["label"][int(ds.rows_of([val[0]])[0])].as_py() == "Bag"
    assert call("review", project.folder, "--results")["results"] == got["results"]
    assert call("review", project.folder, "--kind", "nonsense", code=2)["error"]["kind"] == "UnknownNameError"


@pytest.mark.slow
def test_a_terminal_shows_the_picture_and_ctrl_c_loses_nothing(hidden: Hidden) -> None:
    """A real pseudo-terminal: one key, one undo, another key, then Ctrl-C."""
    command = [sys.executable, "-W", "ignore", "-m", "scarce", "label", str(hidden.project.folder), "--initial", "5"]
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm-256color", COLORTERM="truecolor", COLUMNS="80", LINES="50")
        os.execv(sys.executable, command)
    shown = b""

    def until(mark: bytes) -> None:
        nonlocal shown
        end = time.monotonic() + 120
        while mark not in shown:
            assert time.monotonic() < end, shown[-500:]
            if select.select([terminal], [], [], 1)[0]:
                shown += os.read(terminal, 65536)

    until(b"5 waiting")
    until(b"type :name")
    assert "\N{UPPER HALF BLOCK}".encode() in shown
    for key, mark in ((b"2", b"4 waiting"), (b"-", b"taken back"), (b"4", b"Bag"), (b"3", b"3 waiting")):
        shown = b""
        os.write(terminal, key)
        until(mark)
    until(b"type :name")
    os.write(terminal, b"\x03")
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 130
    with Project.open(hidden.project.folder) as project:
        labels = [row["label"] for row in project.state.annotations()]
        assert labels == ["Trouser", None, "Bag", "Pullover"]
        assert int((project.dataset()["label_source"] == "human").sum()) == 2


def test_a_row_of_a_table_is_shown_by_its_values(tmp_path: Path) -> None:
    (tmp_path / "parts.csv").write_text("width,weight,kind\n1.5,20,good\n1.7,30,good\n9.5,22,bent\n", "utf-8")
    ds = read(tmp_path / "parts.csv", label="kind")
    row = int(np.flatnonzero(ds["label"] == ds.schema.classes.index("bent"))[0])
    shown = str(_preview(SimpleNamespace(ds=ds), SimpleNamespace(sample=str(ds.ids[row])), 80))  # type: ignore[arg-type]
    assert "width: 9.5" in shown
    assert "weight: 22" in shown
    assert "bent" not in shown, "the answer is not given away"


def test_pictures_as_half_blocks() -> None:
    picture = np.array([[0, 255], [255, 0]], np.uint8)
    text = half_blocks(picture)
    assert text.plain == "\N{UPPER HALF BLOCK}\N{UPPER HALF BLOCK}\n"
    assert [str(span.style) for span in text.spans] == ["#000000 on #ffffff", "#ffffff on #000000"]
    assert half_blocks(np.zeros((4, 3, 3), np.uint8)).plain.count("\n") == 2


@pytest.mark.slow
def test_serving_ends_with_ctrl_c(hidden: Hidden) -> None:
    command = [sys.executable, "-W", "ignore", "-m", "scarce", "label", "serve-studio", str(hidden.project.folder)]
    process = subprocess.Popen([*command, "--port", "0"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert "Serving v1 at http://127.0.0.1:" in process.stdout.readline()
    process.send_signal(2)
    assert process.wait(60) == 0


def test_help_names_the_parts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["label", "--help"]) == 0
    shown = capsys.readouterr().out
    for word in ("session", "history", "export", "import", "serve-studio"):
        assert word in shown
