from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scarce import audit, clean, io, modality
from scarce.clean import Action
from scarce.cli import main
from scarce.dataset import Dataset
from scarce.errors import ConflictError, DataError, ReadError, UnknownNameError
from scarce.loop import asking, cleaning
from scarce.project import Project


def garment_data(garments: Path) -> Dataset:
    """Real garments, 12 of each of three classes, read from the shipped table."""
    ds = io.read(garments)
    labels = np.array(ds.table["label"].to_pylist(), object)
    rows = np.concatenate(
        [np.flatnonzero((labels == name) & (ds["split"] == "train"))[:12] for name in ("Bag", "Coat")]
    )
    tests = np.concatenate([np.flatnonzero((labels == name) & (ds["split"] == "test"))[:3] for name in ("Bag", "Coat")])
    return ds.take(np.sort(np.concatenate([rows, tests])))


@pytest.fixture(scope="module")
def real(garments: Path) -> Dataset:
    return garment_data(garments)


@pytest.fixture
def project(real: Dataset, tmp_path: Path) -> Iterator[Project]:
    with Project.init(tmp_path / "p") as opened:
        opened.commit(real, "read", owner=("io", "split"))
        yield opened


def train(ds: Dataset, label: str) -> list[str]:
    rows = (ds["split"] == "train") & (np.array(ds.table["label"].to_pylist(), object) == label)
    return sorted(ds.ids[rows].tolist())


def act(kind: Any, samples: list[str], old: str | None, new: str | None, **more: Any) -> Action:
    n = len(samples)
    said = {"reason": f"{kind} in a test", "check": "test", **more}
    return Action(samples=tuple(samples), kind=kind, old=(old,) * n, new=(new,) * n, **said)


def test_each_action_is_undone_later_and_the_rest_stays(real: Dataset) -> None:
    bags, coats = train(real, "Bag"), train(real, "Coat")
    plan = [
        act("set_aside", bags[:2], None, "blurred"),
        act("merge", bags[2:4], None, "copy", into=bags[5]),
        act("relabel", coats[:3], "Coat", "Bag", source=("given",) * 3),
        act("resplit", coats[4:6], "train", "pool"),
    ]
    done = clean.apply(real, plan)
    later = clean.apply(done, [act("set_aside", bags[8:9], None, "dark")])
    for action in plan:
        back = clean.undo(later, [action.id[:8]])
        states = {item.action.id: item.state for item in clean.history(back)}
        assert states.pop(action.id) == "undone"
        assert set(states.values()) == {"applied"}
        rows = back.rows_of(action.samples)
        assert back.table.take(rows).equals(real.table.take(rows)), "as they were before"
        others = np.setdiff1d(np.arange(len(back)), rows)
        assert back.table.take(others).equals(later.table.take(others)), "as they are now"
    assert clean.undo(later, [item.id for item in plan]).table.equals(clean.undo(
        later, [item.id for item in plan[::-1]]).table)  # fmt: skip


def test_undo_is_refused_where_something_came_after(real: Dataset) -> None:
    bags = train(real, "Bag")
    first = act("relabel", bags[:1], "Bag", "Coat", source=("given",))
    done = clean.apply(real, [first])
    again = clean.apply(done, [act("relabel", bags[:1], "Coat", "Shirt", source=("model",))])
    with pytest.raises(DataError, match="a later step changed what action"):
        clean.undo(again, [first.id])
    gone = clean.undo(done, [first.id])
    with pytest.raises(DataError, match="undone already"):
        clean.undo(gone, [first.id])
    with pytest.raises(UnknownNameError, match="no action 'zzz'"):
        clean.undo(done, ["zzz"])
    two = clean.apply(real, [act("set_aside", [bag], None, "x") for bag in bags])
    beginnings = [item.action.id[0] for item in clean.history(two)]
    several = next((letter for letter in beginnings if beginnings.count(letter) > 1), None)
    assert several is not None
    with pytest.raises(DataError, match=r"fits \d+ actions"):
        clean.undo(two, [several])


def test_undo_is_refused_where_others_were_merged_into_it(real: Dataset) -> None:
    bags = train(real, "Bag")
    aside = clean.apply(real, [act("set_aside", bags[:1], None, "x")])
    back = act("bring_back", bags[:1], "x", None)
    merged = act("merge", bags[1:3], None, "copy", into=bags[0])
    done = clean.apply(clean.apply(aside, [back]), [merged])
    with pytest.raises(DataError, match="merged others into"):
        clean.undo(done, [back.id])
    both = clean.undo(done, [back.id, merged.id])
    assert both.table.equals(aside.table)


