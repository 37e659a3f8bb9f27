from __future__ import annotations

import json

import pytest

from scarce import clean
from scarce.clean import Action
from scarce.cli import main
from scarce.errors import DataError, UnknownNameError
from scarce.project import Project
from scarce.provenance import blame


def test_who_set_what_when_and_why(project: Project) -> None:
    ds = project.dataset()
    done = clean.history(ds)[0].action
    gone = done.samples[0]
    found = blame(project, gone)
    fields = {item.name: item for item in found.fields}
    assert (fields["uri"].step, fields["uri"].version) == ("io.folder", "v1")
    assert (fields["content_hash"].step, fields["split"].step) == ("modality.scan", "split.grouped")
    assert fields["split"].seed == 3
    assert (fields["keep"].value, fields["keep"].version, fields["keep"].step) == (False, "v3", "clean.apply")
    assert (fields["keep"].action, fields["keep"].why) == (done.id, done.reason)
    score = fields["audit.exact_duplicate.score"]
    assert (score.step, score.version) == ("audit.exact_duplicate", "v2")
    assert "2 copies" in score.why, "the finding that names it, not the version's message"
    assert fields["keep"].at == project.store.version("v3").at


def test_the_whole_story_of_a_label(project: Project) -> None:
    ds = project.dataset()
    bag = ds.ids[(ds["label"] == 0) & (ds["split"] == "train") & ds["keep"].astype(bool)][:1].tolist()[0]
    said = {"reason": "looks like a coat", "check": "eye", "source": ("given",)}
    action = Action(samples=(bag,), kind="relabel", old=("Bag",), new=("Coat",), **said)
    project.commit(clean.apply(ds, [action]), "clean", owner="clean")
    project.commit(clean.undo(project.dataset(), [action.id]), "undo", owner="clean")
    labels = project.dataset().table["label"].to_pylist()
    labels[project.dataset().ids.tolist().index(bag)] = "Trouser"
    project.commit(project.dataset().with_columns({"label": labels}), "I looked at it again")
    story = [
        (item.before, item.value, item.version, item.step, item.why)
        for item in blame(project, bag).history if item.name == "label"
    ]  # fmt: skip
    assert story[1:] == [
        ("Bag", "Coat", "v4", "clean.apply", "looks like a coat"),
        ("Coat", "Bag", "v5", "clean.revert", "undone: looks like a coat"),
        ("Bag", "Trouser", "v6", "a person", "I looked at it again"),
    ]
    assert {item.name for item in blame(project, bag, "v4").fields if item.version == "v4"} == {"label", "label_source"}


def test_names_that_fit_none_or_several(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DataError, match="fits 3 samples"):
        blame(project, "03.png")
    with pytest.raises(UnknownNameError, match=r"did you mean 'Bag/\d\d.png'"):
        blame(project, "Bag/0x.png")
    assert blame(project, "Bag/copy.png").sample == blame(project, "copy.png").sample
    assert main(["blame", "copy.png", "--project", str(project.folder), "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert body["uri"] == "Bag/copy.png"
    assert {"field", "step"} <= {*body["fields"][0], "field"}
