"""A week of a line of real garments: what is drawn, what is asked, and that no question is spent twice."""

from __future__ import annotations

import csv
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from scarce import audit, quality
from scarce.cli import main
from scarce.contract import Contract
from scarce.errors import ConfigError, ContractError, DataError, StoreError, UnknownNameError
from scarce.flywheel import draw
from scarce.flywheel._blind import draws
from scarce.flywheel.draw import ask
from scarce.flywheel.feedback import give
from scarce.flywheel.pool import pool_of
from scarce.lineage import digest
from scarce.project import Project
from scarce.provenance.reproduce import reproduce

if TYPE_CHECKING:
    from conftest import Line

Open = Callable[[], Project]
MONDAY = datetime(2026, 11, 16, 9, tzinfo=UTC)


def where(project: Project, *names: str) -> Counter[tuple[Any, ...]]:
    """Count the rows of the newest version by some columns."""
    return Counter(tuple(row[name] for name in names) for row in project.dataset().table.to_pylist())


def test_three_weeks_of_questions(line: Line, open_line: Open) -> None:
    """Each sample is in one frame; probabilities add up; what is left over is picked, never drawn; budgets hold."""
    project = open_line()
    sizes = (60, 45, 25)
    begin, seen = 0, set[str]()
    for week, size in enumerate(sizes):
        part = line.new[begin : begin + size]
        begin += size
        line.answer([content for content, _ in part])
        found = ask(project, budget=20, now=MONDAY + timedelta(weeks=week))
        audit = [row for row in found.rows if row["kind"] == "audit"]
        picks = [row for row in found.rows if row["kind"] == "pick"]
        assert (len(audit), len(picks), found.frame, found.budget.left) == (2, 18, size, 0)
        assert {row["sample"] for row in audit} <= {digest(content) for content, _ in part}
        assert sum(1 / row["inclusion"] for row in audit) == pytest.approx(size)
        assert all("more likely" not in row["reason"] for row in audit)  # nobody is led
        strange = {row["sample"] for row in project.state.predictions() if row["verdict"] == "unknown"}
        assert all(("like none" in row["reason"]) == (row["sample"] in strange) for row in picks)
        assert all(("more likely" in row["reason"]) != (row["sample"] in strange) for row in picks)
        mine = {row["sample"] for row in found.rows}
        assert not mine & seen
        seen |= mine
        again = ask(project, budget=20, now=MONDAY + timedelta(weeks=week, days=6))
        assert (again.rows, again.version, again.waiting) == ((), found.version, 20 * (week + 1))
        assert "spent: 20 of 20" in again.notes[0]
    old = {digest(content) for content, _ in line.new[: sizes[0]]}
    assert {row["sample"] for row in draws(project)[1]["rows"]} & old  # left over from the first week
    assert where(project, "source", "split", "label")["production", "test", None] == 6
    assert where(project, "source", "split", "label")["production", "pool", None] == 54
    month = ask(project, budget=100, period="month", now=MONDAY + timedelta(days=10))
    assert (month.budget.period, month.budget.spent) == ("2026-11", 100)
    assert len(month.rows) == 40
    assert {row["kind"] for row in month.rows} == {"pick"}  # nothing came since
    queue = project.state.queue()
    assert len({row["sample"] for row in queue}) == len(queue) == 100
    assert project.verify().fine
    assert reproduce(project).same