def test_undo_is_refused_where_samples_were_grown_from_it(real: Dataset) -> None:
    from scarce import augment

    bags = train(real, "Bag")
    action = act("relabel", bags[:1], "Bag", "Shirt", source=("given",))
    done = clean.apply(real, [action])
    grown = augment.run(done, "natural", counts={"Shirt": 2})
    with pytest.raises(DataError, match="2 samples were grown from it as Shirt since"):
        clean.undo(grown, [action.id])


def test_evaluation_samples_change_only_where_a_person_says_so(real: Dataset) -> None:
    sample = real.ids[real["split"] == "test"][:1].tolist()
    label = real.table["label"].to_pylist()[int(real.rows_of(sample)[0])]
    other = "Coat" if label == "Bag" else "Bag"
    for action in (
        act("set_aside", sample, None, "dark"), act("resplit", sample, "test", "train"),
        act("relabel", sample, label, other, source=("given",)),
    ):  # fmt: skip
        with pytest.raises(DataError, match="is in test"):
            clean.apply(real, [action])
    human = act("relabel", sample, label, other, source=("given",), by="human")
    done = clean.apply(real, [human])
    assert done["label_source"][done.rows_of(sample)[0]] == "human"


BROKEN: list[tuple[Callable[[dict[str, Any]], Any], type[Exception], str]] = [
    (lambda plan: plan["actions"][0].update(samples=["nobody"]), UnknownNameError, "nobody.*made for this project"),
    (lambda plan: plan["actions"][1].update(new=["Bagg"]), UnknownNameError, "did you mean 'Bag'"),
    (lambda plan: plan["actions"].append(plan["actions"][0]), DataError, "in the plan twice"),
    (lambda plan: plan["actions"].append({**plan["actions"][0], "new": ["other"]}), DataError, "two actions decide"),
    (lambda plan: plan["actions"][0].update(samples="nobody"), DataError, "must be a list of ids"),
    (lambda plan: plan["actions"][0].update(samples=[]), DataError, "has no sample"),
    (lambda plan: plan["actions"][0].update(apply="yes"), DataError, "must be true or false"),
    (lambda plan: plan["actions"][0].update(score=float("nan")), DataError, "a number from 0 to 1"),
    (lambda plan: plan["actions"][0].update(kind="delete"), DataError, "kinds are set_aside"),
    (lambda plan: plan["actions"][0].update(into="s"), DataError, "into belongs to merge"),
    (lambda plan: plan["actions"][0].pop("reason"), DataError, "cannot be read"),
    (lambda plan: plan["actions"][2].update(new=["validation"]), UnknownNameError, "no split 'validation'"),
    (lambda plan: plan["actions"].append(None), DataError, "is None"),
    (lambda plan: plan.update(actions={}), DataError, "this is no plan"),
    (lambda plan: plan.update(format=[]), DataError, "has format"),
]


@pytest.mark.parametrize(("spoil", "kind", "said"), BROKEN)
def test_an_edited_plan_is_refused_with_a_clear_error(
    real: Dataset, tmp_path: Path, spoil: Callable[[dict[str, Any]], Any], kind: type[Exception], said: str
) -> None:
    bags, coats = train(real, "Bag"), train(real, "Coat")
    plan = [
        act("set_aside", bags[:1], None, "x"), act("relabel", coats[:1], "Coat", "Bag", source=("given",)),
        act("resplit", coats[1:2], "train", "pool"),
    ]  # fmt: skip
    body = json.loads(clean.to_json(plan))
    spoil(body)
    (tmp_path / "plan.json").write_text(json.dumps(body), encoding="utf-8")
    with pytest.raises(kind, match=said):
        clean.apply(real, clean.load(tmp_path / "plan.json"))


