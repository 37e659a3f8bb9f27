"""Rounds on real garments: what is new is trained on, compared and proposed; a killed round is gone on with."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from scarce._lock import FileLock
from scarce.cli import main
from scarce.errors import DataError
from scarce.flywheel._challenge import SCRATCH, TUNED, better
from scarce.flywheel._journal import KIND, Journal
from scarce.flywheel._learnt import needed
from scarce.flywheel.kpi import measure
from scarce.flywheel.plan import plan
from scarce.flywheel.promote import promote
from scarce.flywheel.rebuild import rebuild
from scarce.flywheel.round import LOCK, Orders, Turn, turn
from scarce.project import Project

COUNTS = {"Bag": (26, 12), "Coat": (26, 12), "Trouser": (16, 12)}
ALL = ("admit", "decide", "grow", "tuned", "scratch", "choose", "name", "compare")


@pytest.fixture(scope="module")
def base(garments: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``old`` and ``new`` pictures, and ``p``, a project of the old ones with a champion."""
    place = tmp_path_factory.mktemp("round")
    seen: dict[str, int] = {}
    for row in pq.read_table(garments, columns=["image", "label", "split", "row"]).to_pylist():
        label, image = row["label"], row["image"]["bytes"] if isinstance(row["image"], dict) else row["image"]
        if label not in COUNTS or row["split"] != "train":
            continue
        seen[label] = seen.get(label, 0) + 1
        old, new = COUNTS[label]
        if seen[label] <= old + new:
            folder = place / ("old" if seen[label] <= old else "new") / label
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{row['row']}.png").write_bytes(image)
    folder = place / "p"
    assert main(["init", str(folder), "--from", str(place / "old"), "--quiet"]) == 0
    settings(folder, encoder="pixel", retrain_after=20, trainer="linear_probe", folds=2, repeats=1,
             only=["exact_duplicate", "near_duplicate"])  # fmt: skip
    with Project.open(folder) as project:
        first = turn(project)
        assert (first.state, first.exit_code, first.number, first.new) == ("proposed", 1, 1, 47)
        assert first.challenger == "v2-linear_probe"
        again = turn(project)
        assert (again.state, again.number, again.steps) == ("proposed", None, {})
    shutil.copytree(folder, place / "proposed")
    assert main(["promote", str(folder), "--quiet"]) == 0
    return place


def settings(folder: Path, **values: Any) -> None:
    path = folder / "scarce.toml"
    lines = path.read_text(encoding="utf-8").splitlines()
    for name, value in values.items():
        at = next(number for number, line in enumerate(lines) if line.lstrip("#").startswith(f"{name} = "))
        lines[at] = f"{name} = {json.dumps(value)}"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture
def project(base: Path, tmp_path: Path) -> Iterator[Project]:
    shutil.copytree(base / "p", tmp_path / "p")
    with Project.open(tmp_path / "p") as opened:
        yield opened


def add(project: Project, source: Path) -> None:
    assert main(["add", str(source), "--project", str(project.folder), "--quiet"]) == 0


def steps_of(project: Project) -> list[set[str]]:
    return [set(row["body"]["steps"]) for row in project.state.rounds(KIND)]


def test_nothing_new_is_said_and_nothing_is_written(project: Project) -> None:
    before = (project.head, len(project.state.ledger("*")), project.state.test_looks())
    found = turn(project)
    assert (found.state, found.exit_code, found.number) == ("nothing new", 0, None)
    assert "nothing was done" in found.why[0]
    assert before == (project.head, len(project.state.ledger("*")), project.state.test_looks())


