from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scarce.cli import main
from scarce.dataset import Dataset
from scarce.errors import ConflictError, DataError
from scarce.flywheel import promote, rollback
from scarce.folds import groups_of
from scarce.loop.answering import Answer, freeze, say
from scarce.project import Project
from scarce.train import load

Call = Callable[..., Any]


@pytest.fixture
def trained(project: Path, state_url: str, call: Call) -> Path:
    """A split project of real garments with two models, its state in SQLite, then in PostgreSQL."""
    if state_url.startswith("postgresql"):
        settings = project / "scarce.toml"
        text = settings.read_text(encoding="utf-8")
        assert '#state_url = ""' in text
        settings.write_text(text.replace('#state_url = ""', f'state_url = "{state_url}"'), encoding="utf-8")
    call("split", project)
    call("train", project, "--model", "linear-probe")
    call("train", project, "--model", "prototype")
    return project


def names(folder: Path) -> list[str]:
    return sorted(card.parent.name for card in folder.glob(".scarce/models/*/card.json"))


def test_the_first_champion_has_no_rival_and_the_second_is_judged(trained: Path, call: Call) -> None:
    linear, prototype = sorted(names(trained), key=lambda name: "prototype" in name)
    first = call("promote", trained, "--model", linear)
    assert (first["verdict"], first["champion"], first["promoted"]) == ("promoted", None, True)
    second = call("promote", trained, "--model", prototype, code=1)
    assert second["verdict"] in {"refused", "not provable"}  # a handful of test samples proves nothing
    assert {row["name"] for row in second["evidence"]} == {"Bag", "Coat", "Trouser"}
    assert all(row["n"] < row["needed"] for row in second["evidence"])
    assert call("status", trained)["test_looks"] == 1
    with Project.open(trained) as opened:
        assert opened.state.aliases() == {"champion": linear}
        assert [row["verdict"] for row in opened.state.ledger("promotions")] == ["promoted", second["verdict"]]


def test_a_person_may_override_and_roll_back_within_a_second(trained: Path, call: Call) -> None:
    linear, prototype = sorted(names(trained), key=lambda name: "prototype" in name)
    call("promote", trained, "--model", linear)
    found = call("promote", trained, "--model", prototype, "--override", "a test of the line")
    assert found["why"][-1] == "Promoted all the same, by a person: a test of the line"
    with Project.open(trained) as opened:
        version = opened.head
        opened.change(
            lambda ds: ds.with_columns({"keep": ds["keep"] & (ds.ids != ds.ids[0])}), "one less", owner="clean"
        )
        row = opened.state.ledger("promotions")[-1]
        assert (row["verdict"], row["champion"], row["challenger"]) == ("overridden", linear, prototype)
        assert row["card"]["trainer"] == "prototype"
        since, spent = time.perf_counter(), time.process_time()
        body = rollback(opened, why="false alarms")
        assert time.process_time() - spent < 1.0
        assert time.perf_counter() - since < 5.0  # under a second where nothing else runs
        assert body["champion"] == linear
        assert opened.state.aliases()["champion"] == linear
        assert body["restored"] == load(opened.models / linear).card["data"]["version"] == version
        assert opened.store.version(opened.head).content_id == opened.store.version(version).content_id
        with pytest.raises(DataError, match="no champion before"):
            rollback(opened)


def test_a_model_that_served_is_never_written_over(trained: Path, call: Call) -> None:
    linear = next(name for name in names(trained) if "linear" in name)
    call("promote", trained, "--model", linear)
    before = (trained / ".scarce" / "models" / linear / "card.json").read_bytes()
    call("train", trained, "--model", "linear-probe", "--seed", "3")
    assert (trained / ".scarce" / "models" / linear / "card.json").read_bytes() == before
    assert f"{linear}-2" in names(trained)


