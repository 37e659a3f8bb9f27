from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from scarce import audit, augment, classes, clean, encode, io, rebalance, split, synthesize
from scarce.clean import Action
from scarce.cli import main
from scarce.decision import Augment, DropRows, Oversample, Reweight, SetAsideLabelErrors, Synthesize
from scarce.ledger import Row
from scarce.loop.admit import admit
from scarce.loop.conclude import commit_kept, whole_train_fold
from scarce.loss_spec import LossSpec
from scarce.project import Project
from scarce.provenance import functions_of, reproduce
from scarce.synthesize.scratch import Scratch

OWNERS = ("io", "audit", "split", "clean")


def names(found: Any) -> list[str]:
    return [step.name for step in found.steps]


def test_every_stage_comes_out_the_same(project: Project, own_steps: Path) -> None:
    own = functions_of(own_steps)
    project.change(lambda ds: classes.rename(ds, {"Bag": "Purse"}), "rename")
    project.change(lambda ds: classes.add(ds, ["Hat"], normal=True), "add a class")
    project.change(lambda ds: classes.split(ds, "Coat", {"Long": ds.ids[ds["label"] == 1][:4].tolist()}), "split it")
    project.change(lambda ds: classes.merge(ds, ["Coat", "Long"], "Coat"), "and merge it again")
    project.change(lambda ds: clean.undo(ds, [clean.history(ds)[0].action.id]), "undo", owner="clean")
    project.change(lambda ds: ds.apply(own["drop_some"], share=0.2, seed=5), "own")
    project.change(lambda ds: split.run(split.forget(ds), seed=9, splitter="stratified"), "split anew")
    project.change(lambda ds: rebalance.run(ds, "class_weight"), "weights", owner="rebalance")
    project.change(lambda ds: augment.run(ds, "natural", counts={"Purse": 3}, seed=2), "augment", owner="augment")
    project.restore("v3")
    for version in [f"v{number}" for number in range(1, 14)]:
        found = reproduce(project, version, functions=own, fresh=version == "v3")
        assert found.same, (version, found.parted)
        assert found.found == found.content_id == project.store.version(version).content_id
        assert found.changes is not None
        assert found.changes.empty
        assert {step.state for step in found.steps} == {"same"}
        assert not found.packages
    assert names(found)[-1] == "store.restore"
    assert project.head == "v13"


def test_synthetic_defects_and_a_named_test_source(project: Project, tmp_path: Path, photos: Path) -> None:
    with Project.init(tmp_path / "q") as other:
        ds = io.with_normal(io.read(photos), ["Coat"])
        ds = io.merge_sources(ds, io.as_test(io.read(photos / "Bag", label="", source="test")))
        other.commit(split.run(audit.run(ds, ["exact_duplicate"]), test="test"), "read", owner=OWNERS)
        grow = synthesize.run(other.dataset(), Scratch(classes=("Trouser",)), counts={"Trouser": 4}, seed=8)
        other.commit(grow, "scratches", owner="synthesize")
        found = reproduce(other)
        assert found.same, found.parted
        assert names(found)[-1] == "synthesize.scratch"


def test_what_the_ledger_kept(project: Project) -> None:
    ds = encode.run(io.with_normal(project.dataset(), ["Coat"]), "pixel", cache=project.features)
    version = project.commit(ds, "encoded", owner=OWNERS)
    grown = augment.run(ds, "natural", counts={"Trouser": 6}, seed=1)
    grown = synthesize.run(grown, Scratch(classes=("Bag",)), counts={"Bag": 4}, seed=1)
    grown = encode.again(grown, "embedding.pixel", cache=project.features)
    extra = frozenset(ds.ids[(ds["split"] == "train") & (ds["label"] == 1)][:2].tolist())
    plan = [
        DropRows(name="clean.merge_duplicates", ids=extra), SetAsideLabelErrors(),
        Synthesize(screens=("distant", "duplicate"), settings={"duplicate": {"distance": 0.001}}),
        Oversample(policy="natural"), Reweight(name="rebalance.focal", spec=lambda _: LossSpec()),
    ]  # fmt: skip
    ready: Any = SimpleNamespace(dataset=ds, embedding="embedding.pixel", version=version)
    rows = [Row(decision=decision.name) for decision in plan]
    weighed: Any = SimpleNamespace(dataset=grown, decisions=plan, ledger=SimpleNamespace(rows=rows))
    commit_kept(project, ready, weighed, whole_train_fold(grown, "embedding.pixel"))
    found = reproduce(project)
    assert found.same, found.parted
    assert names(found)[-5:] == [
        "clean.clean.merge_duplicates", "clean.clean.label_error", "synthesize.synthesize",
        "rebalance.rebalance.oversample", "rebalance.rebalance.focal",
    ]  # fmt: skip
    assert Augment().name == "augment"


