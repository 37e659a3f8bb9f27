"""From serving to promotion on real garments: what people said becomes data, and nothing leaks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from scarce.cli import main
from scarce.errors import DataError, StoreError
from scarce.flywheel import collect as module
from scarce.flywheel import feedback
from scarce.flywheel.collect import collect
from scarce.flywheel.draw import ask
from scarce.flywheel.kpi import measure
from scarce.flywheel.promote import promote
from scarce.lineage import digest
from scarce.loop import asking
from scarce.project import Project
from scarce.provenance.reproduce import reproduce
from scarce.state import State

if TYPE_CHECKING:
    from conftest import Line

Open = Callable[[], Project]
OURS = ("Bag", "Coat", "Trouser")


def shown(line: Line, n: int, *labels: str) -> list[tuple[bytes, str]]:
    """Return n new pictures of some classes."""
    return [pair for pair in line.new if pair[1] in (labels or OURS)][:n]


def rows_of(project: Project) -> dict[str, dict[str, Any]]:
    """Return the production rows of the newest version by hash."""
    return {row["content_hash"]: row for row in project.dataset().table.to_pylist() if row["source"] == "production"}


def test_from_serving_to_promotion(line: Line, open_line: Open, tmp_path: Path) -> None:
    part = shown(line, 90)
    requests = line.answer([content for content, _ in part])
    line.set("audit", "0.5")
    project = open_line()
    found = ask(project, budget=40)
    drawn = {row["sample"]: row for row in found.rows if row["kind"] == "audit"}
    said = [{"request": one, "label": label} for one, (_, label) in zip(requests, part, strict=True)]
    feedback.give(project, said[:20], source="http", voter="ann")
    assert line.label(project, tmp_path / "q.csv", line.truth.__getitem__) == 40
    got = collect(project)
    assert (got.version, got.unkept, got.wishes, got.open) == (project.head, (), {}, 0)
    assert collect(open_line()).version is None
    rows = rows_of(project)
    for sample, row in rows.items():
        assert (row["label"], row["label_source"]) == (line.truth[sample], "human")
        assert row["split"] == ("test" if sample in drawn else "train")
        assert row["meta.inclusion"] == (20 / 90 if sample in drawn else None)
        assert row["captured_at"] is not None
    assert set(drawn) <= set(rows)
    told = project.state.feedback()
    heard = {row["sample"]: row for row in told if row["inclusion"] is not None}
    assert set(heard) == set(drawn)
    assert {row["source"] for row in heard.values()} == {"queue"}
    assert all(row["label"] == line.truth[row["sample"]] for row in heard.values())
    assert sum(1 / row["inclusion"] for row in heard.values()) == pytest.approx(90)
    assert main(["train", str(line.folder), "--model", "linear-probe", "--quiet"]) == 0
    challenger = max(line.folder.glob(".scarce/models/*/card.json"), key=lambda card: card.stat().st_mtime).parent.name
    judged = promote(open_line(), challenger, dry_run=True)
    assert judged.left_out == 0
    field = {row.name: row.n for row in judged.evidence if row.source == "production"}
    assert field == dict(Counter(line.truth[sample] for sample in drawn))
    assert sum(row.n for row in judged.evidence if row.source == "held-out") == 19
    trained = open_line().dataset(judged.version)
    assert not set(trained["content_hash"][trained["split"] == "train"]) & set(drawn)
    assert reproduce(open_line()).same


def test_what_feedback_is_worth_decides_what_is_learned(line: Line, open_line: Open) -> None:
    part = shown(line, 60)
    line.answer([content for content, _ in part])
    project = open_line()
    logged = {row["request"]: row for row in project.state.predictions()}
    truth = {request: line.truth[row["sample"]] for request, row in logged.items()}
    feedback.give(project, [{"request": one, "label": label} for one, label in truth.items()], source="cli")
    worth = {row["sample"]: row["worth"] for row in project.state.feedback()}
    assert {"high", "low"} <= set(worth.values())
    got = collect(project)
    rows = rows_of(project)
    assert set(rows) == {sample for sample, value in worth.items() if value != "low"}
    assert {sample: row["meta.worth"] for sample, row in rows.items()} == {name: worth[name] for name in rows}
    assert {row["split"] for row in rows.values()} <= {"train", "pool"}
    assert (got.samples, got.labels, got.sure) == (len(rows), len(rows), 60 - len(rows))
    kinds = Counter(row["note"].partition(", cli: ")[2] for row in project.state.annotations())
    assert set(kinds) <= {"corrected, high", "confirmed, medium"}
    one = next(iter(rows))
    (request,) = [name for name, row in logged.items() if row["sample"] == one]
    other = next(name for name in OURS if name != rows[one]["label"])
    feedback.give(project, [{"request": request, "label": other, "voter": "chief"}], source="http")
    assert collect(project).labels == 1  # of two who differ the newer one holds
    assert rows_of(project)[one]["label"] == other
    votes = project.dataset().votes.to_pylist()
    assert {vote["voter"] for vote in votes if vote["sample"] == rows[one]["id"]} == {"operator", "chief"}


@pytest.mark.parametrize("broken", ["annotate", "commit", "freeze_annotations", "add_feedback"])
def test_who_is_killed_loses_nothing(
    line: Line, open_line: Open, monkeypatch: pytest.MonkeyPatch, broken: str, tmp_path: Path
) -> None:
    part = shown(line, 30)
    requests = line.answer([content for content, _ in part])
    project = open_line()
    (drawn,) = [row for row in ask(project, budget=10).rows if row["kind"] == "audit"]
    wrong = {name: OURS[OURS.index(name) - 1] for name in OURS}
    said = [{"request": one, "label": wrong[label]} for one, (_, label) in zip(requests, part, strict=True)]
    feedback.give(project, said, source="http", voter="ann")
    rows = len(project.state.feedback())
    asked = line.label(project, tmp_path / "q.csv", lambda name: line.truth[name] if name == drawn["sample"] else None)
    assert asked == 1

    def killed(*_: Any, **__: Any) -> None:
        raise StoreError("test", "the power failed")

    with monkeypatch.context() as patch:
        patch.setattr(Project if broken == "commit" else State, broken, killed)
        with pytest.raises(StoreError, match="power"):
            collect(project)
    collect(open_line())
    project = open_line()
    here = rows_of(project)
    worth = {row["sample"]: row["worth"] for row in project.state.feedback()[:rows]}
    assert {sample for sample, row in here.items() if row["label"] is not None} >= {
        sample for sample, value in worth.items() if value != "low" and sample != drawn["sample"]
    }
    assert here[drawn["sample"]]["label"] == line.truth[drawn["sample"]]  # whoever gave feedback had seen the answer
    annotations = project.state.annotations()
    assert len(annotations) == len({(row["sample"], row["note"]) for row in annotations})
    assert all(row["frozen"] for row in annotations)
    assert not project.state.queue()  # the others were answered by feedback
    (heard,) = [row for row in project.state.feedback() if row["inclusion"] is not None]
    assert (heard["sample"], heard["label"]) == (drawn["sample"], line.truth[drawn["sample"]])
    versions, total = len(project.log()), len(project.state.feedback())
    assert collect(project).version is None
    assert (len(project.log()), len(project.state.feedback())) == (versions, total)


def test_new_classes_wait_for_a_word(line: Line, open_line: Open) -> None:
    part = [*shown(line, 6, "Sandal"), *shown(line, 4, "Bag")]
    requests = line.answer([content for content, _ in part])
    project = open_line()
    said = [{"request": one, "label": label} for one, (_, label) in zip(requests, part, strict=True)]
    assert feedback.give(project, said, source="cli").kept == 4
    feedback.give(project, said, source="cli", new_classes=True)
    first = collect(project)
    assert (dict(first.wishes), first.classes) == ({"Sandal": 6}, ())
    assert collect(project).version is None
    second = collect(project, new_classes=True)
    assert (second.classes, second.labels, second.samples) == (("Sandal",), 6, 6)
    ds = project.dataset()
    assert ds.schema.classes == (*OURS, "Sandal")
    kinds = Counter((row["label"], row["split"]) for row in rows_of(project).values())
    assert kinds["Sandal", "train"] == 6
    assert not collect(project).wishes


def test_copies_of_test_samples_and_lost_bytes(line: Line, open_line: Open) -> None:
    project = open_line()
    ds = project.dataset()
    held = np.flatnonzero(ds["split"] == "test")[:5]
    twins = [line.changed((Path(ds.sources["photos"]) / uri).read_bytes()) for uri in ds["uri"][held]]
    fresh = [content for content, _ in shown(line, 8)]
    requests = line.answer([*twins, *fresh])
    wrong = {name: OURS[OURS.index(name) - 1] for name in OURS}
    predicted = {row["request"]: row["label"] for row in project.state.predictions()}
    said = [{"request": one, "label": wrong[predicted[one]]} for one in requests]
    feedback.give(project, said, source="http")
    (line.folder / ".scarce" / "production" / digest(fresh[0])).unlink()
    got = collect(project)
    assert got.unkept == (requests[5],)
    rows = rows_of(project)
    assert {rows[digest(twin)]["split"] for twin in twins} == {"pool"}
    assert set(got.waiting) == {rows[digest(twin)]["id"] for twin in twins}
    assert {rows[digest(one)]["split"] for one in fresh[1:]} == {"train"}
    after = project.dataset()
    assert (after["split"][after.rows_of(ds.ids[held])] == "test").all()
    again = collect(project)
    assert (again.version, len(again.waiting), again.unkept) == (None, 5, got.unkept)


def test_what_is_drawn_after_it_was_collected_becomes_test(line: Line, open_line: Open, tmp_path: Path) -> None:
    part = shown(line, 20)
    requests = line.answer([content for content, _ in part])
    project = open_line()
    predicted = {row["request"]: row["label"] for row in project.state.predictions()}
    wrong = {name: OURS[OURS.index(name) - 1] for name in OURS}
    feedback.give(project, [{"request": one, "label": wrong[predicted[one]]} for one in requests], source="http")
    collect(project)
    assert {row["split"] for row in rows_of(project).values()} == {"train"}
    assert main(["train", str(line.folder), "--model", "linear-probe", "--quiet"]) == 0
    challenger = max(line.folder.glob(".scarce/models/*/card.json"), key=lambda card: card.stat().st_mtime).parent.name
    line.set("audit", "1.0")
    project = open_line()
    found = ask(project, budget=6)
    assert (found.frame, len(found.rows), found.budget.spent) == (20, 6, 6)
    drawn = {row["sample"] for row in found.rows}
    rows = rows_of(project)
    assert {name for name, row in rows.items() if row["split"] == "test"} == drawn
    assert {row["meta.inclusion"] for name, row in rows.items() if name in drawn} == {0.3}
    collect(project)
    assert not any(row["inclusion"] for row in project.state.feedback())
    assert {rows_of(project)[name]["label"] for name in drawn} == {None}  # nobody was asked yet
    table = tmp_path / "right.csv"
    line.fill(project, table, lambda _: "right", column="answer")
    with pytest.raises(DataError, match="finds a label right"):
        asking.read_answers(project, project.dataset(), table)
    judged = promote(project, challenger, dry_run=True)
    assert not [row for row in judged.evidence if row.source == "production"]  # nobody was asked yet
    assert line.label(project, tmp_path / "q.csv", line.truth.__getitem__) == 6
    collect(project)
    heard = {row["sample"]: row["label"] for row in project.state.feedback() if row["inclusion"] is not None}
    assert heard == {name: line.truth[name] for name in drawn}
    assert {name: row["label"] for name, row in rows_of(project).items() if name in drawn} == heard
    judged = promote(project, challenger, dry_run=True)
    field = [row for row in judged.evidence if row.source == "production"]
    assert sum(row.n for row in field) == 6  # those that it learned are not left out: the champion was corrected there
    assert all(row.challenger == 0 and row.low < row.high for row in field)
    assert any(f"{challenger} learned from 6 drawn samples" in note for note in judged.notes)
    assert reproduce(project).same


def test_who_confirms_whatever_is_shown_proves_nothing(line: Line, open_line: Open, tmp_path: Path) -> None:
    part = [*shown(line, 20), *shown(line, 20, "Sandal")]  # which no model here knows
    requests = line.answer([content for content, _ in part])
    project = open_line()
    feedback.give(project, [{"request": one, "confirm": True} for one in requests], source="http", voter="eve")
    collect(project)
    line.set("audit", "1.0")
    found = ask(open_line(), budget=16)
    drawn = [row["sample"] for row in found.rows]
    assert measure(project).untold == {"open": 16, "unsure": 0}
    table = tmp_path / "q.csv"
    line.fill(project, table, lambda name: "unsure" if name == drawn[0] else line.truth[name], column="answer")
    assert main(["label", "import", str(line.folder), "--csv", str(table), "--new-classes", "--quiet"]) == 0
    collect(open_line())
    whole = measure(open_line())
    assert whole.untold == {"open": 0, "unsure": 1}
    said = {row["sample"]: row["label"] for row in project.state.predictions()}
    right = np.mean([said[name] == line.truth[name] for name in drawn[1:]])
    assert whole.whole is not None
    assert (whole.whole.figures.drawn, whole.whole.figures.accuracy.value) == (15, pytest.approx(right))
    assert right < 0.9


def test_what_was_drawn_teaches_nothing_after_a_rollback(line: Line, open_line: Open, tmp_path: Path) -> None:
    requests = line.answer([content for content, _ in shown(line, 20)])
    project = open_line()
    before = project.head
    line.set("audit", "1.0")
    drawn = {row["sample"] for row in ask(open_line(), budget=5).rows}
    project = open_line()
    assert line.label(project, tmp_path / "q.csv", line.truth.__getitem__) == 5
    collect(project)
    assert before is not None
    project.restore(before)
    predicted = {row["request"]: row for row in project.state.predictions()}
    wrong = {name: OURS[OURS.index(name) - 1] for name in OURS}
    said = [{"request": one, "label": wrong[predicted[one]["label"]]} for one in requests]
    feedback.give(project, said, source="http")
    assert collect(project).drawn == 0  # the answer of who was asked holds
    assert set(rows_of(project)) == {row["sample"] for row in predicted.values()} - drawn


def test_the_command(line: Line, open_line: Open, capsys: pytest.CaptureFixture[str]) -> None:
    requests = line.answer([content for content, _ in shown(line, 6)])
    project = open_line()
    predicted = {row["request"]: row["label"] for row in project.state.predictions()}
    said = [{"request": one, "label": "Bag" if predicted[one] != "Bag" else "Coat"} for one in requests]
    feedback.give(project, said, source="http")
    assert main(["collect", str(line.folder), "--quiet"]) == 0
    assert "6 labels, 6 new samples" in capsys.readouterr().out
    assert main(["collect", str(line.folder), "--json"]) == 0
    assert '"version": null' in capsys.readouterr().out
    assert module.FED.match("label: feedback 12, http: corrected, high")