def test_few_labels_wait_and_enough_of_them_train(
    project: Project, base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = tmp_path / "few" / "Bag"
    few.mkdir(parents=True)
    for path in sorted((base / "new" / "Bag").iterdir())[:5]:
        shutil.copy(path, few)
    add(project, few.parent)
    found = turn(project)
    assert (found.state, found.exit_code, found.new, found.needed) == ("waiting", 0, 4, 20)
    assert steps_of(project)[-1] == {"admit", "decide", "groups", "ask"}
    assert turn(project).state == "nothing new"
    for label in ("Coat", "Trouser"):  # the five wait on; with these they are enough
        shutil.copytree(base / "new" / label, tmp_path / "more" / label)
    add(project, tmp_path / "more")
    capsys.readouterr()
    assert main(["round", str(project.folder), "--json", "--quiet"]) == 1  # few test samples prove nothing
    body = json.loads(capsys.readouterr().out)
    assert (body["state"], body["number"], body["new"], body["exit_code"]) == ("not provable", 3, 24, 1)
    assert list(body["steps"]) == list(ALL)
    name = body["challenger"]
    state = project.state
    assert state.aliases() == {"champion": "v2-linear_probe", "challenger": name}
    row = next(row for row in state.ledger("promotions") if row["decision"] == f"challenge {name}")
    assert (row["champion"], row["version_after"]) == ("v2-linear_probe", body["steps"]["grow"]["version"])
    judged = {row["decision"]: row["kept"] for row in state.ledger(body["steps"]["grow"]["version"])}
    assert {name for name, kept in judged.items() if kept} >= set(body["steps"]["grow"]["kept"])
    card = json.loads((project.models / name / "card.json").read_text())
    assert card["data"]["version"] == project.head == body["version"]
    assert card["data"]["counts"]["Trouser"]["real"] > 16 * 0.8
    with Project.open(project.folder) as opened:
        assert turn(opened).state == "nothing new"


@pytest.mark.slow
def test_the_first_model_may_be_promoted_without_a_person(base: Path, tmp_path: Path) -> None:
    folder = tmp_path / "p"
    assert main(["init", str(folder), "--from", str(base / "new"), "--quiet"]) == 0
    settings(folder, encoder="pixel", trainer="prototype", folds=2, repeats=1)
    assert main(["round", str(folder), "--promote", "--quiet"]) == 0
    with Project.open(folder) as opened:
        name = opened.state.aliases()["champion"]
        assert name.endswith("prototype")
        assert turn(opened, Orders(promote=True)).state == "nothing new"


@pytest.mark.slow
def test_what_breaks_the_contract_is_set_aside_with_the_reason(project: Project, base: Path, tmp_path: Path) -> None:
    (project.folder / "contract.toml").write_text("format = 1\nmax_duplicate_rate = 0.1\n", encoding="utf-8")
    for path in sorted((base / "new" / "Coat").iterdir())[:8]:
        for copy in range(6):
            place = tmp_path / "copies" / "Coat" / f"{path.stem}-{copy}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)
    add(project, tmp_path / "copies")
    found = turn(project)
    assert (found.state, found.exit_code, found.new) == ("gate", 1, 0)
    assert "max_duplicate_rate" in found.why[0]
    ds = project.dataset()
    aside = ~ds["keep"].astype(bool)
    assert aside.sum() == found.steps["admit"]["refused"] > 30
    assert all(str(why).startswith("contract: ") for why in ds["drop_reason"][aside])
    assert not (aside & np.isin(ds["split"].astype(str), ("val", "test"))).any()
    assert turn(project).state == "nothing new"  # they stand aside until a person brings them back
    add(project, base / "new")
    assert turn(project).state in {"not provable", "proposed", "refused"}  # it goes on with what comes next


@pytest.mark.slow
def test_where_the_old_data_breaks_the_contract_a_person_is_asked(project: Project, base: Path) -> None:
    (project.folder / "contract.toml").write_text("format = 1\nclass_minimum = {Bag = 500}\n", encoding="utf-8")
    add(project, base / "new")
    head = project.head
    found = turn(project)
    assert (found.state, found.exit_code) == ("gate", 1)
    assert found.why[0].startswith("The contract does not hold: class_minimum: ")
    assert found.why[1] == "Without the 30 new training samples it does not hold either."
    assert found.why[2].startswith("Nothing was trained. Go through what is wrong (scarce contract check ")
    assert project.head == head


@pytest.mark.slow
def test_where_the_gate_could_break_a_rule_itself_the_broken_rule_is_named(
    project: Project, base: Path, tmp_path: Path
) -> None:
    rules = "format = 1\nmax_duplicate_rate = 0.1\nmax_set_aside = 0.1\n"
    (project.folder / "contract.toml").write_text(rules, encoding="utf-8")
    for path in sorted((base / "new" / "Coat").iterdir())[:8]:
        for copy in range(6):
            place = tmp_path / "copies" / "Coat" / f"{path.stem}-{copy}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)
    add(project, tmp_path / "copies")
    head = project.head
    for number in (2, 3):
        found = turn(project)
        assert (found.state, found.exit_code, found.number, found.new) == ("gate", 1, number, 48)
        assert found.why[0].startswith("The contract does not hold: max_duplicate_rate: 0.")
        assert "max_set_aside" not in found.why[0]
        assert "new training samples aside would break another rule: max_set_aside: " in found.why[1]
        assert "contract.toml" in found.why[2]
        assert set(found.steps) == {"admit", "groups", "ask"}
    assert project.head == head


def some(base: Path, folder: Path, label: str, start: int, stop: int) -> Path:
    """Copy some of the new pictures of a class into a folder of classes, and return it."""
    (folder / label).mkdir(parents=True)
    for path in sorted((base / "new" / label).iterdir())[start:stop]:
        shutil.copy(path, folder / label)
    return folder


def test_a_proposal_stands_though_rounds_wait_for_labels(base: Path, tmp_path: Path) -> None:
    shutil.copytree(base / "proposed", tmp_path / "p")
    with Project.open(tmp_path / "p") as project:
        for number in range(2):
            add(project, some(base, tmp_path / f"few{number}", "Bag", 3 * number, 3 * number + 3))
            found = turn(project)
            assert (found.state, found.exit_code, found.number) == ("proposed", 1, number + 2)
            assert set(found.steps) == {"admit", "decide", "groups", "ask"}
            assert found.why[-1] == f"v2-linear_probe is proven and waits for a person: scarce promote {project.folder}"
        before = found.new
        again = turn(project)
        assert (again.state, again.exit_code, again.number, again.new) == ("proposed", 1, None, before)
        assert 0 < before < 20
        project.state.set_alias("challenger", "another")
        assert turn(project).state == "nothing new"


def test_by_commands_alone_a_challenger_is_proposed_and_promoted(
    project: Project, base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings(project.folder, margin=0.95)  # so wide that a dozen test samples prove it
    folder = str(project.folder)

    def call(*words: str, code: int) -> dict[str, Any]:
        capsys.readouterr()
        assert main([*words, "--json", "--quiet"]) == code
        body: dict[str, Any] = json.loads(capsys.readouterr().out)
        return body

    rows = project.state.ledger("promotions")
    numbered = {row["decision"].partition(" ")[0]: "round" in row for row in rows}
    assert numbered == {"challenge": True, "judge": True, "promote": False}
    add(project, base / "new")
    found = call("round", folder, code=1)
    assert (found["state"], found["number"]) == ("proposed", 2)
    name = found["challenger"]
    judged = project.state.ledger("promotions")[-1]
    assert (judged["decision"], judged["verdict"], judged["kept"], judged["round"]) == (
        f"judge {name}",
        "proven",
        False,
        2,
    )
    assert call("round", folder, code=1)["state"] == "proposed"
    assert call("promote", folder, code=0)["verdict"] == "promoted"
    assert call("round", folder, code=0)["state"] == "nothing new"


def idle_versions(project: Project, many: int) -> None:
    """Write versions that change nothing that a model learns from."""
    for number in range(many):
        project.change(
            lambda ds, n=number: ds.with_columns({"meta.note": [str(n)] * len(ds)}), f"note {number}", owner="io"
        )


def test_prune_keeps_what_production_stands_on(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    (trained,) = {row["version"] for row in project.state.alias_history("champion")}
    idle_versions(project, 3)
    newest, older = project.head, [version.name for version in project.log()][1:]
    capsys.readouterr()
    assert main(["prune", str(project.folder), "--keep", "1"]) == 0
    said = capsys.readouterr().out
    assert f"{trained} is kept: @champion v2-linear_probe stands on it; the next round counts from it" in said
    left = {version.name for version in project.log()}
    assert {trained, newest} <= left
    assert set(older) - left
    assert main(["prune", str(project.folder), "--keep", "1", "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert body["deleted"] == []
    assert list(body["kept"]) == sorted(left - {newest})


def test_prune_keeps_what_an_interrupted_round_works_on(project: Project) -> None:
    journal = Journal.begin(project, head=project.head, champion="v2-linear_probe", seed=0)
    project.change(lambda ds: ds.with_columns({"meta.note": ["x"] * len(ds)}), "round 2: grow", owner="io")
    assert journal.head in needed(project)


def test_a_round_goes_on_where_the_version_that_was_trained_on_is_gone(project: Project, base: Path) -> None:
    counts = json.loads((project.models / "v2-linear_probe" / "card.json").read_text())["data"]["counts"]
    add(project, base / "new")
    settings(project.folder, retrain_after=1000)
    project.store.prune(1)
    with Project.open(project.folder) as opened:
        found = turn(opened)
        assert (found.state, found.number) == ("waiting", 2)
        ds = opened.dataset()
        here = np.isin(ds["split"].astype(str), ("train", "val")) & (ds["label"] >= 0) & ds["keep"].astype(bool)
        gained = {name: int((here & (ds["label"] == code)).sum()) - counts[name]["real"]
                  for code, name in enumerate(ds.schema.classes)}  # fmt: skip
        assert 0 < found.new == sum(max(0, n) for n in gained.values())
        assert "was pruned: what is new is counted against its card" in found.why[0]
        status = plan(opened, measure(opened))
        assert status.retrain[0] is not None
        assert status.retrain[0] > 0
        shutil.rmtree(opened.models / "v2-linear_probe")
        idle_versions(opened, 1)
        found = turn(opened)
        assert "all labelled samples count as new" in found.why[0]


def test_two_rounds_at_once_the_second_does_nothing(project: Project, base: Path) -> None:
    add(project, base / "new")
    lock = FileLock(project.folder / ".scarce" / LOCK)
    assert lock.take(wait=False)
    try:
        found = turn(project)
        assert (found.state, found.exit_code) == ("busy", 4)
        assert main(["round", str(project.folder), "--quiet"]) == 4
    finally:
        lock.release()
    assert len(project.state.rounds(KIND)) == 1


@pytest.mark.slow
def test_a_round_that_somebody_overtook_is_left_and_a_new_one_begins(project: Project, base: Path) -> None:
    Journal.begin(project, head=project.head, champion="v2-linear_probe", seed=0)
    add(project, base / "new")
    found = turn(project)
    assert (found.number, found.resumed) == (3, False)
    assert [row["status"] for row in project.state.rounds(KIND)] == ["done", "overtaken", "done"]


def test_rounds_of_labelling_and_of_the_wheel_are_counted_apart(project: Project) -> None:
    assert project.state.rounds() == []
    assert project.state.open_round({"round": 1, "samples": {}}) == 1
    assert Journal.begin(project, head=project.head, champion=None).number == 2
    project.state.update_round(1, {"round": 1, "samples": {}}, status="done")
    assert [row["status"] for row in project.state.rounds()] == ["done"]
    assert project.state.rounds(KIND)[-1]["status"] == "open"


def test_a_project_without_data_is_refused(tmp_path: Path) -> None:
    with Project.init(tmp_path / "p") as empty, pytest.raises(DataError, match="holds no data yet"):
        turn(empty)
    assert main(["round", str(tmp_path / "p"), "--quiet"]) == 2


def test_the_better_one_by_held_back_samples() -> None:
    labels = np.array([0, 0, 0, 1])
    sure, even = np.array([[0.9, 0.1]] * 3 + [[0.1, 0.9]]), np.array([[0.6, 0.4]] * 3 + [[0.4, 0.6]])
    blind = np.array([[0.9, 0.1]] * 4)
    assert better(labels, {TUNED: even, SCRATCH: sure}).model == SCRATCH  # equal accuracy, lower loss
    found = better(labels, {TUNED: even, SCRATCH: blind})
    assert (found.model, found.n) == (TUNED, 4)
    assert found.scores == {TUNED: 1.0, SCRATCH: 0.5}
    none = better(labels[:0], {TUNED: sure[:0], SCRATCH: sure[:0]})
    assert none.model == SCRATCH
    assert "no held-back sample" in none.why


def outcome(project: Project, found: Turn) -> dict[str, Any]:
    """Return what must be the same however often a round was killed."""
    steps = json.loads(json.dumps(found.steps))
    for kind in (TUNED, SCRATCH):
        steps[kind].pop("seconds", None)
    return {
        "state": found.state, "why": found.why, "steps": steps, "aliases": project.state.aliases(),
        "content": project.store.version(project.head).content_id, "versions": [one.message for one in project.log()],
        "ledger": [(row["run"], row["decision"], row["verdict"]) for row in project.state.ledger("*")],
    }  # fmt: skip


KILLED = """
import os, signal, sys
import torch; torch.set_num_threads(1)
from scarce.flywheel import _journal
from scarce.flywheel.round import turn
from scarce.project import Project
step, moment = sys.argv[2:]
once = _journal.Journal.once
def dying(self, name, do):
    def watched():
        found = do()
        if (name, moment) == (step, "before it is written"):
            os.kill(os.getpid(), signal.SIGKILL)
        return found
    found = once(self, name, watched)
    if (name, moment) == (step, "after"):
        os.kill(os.getpid(), signal.SIGKILL)
    return found
_journal.Journal.once = dying
with Project.open(sys.argv[1]) as project:
    print(turn(project).state)
"""


def killed(folder: Path, step: str, moment: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder), step, moment], timeout=300, capture_output=True, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, (step, moment, done.returncode, done.stdout, done.stderr[-2000:])


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_killed_at_every_step_the_next_call_goes_on_to_the_same_end(project: Project, base: Path) -> None:
    settings(project.folder, trainer="finetune", epochs=1, only=["exact_duplicate"])
    assert main(["train", str(project.folder), "--quiet"]) == 0
    project.state.set_alias("champion", "v2-finetune", version="v2")
    add(project, base / "new")
    whole = project.folder.with_name("whole")
    shutil.copytree(project.folder, whole)
    for step in ("admit", "grow", TUNED, SCRATCH, "name", "compare"):
        killed(project.folder, step, "before it is written")
    with Project.open(project.folder) as opened, Project.open(whole) as other:
        found, wanted = turn(opened), turn(other)
        assert (found.resumed, wanted.resumed) == (True, False)
        assert outcome(opened, found) == outcome(other, wanted)
        assert opened.state.intents("open") == []
        assert turn(opened).state == "nothing new"
    assert list(wanted.steps) == list(ALL)


@pytest.mark.slow
def test_one_goes_on_from_the_champion_and_one_from_scratch(project: Project, base: Path) -> None:
    settings(project.folder, trainer="finetune", epochs=4, only=["exact_duplicate"])
    assert main(["train", str(project.folder), "--quiet"]) == 0
    project.state.set_alias("champion", "v2-finetune", version="v2")
    add(project, base / "new")
    with Project.open(project.folder) as opened:  # the settings are others now
        found = turn(opened)
    assert found.steps[TUNED]["model"], found.steps[TUNED]["why"]
    cards = {kind: json.loads((project.models / found.steps[kind]["model"] / "card.json").read_text())
             for kind in (TUNED, SCRATCH)}  # fmt: skip
    assert cards[TUNED]["started_from"]["model"] == "v2-finetune"
    assert cards[TUNED]["params"]["start"] == "v2-finetune"
    assert "started_from" not in cards[SCRATCH]
    chosen = found.steps["choose"]
    assert chosen["n"] >= 3  # of val, which the champion only watched
    assert set(chosen["scores"]) == {TUNED, SCRATCH}
    assert found.challenger == found.steps[chosen["model"]]["model"]
    assert found.champion == "v2-finetune"
    with Project.open(project.folder) as opened:
        promote(opened, found.steps[TUNED]["model"], override="to be made again")
        again = rebuild(opened, dry_run=True, workers=1)
    assert again.model == found.steps[TUNED]["model"]
    assert again.same, again.differs