def test_a_source_that_grew_later(project: Project, photos: Path, pictures: dict[str, list[bytes]]) -> None:
    for name in ("Bag", "Coat"):
        (photos / name / "late.png").write_bytes(pictures[name][19])
    first = reproduce(project)
    assert first.same
    assert "2 samples came into the sources later" in first.notes[0]
    done = admit(project, project.dataset(), io.read(photos))
    assert len(done.new) == 2
    project.commit(done.dataset, "add again", owner=OWNERS)
    found = reproduce(project)
    assert found.same, found.parted
    assert "io.merge" in names(found)


def test_where_they_part(project: Project, photos: Path, pictures: dict[str, list[bytes]]) -> None:
    (photos / "Coat" / "03.png").write_bytes(pictures["Coat"][18])
    found = reproduce(project)
    assert not found.same
    assert found.parted is not None
    assert found.parted.name == "modality.scan"
    assert found.parted.columns == ("content_hash",)
    assert "content_hash of 1 samples" in found.parted.why
    (photos / "Coat" / "03.png").unlink()
    lost = reproduce(project).parted
    assert lost is not None
    assert lost.name == "io.folder"


def test_values_edited_without_a_step(project: Project) -> None:
    ds = project.dataset()
    labels = ds.table["label"].to_pylist()
    labels[0] = "Coat" if labels[0] != "Coat" else "Bag"
    project.commit(ds.with_columns({"label": labels}), "by hand")
    edit = project.dataset().steps[-1]
    assert (edit.stage, edit.name, list(edit.wrote)) == ("store", "edit", ["label"])
    found = reproduce(project)
    assert found.same
    assert "edited without a step" in found.notes[-1]


def test_scores_of_another_processor_are_close_enough(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from scarce.audit.dark import Dark

    measure = Dark.measure

    def shaky(self: Dark, ds: Any) -> Any:
        found = measure(self, ds)
        return replace(found, score=np.clip(found.score + shift, 0, 1))

    monkeypatch.setattr(Dark, "measure", shaky)
    shift = 2e-5
    found = reproduce(project, "v2")
    assert found.same
    assert [step.name for step in found.steps if step.state == "close"] == ["audit.dark"]
    assert found.changes is not None
    assert found.changes.empty, "the recorded scores go on"
    shift = 0.01
    parted = reproduce(project, "v2").parted
    assert parted is not None
    assert (parted.name, parted.columns) == ("audit.dark", ("audit.dark.score",))


def test_own_functions_are_never_imported_by_themselves(project: Project, own_steps: Path) -> None:
    own = functions_of(own_steps)
    project.change(lambda ds: ds.apply(own["drop_some"], share=0.5), "own")
    parted = reproduce(project).parted
    assert parted is not None
    assert "own_steps:drop_some is your own function" in parted.why
    own_steps.write_text(own_steps.read_text("utf-8").replace("'not needed'", "'too many'"), encoding="utf-8")
    changed = reproduce(project, functions=functions_of(own_steps)).parted
    assert changed is not None
    assert "reads otherwise" in changed.why


def test_command(project: Project, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["reproduce", "--project", str(project.folder), "--json"]
    assert main([*words, "v2"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert (body["version"], body["same"], body["parted"]) == ("v2", True, None)
    (photos / "Bag" / "03.png").unlink()
    assert main(words) == 1
    assert json.loads(capsys.readouterr().out)["parted"]["name"] == "io.folder"
    assert main([*words, "v77"]) == 2
    assert "no version 'v77'" in json.loads(capsys.readouterr().out)["error"]["what"]


def test_an_action_that_no_longer_fits_is_a_parting(project: Project) -> None:
    ds = project.dataset()
    kept = ds.ids[ds["keep"].astype(bool) & (ds["split"] == "train")][:1].tolist()
    action = Action(samples=tuple(kept), kind="set_aside", old=(None,), new=("x",), reason="x", check="y")
    after = clean.apply(ds, [action])
    step = after.steps[-1]
    broken = replace(step, params={"actions": [{**action.to_json(), "samples": ["nobody"]}]})
    traces = {broken.step_id: after.traces[step.step_id]}
    project.commit(replace(after, steps=(*after.steps[:-1], broken), traces=traces), "broken", owner="clean")
    parted = reproduce(project).parted
    assert parted is not None
    assert parted.name == "clean.apply"
    assert "nobody" in parted.why