def test_broken_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text('{"format": 2,\n "actions": [', encoding="utf-8")
    with pytest.raises(DataError, match="line 2"):
        clean.load(tmp_path / "plan.json")
    (tmp_path / "plan.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ReadError, match="no UTF-8"):
        clean.load(tmp_path / "plan.json")
    with pytest.raises(ReadError, match="No such file"):
        clean.load(tmp_path / "none.json")
    (tmp_path / "bom.json").write_text("\ufeff" + clean.to_json([]), encoding="utf-8")
    assert clean.load(tmp_path / "bom.json") == []


def test_a_plan_for_another_version_says_so(project: Project) -> None:
    ds = project.dataset()
    bags = train(ds, "Bag")
    plan = [act("relabel", bags[:1], "Bag", "Coat", source=("given",))]
    text = clean.to_json(plan, version=project.head)
    assert cleaning.carry_out(project, ds, [act("relabel", bags[:1], "Bag", "Shirt", source=("given",))]) == "v2"
    with pytest.raises(DataError, match="made for v1, the newest is v2"):
        cleaning.carry_out(project, project.dataset(), clean.from_json(text), made_for=clean.version_of(text))
    assert project.head == "v2"


def test_two_who_clean_at_once(project: Project, real: Dataset) -> None:
    bags = train(real, "Bag")
    mine = project.dataset()
    with Project.open(project.folder) as other:
        cleaning.carry_out(other, other.dataset(), [act("set_aside", bags[:1], None, "x")])
    with pytest.raises(ConflictError, match="has moved from v1 to v2"):
        cleaning.carry_out(project, mine, [act("set_aside", bags[1:2], None, "y")])
    assert [item.action.new for item in clean.history(project.dataset())] == [("x",)]


def test_ctrl_c_in_the_middle_leaves_the_last_version(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    ds = project.dataset()
    plan = [act("set_aside", train(ds, "Bag")[:1], None, "x")]

    def interrupt(*_: Any, **__: Any) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(project.store._table), "write", interrupt)
        with pytest.raises(KeyboardInterrupt):
            cleaning.carry_out(project, ds, plan)
    with Project.open(project.folder) as again:
        assert again.head == "v1"
        assert again.state.intents("open") == []
        again.store.verify()
        assert cleaning.carry_out(again, again.dataset(), plan) == "v2"


def fill(path: Path, answers: dict[str, dict[str, str]]) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.DictWriter(file, asking.HEADS)
        out.writeheader()
        out.writerows({**row, **answers.get(row["sample"], {})} for row in rows)
    return rows


def test_questions_go_out_and_answers_come_back(project: Project, tmp_path: Path) -> None:
    ds = project.dataset()
    bags, table = train(ds, "Bag"), tmp_path / "q.csv"
    plan = [
        act("ask", bags[:2], "Bag", None, apply=False, score=0.5), act("ask", bags[2:4], "Bag", None, apply=False),
        act("set_aside", bags[2:4], None, "two labels"),
    ]  # fmt: skip
    plan[1] = act("ask", bags[2:4], "Bag", None, apply=False, reason="=HYPERLINK(1)")
    version = cleaning.carry_out(project, ds, plan)
    assert asking.ask_people(project, plan, version) == 4
    assert asking.ask_people(project, plan, version) == 0, "what waits is not asked again"
    assert asking.write_questions(project, project.dataset(), table) == 4
    said = {bags[0]: {"new_label": "Coat"}, bags[1]: {"answer": "set aside"}, bags[2]: {"answer": "Right "}}
    rows = fill(table, said)
    assert [row["sample"] for row in rows][:2] == bags[2:4], "the most urgent first"
    assert rows[0]["reason"] == "'=HYPERLINK(1)", "no spreadsheet takes it for a formula"
    heard = asking.read_answers(project, project.dataset(), table, voter="anna")
    assert (len(heard.said), heard.waiting) == (3, 1)
    after = asking.take(project, heard).version
    new = project.dataset()
    rows_of = new.rows_of(bags[:4])
    assert new["keep"][rows_of].tolist() == [True, False, True, False]
    assert [new.table["label"].to_pylist()[row] for row in rows_of] == ["Coat", "Bag", "Bag", "Bag"]
    assert new["label_source"][rows_of].tolist()[::2] == ["human", "human"]
    notes = project.state.annotations(frozen=True)
    assert [(row["voter"], row["frozen"]) for row in notes] == [("anna", after)] * 3
    assert len(project.state.queue()) == 1
    assert asking.ask_people(project, plan, after) == 0, "what was answered is not asked again"
    twice = asking.read_answers(project, new, table)
    assert (twice.actions, twice.said, twice.waiting) == ((), (), 1), "the same file again changes nothing"
    relabeled = next(action for action in heard.actions if action.samples == (bags[0],))
    cleaning.take_back(project, new, [relabeled.id])
    back = project.dataset()
    assert back["label_source"][rows_of].tolist() == ["given", "given", "human", "given"]
    assert back["keep"][rows_of].tolist() == [True, False, True, False]


def test_answers_that_cannot_be_understood(project: Project, tmp_path: Path) -> None:
    ds, table = project.dataset(), tmp_path / "q.csv"
    bag = train(ds, "Bag")[0]
    asking.ask_people(project, [act("ask", [bag], "Bag", None, apply=False)], "v1")
    for answer, kind, said in (
        ({"answer": "maybe"}, DataError, "not understood"), ({"new_label": "Bagg"}, UnknownNameError, "'Bag'"),
        ({"answer": "right", "new_label": "Coat"}, DataError, "give one of them"),
        ({"number": "77", "answer": "right"}, UnknownNameError, "no question"),
        ({"number": "x", "answer": "right"}, DataError, "has no number"),
    ):  # fmt: skip
        asking.write_questions(project, ds, table)
        fill(table, {bag: answer})
        with pytest.raises(kind, match=said):
            asking.read_answers(project, ds, table)
    table.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(DataError, match="no table of questions"):
        asking.read_answers(project, ds, table)


def test_commands(project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ds = project.dataset()
    bags, plan = train(ds, "Bag"), tmp_path / "plan.json"
    clean.save([act("set_aside", bags[:1], None, "x"), act("ask", bags[1:2], "Bag", None)], plan, version="v1")

    def call(*words: object, code: int = 0) -> dict[str, Any]:
        assert main(["clean", str(project.folder), *map(str, words), "--json"]) == code
        return dict(json.loads(capsys.readouterr().out))

    assert call("--plan", plan, "--dry-run")["version"] is None
    done = call("--plan", plan)
    assert (done["version"], done["carried_out"], done["asked"]) == ("v2", 1, 1)
    listed = call("--list")["applied"]
    assert [(item["state"], item["samples"]) for item in listed] == [("applied", bags[:1])]
    assert call("--ask", tmp_path / "q.csv")["questions"] == 1
    fill(tmp_path / "q.csv", {bags[1]: {"new_label": "Coat"}})
    assert call("--answers", tmp_path / "q.csv")["counts"]["relabel"] == 1
    assert call("--undo", listed[0]["id"])["version"] == "v4"
    assert call("--list")["applied"][-1]["state"] == "undone"
    assert "was undone already" in call("--undo", listed[0]["id"], code=2)["error"]["what"]
    assert "were given" in call("--plan", plan, "--list", code=2)["error"]["what"]


def test_tiles_that_a_given_split_cut_leave_training(shared_data: Path, tmp_path: Path) -> None:
    """Real tiles, photographed several times each, split at random: training photos of judged tiles go to the pool."""
    place = shared_data / "magnetic_tile"
    if not place.is_dir():
        pytest.skip("magnetic_tile is not here")
    with (place / "index.csv").open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    groups: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        groups.setdefault(row["tile_group"], []).append(row)
    chosen = [row for tile in [tile for tile in groups if len(groups[tile]) >= 5][:6] for row in groups[tile][:5]]
    with (tmp_path / "index.csv").open("w", encoding="utf-8", newline="") as lines:
        out = csv.writer(lines)
        out.writerow(["path", "label", "split"])
        for number, row in enumerate(chosen):
            out.writerow([str(place / row["image"]), row["class"], "test" if number % 5 == 0 else "train"])
    ds = audit.run(modality.scan(io.read(tmp_path / "index.csv", split="split")), ["same_object"])
    tile = {str(place / row["image"]): row["tile_group"] for row in chosen}
    names = np.array([next(tile[path] for path in tile if path.endswith(uri)) for uri in ds.table["uri"].to_pylist()])
    plan = clean.plan(ds, "resplit")
    done = clean.apply(ds, plan)
    moved = (ds["split"] == "train") & (done["split"] == "pool")
    judged = set(names[ds["split"] == "test"])
    assert plan
    assert moved.sum() >= 0.9 * np.isin(names[ds["split"] == "train"], list(judged)).sum(), "what shares a tile left"
    assert (done["split"] == "test").sum() == (ds["split"] == "test").sum(), "what is judged stays"
    assert all("shares an object with" in action.reason for action in plan)
    assert clean.undo(done, [action.id for action in plan]).table["split"].equals(ds.table["split"])


def test_diff_shows_what_was_moved(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    ds = project.dataset()
    one = train(ds, "Bag")[:1]
    cleaning.carry_out(project, ds, [act("resplit", one, "train", "pool")])
    assert main(["diff", "v1", "v2", "--project", str(project.folder), "--json"]) == 0
    moved = json.loads(capsys.readouterr().out)["moved"]
    assert [(row["id"], row["old"], row["new"]) for row in moved] == [(one[0], "train", "pool")]
    assert main(["diff", "v1", "v2", "--project", str(project.folder)]) == 0
    assert "1 moved" in capsys.readouterr().out
