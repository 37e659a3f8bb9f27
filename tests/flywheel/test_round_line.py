"""Rounds of a production line: feedback and answers come in, people are asked, an alarm starts a round at once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from scarce.cli import main
from scarce.flywheel import _intake as intake
from scarce.flywheel.feedback import give
from scarce.flywheel.kpi import measure
from scarce.flywheel.plan import Steady, plan
from scarce.flywheel.round import Turn, turn
from scarce.lineage import digest
from scarce.loop.answering import Answer, say
from scarce.project import Project
from scarce.state import DRIFT

if TYPE_CHECKING:
    from conftest import Line


pytestmark = pytest.mark.slow
Opened = Callable[[], Project]


@pytest.fixture
def quick(line: Line) -> Line:
    """The line with settings of a few seconds; nothing of it was trained in a round."""
    for key, value in (("folds", "2"), ("repeats", "1"), ("trainer", '"linear_probe"'), ("retrain_after", "25"),
                       ("labels_per_week", "6")):  # fmt: skip
        line.set(key, value)
    return line


def pictures(line: Line, label: str, n: int) -> list[bytes]:
    return [content for content, shown in line.new if shown == label][:n]


def answer_all(project: Project, truth: dict[str, str]) -> int:
    """Let somebody answer all questions for a label, by what the pictures show."""
    ds, rows = project.dataset(), project.state.queue()
    hashes = dict(zip(ds.ids.tolist(), ds.table["content_hash"].to_pylist(), strict=True))
    say(project, [Answer(number=row["number"], sample=row["sample"], verdict="label", voter="ann",
                         label=truth[hashes[row["sample"]]], reason=row["reason"]) for row in rows])  # fmt: skip
    return len(rows)


def alarmed(project: Project, members: list[str], at: datetime, *, camera: bool = False) -> None:
    """Write down a look that found a group of unknown samples."""
    told = {"name": "new class", "kind": "new class", "said": f"{len(members)} unknown samples lie together", "p": 1e-4,
            "adjusted": 1e-3, "alarm": True}  # fmt: skip
    group = {"size": len(members), "members": members, "before": 0, "p": 1e-4, "nearest": "Bag", "away": 4.0,
             "spread": 0.5, "sheet": None, "others_too": camera}  # fmt: skip
    text = at.isoformat(timespec="milliseconds")
    project.state.add_ledger_rows(
        [{"decision": "look for drift", "verdict": "alarm", "kept": False, "champion": "x", "since": text,
          "until": text, "tests": [told], "groups": [group], "at": text}], run=DRIFT,
    )  # fmt: skip


def test_people_are_asked_within_the_budget_and_answers_come_back(quick: Line, open_line: Opened) -> None:
    contents = [*pictures(quick, "Bag", 12), *pictures(quick, "Coat", 12), *pictures(quick, "Trouser", 4)]
    quick.answer(contents)
    project = open_line()
    found = turn(project)
    assert found.state == "waiting", found.why
    assert found.waiting == found.steps["ask"]["asked"] == 6
    assert found.steps["ask"]["left"] == 0
    versions = len(project.log())
    again = turn(open_line())
    assert (again.state, again.number, again.waiting) == ("waiting", None, 6)
    assert len(project.log()) == versions

    assert answer_all(project, quick.truth) == 6
    after = turn(open_line())
    assert after.collected["labels"] == 6
    assert (after.state, after.waiting, after.new) == ("waiting", 0, found.new + 5)  # one of six was drawn: test
    ds = project.dataset()
    drawn = ds["source"] == "production"
    assert {"test", "train"} >= set(ds["split"][drawn].tolist())


def written(project: Project) -> tuple[Any, ...]:
    """Return how much was ever written."""
    state = project.state
    return len(project.log()), len(state.rounds("turn")), len(state.ledger("*")), len(state.queue()), state.test_looks()


def test_where_nobody_can_be_asked_no_round_begins(quick: Line, open_line: Opened) -> None:
    quick.answer(pictures(quick, "Bag", 12))
    shutil.rmtree(quick.folder / ".scarce" / "production")  # as without keep_images
    project = open_line()
    assert turn(project).number == 1  # no round has seen the data yet
    before = written(project)
    for _ in range(2):
        found = turn(open_line())
        assert (found.state, found.exit_code, found.number) == ("nothing new", 0, None)
        assert any(line.startswith("Nobody is asked: Of 12 production samples not one was kept.") for line in found.why)
    assert written(project) == before


def test_whether_asking_is_due_is_told_by_the_budget_of_the_draw(
    quick: Line, open_line: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm = Steady(stable=True, why=("calm",))
    monkeypatch.setattr("scarce.flywheel.plan.steadiness", lambda *_, **__: calm)  # the budget is that of the month
    quick.set("labels_per_month", "4")
    quick.answer(pictures(quick, "Bag", 12))
    project = open_line()
    assert turn(project).waiting == 4
    answer_all(project, quick.truth)
    turn(open_line())
    quick.answer(pictures(quick, "Coat", 6))
    before = written(project)
    found = turn(open_line())
    assert (found.state, found.number) == ("nothing new", None)
    assert any("The budget of 20" in line and "is spent: 4 of 4 labels." in line for line in found.why), found.why
    assert written(project) == before


def test_what_a_round_says_are_sentences_for_people(quick: Line, open_line: Opened) -> None:
    quick.answer(pictures(quick, "Bag", 3))
    project = open_line()
    found = turn(project)
    assert found.waiting == 3
    assert "There is less to ask about than the budget would pay for: all of it is asked about." in found.why
    answer_all(project, quick.truth)
    after = turn(open_line())
    assert any(line.startswith("Nobody is asked: There is nothing to ask about. No production") for line in after.why)
    alarmed(project, ["0" * 64], datetime.now(UTC))
    last = turn(open_line())
    assert last.why[0] == "Alarm: strange samples lie together (1 unknown samples lie together)."
    assert any(line.startswith("The samples of the alarm were not kept") for line in last.why)
    for line in (*found.why, *after.why, *last.why):
        assert "flywheel." not in line
        assert line[0].isupper() or line[0].isdigit(), line


def test_what_is_left_over_is_asked_about_in_the_next_period(quick: Line, open_line: Opened) -> None:
    quick.answer([*pictures(quick, "Bag", 12), *pictures(quick, "Coat", 12)])
    project = open_line()
    assert turn(project).waiting == 6
    assert turn(open_line()).number is None
    text = (quick.folder / "scarce.toml").read_text(encoding="utf-8")
    (quick.folder / "scarce.toml").write_text(
        text.replace("labels_per_week = 6", "labels_per_week = 9"), encoding="utf-8"
    )
    found = turn(open_line())
    assert (found.number, found.waiting) == (2, 9)


def test_people_are_asked_though_the_gate_is_shut(quick: Line, open_line: Opened) -> None:
    rules = "format = 1\nclass_minimum = {Bag = 500}\n"
    (quick.folder / "contract.toml").write_text(rules, encoding="utf-8")
    quick.answer([*pictures(quick, "Bag", 12), *pictures(quick, "Coat", 12)])
    project = open_line()
    found = turn(project)
    assert (found.state, found.waiting, found.steps["ask"]["asked"]) == ("gate", 6, 6)
    answer_all(project, quick.truth)
    after = turn(open_line())
    assert (after.state, after.collected["labels"], after.waiting) == ("gate", 6, 0)


def test_feedback_is_collected_and_trained_on(quick: Line, open_line: Opened) -> None:
    contents = [*pictures(quick, "Bag", 10), *pictures(quick, "Coat", 10), *pictures(quick, "Trouser", 10)]
    requests = quick.answer(contents)
    project = open_line()
    first = turn(project)
    assert (first.state, first.exit_code) == ("waiting", 0), first.why
    rows = [{"request": request, "label": quick.truth[digest(content)]}
            for request, content in zip(requests, contents, strict=True)]  # fmt: skip
    give(project, rows, source="cli", voter="ann")
    found = turn(open_line())
    assert found.collected["annotations"] > 0
    joined = int((project.dataset()["source"] == "production").sum())
    if found.new >= 25:
        assert found.state in {"proposed", "not provable", "refused"}
        assert found.challenger is not None
    else:  # most answers were sure and right, and are not worth a sample
        assert found.state == "waiting"
        assert found.new <= joined


def test_labels_that_are_no_class_are_told_to_a_person(quick: Line, open_line: Opened) -> None:
    (request,) = quick.answer(pictures(quick, "Sandal", 1))
    give(open_line(), [{"request": request, "label": "Sandal"}], source="cli", new_classes=True)
    found = turn(open_line())
    assert (found.wanted, found.exit_code) == (("Sandal",), 1)
    assert any("--new-classes" in line for line in found.why)


def test_another_camera_is_told_and_nobody_is_asked_beside_the_budget(quick: Line, open_line: Opened) -> None:
    sandals = pictures(quick, "Sandal", 12)
    quick.answer(sandals)
    project = open_line()
    turn(project)
    before = len(project.state.queue())
    alarmed(project, [digest(content) for content in sandals], datetime.now(UTC), camera=True)
    found = turn(open_line())
    assert any("another camera or light" in line for line in found.why)
    assert [row["kind"] for row in found.alarms] == ["new class"]
    assert (found.waiting, len(project.state.queue())) == (before, before)


def test_status_and_round_say_the_same_about_an_alarm_of_the_camera(quick: Line, open_line: Opened) -> None:
    quick.answer(pictures(quick, "Bag", 6))
    project = open_line()
    turn(project)
    for row in project.state.queue():
        project.state.settle([row["number"]])
    calm = plan(project, measure(project)).next
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    test = {"name": "brightness", "kind": "input", "said": "median 0.2 before, 0.6 now", "p": 1e-4, "adjusted": 1e-3,
            "alarm": True}  # fmt: skip
    project.state.add_ledger_rows(
        [{"decision": "look for drift", "verdict": "alarm", "kept": False, "since": at, "until": at, "tests": [test],
          "champion": project.state.aliases()["champion"], "groups": [], "at": at}], run=DRIFT,
    )  # fmt: skip
    step = plan(project, measure(project)).next
    assert step.command == f"scarce drift {project.folder}"
    found = turn(open_line())
    assert found.exit_code == 1
    assert step.why == " ".join(found.why[:2])
    assert found.why[0] == "Alarm: samples look different (brightness: median 0.2 before, 0.6 now)."
    assert plan(project, measure(project)).next == calm  # told once; the alarm stays among the last ones


def test_a_new_class_is_asked_about_after_a_round_that_trained(line: Line, open_line: Opened) -> None:
    for key, value in (("folds", "2"), ("repeats", "1"), ("trainer", '"linear_probe"'), ("retrain_after", "1")):
        line.set(key, value)
    sandals = pictures(line, "Sandal", 12)
    line.answer(sandals)
    project = open_line()
    (request,) = line.answer(pictures(line, "Trouser", 1))
    give(project, [{"request": request, "label": "Bag"}], source="cli", voter="ann")
    alarmed(project, [digest(content) for content in sandals], datetime.now(UTC))
    found = turn(project)
    assert "grow" in found.steps, found.why
    after = turn(open_line())
    assert after.steps["groups"]["asked"] == 12
    assert turn(open_line()).alarms == ()


def test_an_alarm_of_a_new_class_starts_a_round_at_once(
    quick: Line, open_line: Opened, capsys: pytest.CaptureFixture[str]
) -> None:
    sandals = pictures(quick, "Sandal", 12)
    quick.answer(sandals)
    project = open_line()
    turn(project)  # what was there before
    for row in project.state.queue():
        project.state.settle([row["number"]])
    members = [digest(content) for content in sandals]
    alarmed(project, members, datetime.now(UTC))
    capsys.readouterr()
    assert main(["round", str(quick.folder), "--json", "--quiet"]) == 1
    body = json.loads(capsys.readouterr().out)
    assert [row["kind"] for row in body["alarms"]] == ["new class"]
    waiting = [row for row in project.state.queue() if row["reason"].startswith(intake.GROUP)]
    assert len(waiting) == body["steps"]["groups"]["asked"] > 6  # beside the budget, which is spent
    assert {row["priority"] for row in waiting} == {1.0}
    told: Turn = turn(open_line())
    assert (told.alarms, told.exit_code, told.number) == ((), 0, None)  # the alarm is told once

    table = quick.folder / "answers.csv"
    quick.fill(project, table, quick.truth.__getitem__, column="answer")
    assert main(["label", "import", str(quick.folder), "--csv", str(table), "--quiet"]) == 2
    assert "--new-classes" in capsys.readouterr().err
    assert main(["label", "import", str(quick.folder), "--csv", str(table), "--new-classes", "--quiet"]) == 0
    assert "Sandal" in open_line().dataset().schema.classes
    found = turn(open_line())
    assert 0 < found.new < 92 + 25
    assert found.challenger is not None, found.why
    assert any("after an alarm of a new class" in line for line in found.why)
    card: dict[str, Any] = json.loads((project.models / found.challenger / "card.json").read_text())
    assert "Sandal" in card["classes"]