def test_wrong_names_missing_models_and_margins_are_told(trained: Path) -> None:
    linear = next(name for name in names(trained) if "linear" in name)
    with Project.open(trained) as opened:
        with pytest.raises(DataError, match="no @champion"):
            rollback(opened)
        with pytest.raises(DataError, match="there is no model linaer"):
            promote(opened, "linaer")
        with pytest.raises(DataError, match="margin of 7"):
            promote(opened, linear, margin=7)
        promote(opened, linear)
        with pytest.raises(DataError, match="is @champion already"):
            promote(opened, linear)
        shutil.rmtree(opened.models / linear)
        other = next(name for name in names(trained) if name != linear)
        with pytest.raises(DataError, match="cannot be loaded"):
            promote(opened, other)


def test_of_two_promotions_at_once_one_wins(trained: Path) -> None:
    linear, prototype = sorted(names(trained), key=lambda name: "prototype" in name)
    told: list[str] = []
    gate = threading.Barrier(2)

    def work(name: str) -> None:
        with Project.open(trained) as opened:
            gate.wait()
            try:
                told.append(promote(opened, name).verdict)
            except (ConflictError, DataError) as error:
                told.append(type(error).__name__)

    threads = [threading.Thread(target=work, args=(name,)) for name in (linear, prototype)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Project.open(trained) as opened:
        champions = opened.state.alias_history("champion")
        rows = opened.state.ledger("promotions")
    assert sum(row["verdict"] == "promoted" for row in rows) == len(champions) == 1
    assert len(told) == 2


def test_after_prune_a_rollback_has_its_data(trained: Path, call: Call) -> None:
    linear = next(name for name in names(trained) if "linear" in name)
    call("promote", trained, "--model", linear)
    answered(trained, range(3))
    call("train", trained, "--model", "linear-probe")
    newer = next(name for name in names(trained) if name.startswith("v3-"))
    call("promote", trained, "--model", newer, "--override", "a test of the line")
    answered(trained, range(5, 8))
    found = call("prune", "--keep", 1, trained)
    assert found["deleted"] == ["v1"]
    assert found["kept"] == {
        "v2": [f"{linear}, which a rollback would bring back, stands on it"],
        "v3": [f"@champion {newer} stands on it"],
    }
    assert call("rollback", trained)["restored"] == "v2"


def test_where_the_data_of_the_old_champion_is_gone_its_model_goes_back_at_once(trained: Path, call: Call) -> None:
    linear, prototype = sorted(names(trained), key=lambda name: "prototype" in name)
    call("promote", trained, "--model", linear)
    call("promote", trained, "--model", prototype, "--override", "a test of the line")
    with Project.open(trained) as opened:
        for name in ("one", "two"):
            opened.change(lambda ds, n=name: ds.with_columns({"meta.note": [n] * len(ds)}), name, owner="io")
        opened.store.prune(1)  # as if somebody had deleted it; the command keeps it
        head = opened.head
    found = call("rollback", trained)
    assert (found["champion"], found["version"], found["restored"]) == (linear, head, None)
    assert "was pruned: the newest data stays. scarce rebuild" in found["notes"][0]
    with Project.open(trained) as opened:
        assert opened.state.aliases()["champion"] == linear
        assert opened.head == head
        assert opened.state.ledger("promotions")[-1]["version_after"] == head


def answered(folder: Path, rows: range, voter: str = "ann") -> None:
    """Let somebody call some samples a bag, or a coat where they are bags, and make a version of it."""
    with Project.open(folder) as opened:
        ds = opened.dataset()
        other = ["Coat" if ds.schema.classes[code] == "Bag" else "Bag" for code in ds["label"].tolist()]
        say(opened, [Answer(number=None, sample=str(ds.ids[row]), verdict="label", label=other[row], voter=voter)
                     for row in rows])  # fmt: skip
        assert freeze(opened).labels == len(rows)


def test_labels_that_a_rollback_leaves_behind_are_told_and_brought_back(
    trained: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    linear = next(name for name in names(trained) if "linear" in name)
    call("promote", trained, "--model", linear)
    answered(trained, range(3))
    assert call("status", trained)["stranded"] is None
    call("train", trained, "--model", "linear-probe")
    newer = next(name for name in names(trained) if name.startswith("v3-"))
    call("promote", trained, "--model", newer, "--override", "a test of the line")
    found = call("rollback", trained)
    assert found["restored"] == "v2"
    back = f"scarce restore v3 --project {trained} brings them back"
    (note,) = found["notes"]
    assert note.startswith(f"3 labels that people gave are not in the newest data: {back}.")
    assert "--keep-data" in note
    answered(trained, range(5, 6), voter="bob")
    body = call("status", trained)["stranded"]
    assert (body["labels"], body["version"], body["back"], body["lost"]) == (3, "v3", 3, 1)
    capsys.readouterr()
    assert main(["status", str(trained)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "left behind 3 labels that people gave are not in the newest data: scarce restore v3" in shown
    assert "leaves out 1 that were given since." in shown
    assert "v3" in call("prune", "--keep", 1, trained)["kept"]
    call("restore", "v3", "--project", trained)
    assert call("status", trained)["stranded"]["labels"] == 1


def test_a_rollback_that_keeps_the_data_leaves_no_label_behind(trained: Path, call: Call) -> None:
    linear, prototype = sorted(names(trained), key=lambda name: "prototype" in name)
    call("promote", trained, "--model", linear)
    answered(trained, range(3))
    call("promote", trained, "--model", prototype, "--override", "a test of the line")
    assert call("rollback", trained, "--keep-data")["notes"] == []
    assert call("status", trained)["stranded"] is None


def test_what_a_model_learned_from_judges_nobody_though_it_moved_to_test(trained: Path, call: Call) -> None:
    linear, prototype = sorted(names(trained), key=lambda name: "prototype" in name)
    call("promote", trained, "--model", linear)
    with Project.open(trained) as opened:
        ds = opened.dataset()
        train = np.flatnonzero(ds["split"] == "train")
        moved, twin = ds.ids[train[:3]].tolist(), ds.ids[np.flatnonzero(ds["split"] == "test")[0]]
        learned = ds.ids[train[3]]

        def change(old: Dataset) -> Dataset:
            new = {**dict.fromkeys(moved, "test"), learned: "pool"}  # the latter shows what a test sample shows
            split = [new.get(name, part) for name, part in zip(old.ids, old["split"], strict=True)]
            groups = np.where(np.isin(old.ids, [twin, learned]), "one part", groups_of(old).astype(str))
            return old.with_columns({"split": split, "split_group": groups.tolist()})

        opened.change(change, "moved", owner=("split",))
    found = call("promote", trained, "--model", prototype, "--dry-run", code=1)
    assert found["left_out"] == 4


def test_a_model_whose_data_nobody_knows_proves_nothing(trained: Path, call: Call) -> None:
    linear, prototype = sorted(names(trained), key=lambda name: "prototype" in name)
    call("promote", trained, "--model", linear)
    card = trained / ".scarce" / "models" / prototype / "card.json"
    body = json.loads(card.read_text("utf-8"))
    card.write_text(json.dumps({**body, "data": {**body["data"], "version": "v99"}}), "utf-8")
    found = call("promote", trained, "--model", prototype, "--margin", "0.99", "--dry-run", code=1)
    assert found["verdict"] == "not provable"
    assert found["why"][0].startswith("The data v99 was pruned")
    assert "So it proves nothing that no class seems to lose more than 99 points." in found["why"]
    assert not any("No class loses" in line for line in found["why"])
    said = call("promote", trained, "--model", prototype, "--margin", "0.99", "--override", "known from the log")
    assert said["verdict"] == "overridden"
    assert said["why"][-1] == "Promoted all the same, by a person: known from the log"