def test_the_table_of_questions_names_files_wherever_it_is_asked_for(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line.answer([content for content, _ in line.new[:20]])
    (tmp_path / "link").symlink_to(line.folder.parent)
    monkeypatch.chdir(line.folder.parent)
    for place in (line.folder, Path("p"), tmp_path / "link" / "p"):
        assert main(["queue", str(place), "--budget", "10", "--export", str(tmp_path / "asked.csv"), "--quiet"]) == 0
        with (tmp_path / "asked.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 10
        assert all(Path(row["file"]).is_absolute() for row in rows), place
        assert all(digest(Path(row["file"]).read_bytes()) == Path(row["file"]).name for row in rows)


def test_feedback_copies_and_training_pictures_are_not_asked_about(line: Line, open_line: Open) -> None:
    project = open_line()
    ds = project.dataset()
    photos = [Path(ds.sources["photos"]) / uri for uri in ds.table["uri"].to_pylist()[:12]]
    known = [place.read_bytes() for place in photos]
    twins = [line.changed(content) for content in known]
    fresh = [content for content, _ in line.new[:60]]
    requests = line.answer([*known, *twins, *fresh])
    give(project, [{"request": one, "confirm": True} for one in requests[24:44]], source="http", voter="ann")
    pool = pool_of(project)
    assert len(pool.candidates) == 72  # the pictures of the project are no production
    found = ask(project, budget=60)
    told = {digest(content) for content in fresh[:20]}
    picks = {row["sample"] for row in found.rows if row["kind"] == "pick"}
    assert not picks & {*told, *(digest(content) for content in twins)}
    assert len(picks) >= 30
    assert any("copies of known" in note for note in found.notes)
    assert found.frame == 72


def test_questions_without_an_answer_break_no_contract(line: Line, open_line: Open) -> None:
    """Nor do they count as incomplete: what only production samples have is missing in no other."""
    project = open_line()
    learned = Contract.learn(project.dataset())
    assert not {"label", "label_source"} & set(learned.completeness)
    line.answer([content for content, _ in line.new[:60]])
    ask(project, budget=20, now=MONDAY)
    ds = project.dataset()
    assert (ds["label"] < 0).sum() == 20
    assert [one.what for one in learned.check(ds) if one.rule == "completeness"] == []
    assert quality.measure(audit.run(ds, ["missing"])).parts["completeness"].value == 1.0


def test_a_rollback_leaves_no_question_without_its_sample(line: Line, open_line: Open, tmp_path: Path) -> None:
    line.answer([content for content, _ in line.new[:40]])
    line.set("audit", "0.5")
    project = open_line()
    before = str(project.head)
    found = ask(project, budget=12, now=MONDAY)
    kinds = {row["id"]: row["kind"] for row in found.rows}
    project.restore(before)
    line.answer([content for content, _ in line.new[40:60]])
    again = ask(open_line(), budget=12, now=MONDAY + timedelta(weeks=1))
    assert not {row["id"] for row in again.rows} & set(kinds)  # nothing is charged twice
    project = open_line()
    rows = {row["id"]: row for row in project.dataset().table.to_pylist()}
    for name, kind in kinds.items():
        assert (rows[name]["split"] == "test") == (kind == "audit")
        assert (rows[name]["meta.inclusion"] is not None) == (kind == "audit")
    assert line.label(project, tmp_path / "q.csv", lambda _: "Bag") == 24
    assert main(["queue", str(line.folder), "--budget", "100", "--export", str(tmp_path / "a.csv"), "--quiet"]) == 0
    assert main(["queue", str(line.folder), "--budget", "200", "--export", str(tmp_path / "b.csv"), "--quiet"]) == 0
    assert (tmp_path / "b.csv").read_text() == (tmp_path / "a.csv").read_text()  # nothing new, and what waits is there


def test_a_draw_that_the_contract_refuses_is_taken_back(line: Line, open_line: Open) -> None:
    line.answer([content for content, _ in line.new[:30]])
    rules = line.folder / "contract.toml"
    rules.write_text('format = 1\non_violation = "refuse"\nmin_per_class = 500\n', encoding="utf-8")
    project = open_line()
    head = project.head
    with pytest.raises(ContractError, match="500 promised"):
        ask(project, budget=10, now=MONDAY)
    assert (project.head, project.state.queue(), draws(project)) == (head, [], [])
    rules.unlink()
    found = ask(open_line(), budget=10, now=MONDAY)  # it cost nothing, and what came is in a frame still
    assert (found.frame, len(found.rows), found.budget.spent) == (30, 10, 10)
    assert len(draws(open_line())) == 1


def test_a_drawn_copy_of_a_training_sample_takes_it_out_of_train(line: Line, open_line: Open) -> None:
    project = open_line()
    ds = project.dataset()
    rows = np.flatnonzero(ds["split"] == "train")[:15]
    twins = [line.changed((Path(ds.sources["photos"]) / uri).read_bytes()) for uri in ds["uri"][rows]]
    line.answer(twins)
    line.set("audit", "1.0")
    found = ask(open_line(), budget=5)
    assert {row["kind"] for row in found.rows} == {"audit"}
    after = project.dataset()
    drawn = {twins_row["sample"] for twins_row in found.rows}
    for place, row in enumerate(rows):
        split = after["split"][after.rows_of([ds.ids[row]])[0]]
        assert split == ("pool" if digest(twins[place]) in drawn else "train")
    groups = {part: set(after["split_group"][after["split"] == part]) for part in ("train", "test")}
    assert not groups["train"] & groups["test"]
    assert any("5 training samples wait in the pool from now on" in note for note in found.notes)


@pytest.mark.parametrize("broken", ["commit", "put"])
def test_who_is_killed_spends_nothing_twice(
    line: Line, open_line: Open, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    line.answer([content for content, _ in line.new[:40]])
    project = open_line()

    def killed(*_: Any, **__: Any) -> None:
        raise StoreError("test", "the power failed")

    with monkeypatch.context() as patch:
        patch.setattr(Project if broken == "commit" else draw, broken, killed)
        with pytest.raises(StoreError, match="power"):
            ask(project, budget=10)
    (kept,) = draws(project)
    assert (len(kept["rows"]), project.state.queue()) == (10, [])
    later = ask(open_line(), budget=10)
    assert later.rows == ()
    project = open_line()
    assert len(draws(project)) == 1
    assert [row["sample"] for row in project.state.queue()] == [row["id"] for row in kept["rows"]]
    assert sum(count for key, count in where(project, "source").items() if key == ("production",)) == 10
    version = project.head
    assert draw.settle(project) is False
    assert project.head == version


def test_two_at_once_spend_one_budget(line: Line, open_line: Open) -> None:
    line.answer([content for content, _ in line.new[:40]])
    both = [open_line(), open_line()]
    failed: list[BaseException] = []

    def go(project: Project) -> None:
        try:
            ask(project, budget=12)
        except BaseException as error:  # noqa: BLE001 - shown below
            failed.append(error)

    threads = [threading.Thread(target=go, args=(project,)) for project in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert [row["asked"] for row in draws(open_line())] == [12]
    assert len(open_line().state.queue()) == 12


def test_pictures_that_a_user_brings_are_asked_about(line: Line, open_line: Open, tmp_path: Path) -> None:
    folder = tmp_path / "april"
    folder.mkdir()
    for number, (content, _) in enumerate(line.new[:30]):
        (folder / f"{number}.png").write_bytes(content)
    assert main(["add", str(folder), "--project", str(line.folder), "--quiet"]) == 0
    dry = ask(open_line(), budget=10, dry_run=True)
    assert (len(dry.rows), len(draws(open_line())), open_line().state.queue()) == (10, 0, [])
    found = ask(open_line(), budget=10)
    assert {(row["kind"], row["sample"]) for row in found.rows} == {("pick", None)}  # no model answered them
    assert [row["id"] for row in found.rows] == [row["id"] for row in dry.rows]
    assert found.version == dry.version  # they were in the data already


def test_what_cannot_be_asked_is_told(line: Line, open_line: Open) -> None:
    with pytest.raises(DataError, match="nothing to ask about"):
        ask(open_line())
    line.answer([content for content, _ in line.new[:4]])
    for kept in (line.folder / ".scarce" / "production").iterdir():
        kept.unlink()
    with pytest.raises(DataError, match=r"of 4 production samples not one was kept.*keep_images"):
        ask(open_line())
    with pytest.raises(UnknownNameError, match="margin"):
        ask(open_line(), strategy="margn")
    with pytest.raises(ConfigError, match="budget"):
        ask(open_line(), budget=0)


def test_the_command_asks_and_exports(line: Line, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line.answer([content for content, _ in line.new[:40]])
    words = ["queue", str(line.folder), "--budget", "8", "--strategy", "margin", "--export", str(tmp_path / "q.csv")]
    assert main([*words, "--quiet"]) == 0
    out = capsys.readouterr().out
    assert "8 questions in" in out
    assert "8 of 8 labels are spent" in out
    assert (tmp_path / "q.csv").read_text(encoding="utf-8").count("label: production") == 8
    assert main(["queue", str(line.folder), "--export", str(tmp_path / "q.txt")]) == 2
    assert main(["queue", str(line.folder), "--budget", "8", "--export", str(tmp_path / "q.html"), "--json"]) == 0
    assert (tmp_path / "q.html").stat().st_size > 10_000
