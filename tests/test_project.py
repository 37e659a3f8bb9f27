from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scarce import project as module
from scarce.contract import Contract
from scarce.dataset import Dataset, Schema
from scarce.errors import ConfigError, ConflictError, ContractError, StoreError
from scarce.modality._base import content_hash
from scarce.project import Project, open_dataset

CLASSES = ("good", "torn")


def sample(n: int = 8, **values: object) -> Dataset:
    ids = [f"s{i}" for i in range(n)]
    given = {"id": ids, "uri": ids, "label": [CLASSES[i % 2] for i in range(n)], **values}
    return Dataset.from_columns(Schema(classes=CLASSES), given)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.init(tmp_path / "garments", name="garments")


def test_a_new_project(project: Project) -> None:
    assert (project.name, project.head, project.contract) == ("garments", None, None)
    assert 'name = "garments"' in (project.folder / "scarce.toml").read_text(encoding="utf-8")
    assert all(place.is_dir() for place in (project.features, project.models, project.reports))
    with pytest.raises(StoreError, match="is a project already"):
        Project.init(project.folder)
    assert project.status()["head"] is None


def test_commits_build_on_what_was_seen(project: Project) -> None:
    assert project.commit(sample(), "first", owner="io") == "v1"
    ds = project.dataset()
    assert project.commit(ds.with_columns({"label": ["torn"] * 8}), "second") == "v2"
    other = Project.open(project.folder)
    assert other.commit(other.dataset().with_columns({"label": ["good"] * 8}), "third") == "v3"
    with pytest.raises(ConflictError, match="moved from v2 to v3"):
        project.commit(ds, "too late")
    assert [version.message for version in project.log()] == ["third", "second", "first"]
    assert open_dataset(project.folder).table.equals(other.dataset().table)
    assert open_dataset(project.folder, "v1").table["label"].to_pylist() == ["good", "torn"] * 4
    assert [row["status"] for row in project.state.intents()] == ["done", "done", "done", "rolled back"]


def test_change_works_on_the_newest_head(project: Project) -> None:
    project.commit(sample(), "first")
    other = Project.open(project.folder)
    other.commit(other.dataset().append({"id": ["x"]}), "theirs", owner="io")
    assert project.change(lambda ds: ds.append({"id": ["y"]}), "ours", owner="io") == "v3"
    assert {"x", "y"} <= set(project.dataset().ids)


def test_restore_tag_and_diff(project: Project) -> None:
    project.commit(sample(), "first")
    project.tag("gold")
    project.commit(sample().with_columns({"label": ["torn"] * 8}), "second")
    assert project.diff("gold", "v2").changed == {"label": 4}
    assert project.restore("gold") == "v3"
    assert project.diff("gold", "v3").empty
    assert project.commit(project.dataset().append({"id": ["x"]}), "on top", owner="io") == "v4"


def test_the_contract_refuses_or_warns(project: Project) -> None:
    project.commit(sample(), "first")
    path = project.folder / "contract.toml"
    path.write_text(Contract(min_per_class=5).to_toml(), encoding="utf-8")
    with pytest.raises(
        ContractError, match=r"good has 4, torn has 4; 5 promised. mend the data, or change contract.toml"
    ):
        project.commit(project.dataset(), "poor")
    path.write_text(Contract(min_per_class=5, on_violation="warn").to_toml(), encoding="utf-8")
    project.commit(project.dataset(), "poor")
    assert project.log()[0].notes == ("min_per_class: good has 4, torn has 4; 5 promised",)
    path.write_text("min_per_clas = 5", encoding="utf-8")
    with pytest.raises(ConfigError, match="did you mean 'min_per_class'"):
        project.commit(project.dataset(), "x")


def test_what_is_no_project_says_which_is_closest(project: Project, tmp_path: Path) -> None:
    for place in (tmp_path, project.reports, tmp_path / "garmets"):
        with pytest.raises(StoreError, match=r"is no project. the closest project is .*garments") as caught:
            Project.open(place)
        assert "scarce init" in caught.value.do


def test_a_later_format_is_refused_and_an_earlier_one_migrated(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = project.folder / ".scarce" / "project.json"
    path.write_text(json.dumps({"format": 7}), encoding="utf-8")
    with pytest.raises(StoreError, match=r"has format 7\. this scarce knows up to 1. upgrade scarce"):
        Project.open(project.folder)
    path.write_text(json.dumps({"format": 1}), encoding="utf-8")
    (project.folder / ".scarce" / "models").rename(project.folder / ".scarce" / "networks")

    def moved(folder: Path, body: dict[str, object]) -> dict[str, object]:
        (folder / ".scarce" / "networks").rename(folder / ".scarce" / "models")
        return body

    monkeypatch.setattr(module, "FORMAT", 2)
    monkeypatch.setattr(module, "MIGRATIONS", (moved,))
    assert Project.open(project.folder).models.is_dir()
    assert json.loads(path.read_text(encoding="utf-8"))["format"] == 2


def test_broken_settings_are_named(project: Project) -> None:
    (project.folder / "scarce.toml").write_text("[train]\nepoch = 3\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="did you mean 'epochs'"):
        Project.open(project.folder)
    (project.folder / "scarce.toml").unlink()
    assert Project.open(project.folder).name == "garments"


def with_files(project: Project, folder: Path) -> Dataset:
    folder.mkdir(parents=True)
    contents = [f"not really an image {i}".encode() for i in range(8)]
    for number, content in enumerate(contents):
        (folder / f"{number}.png").write_bytes(content)
    ds = sample(
        uri=[f"{i}.png" for i in range(8)], source=["photos"] * 8, content_hash=[content_hash(c) for c in contents]
    )
    return replace(ds, sources={"photos": str(folder)})


def test_verify_lists_what_changed_or_is_missing(project: Project) -> None:
    photos = project.folder / "photos"
    project.commit(with_files(project, photos), "first")
    assert project.verify().fine
    (photos / "3.png").write_bytes(b"something else")
    (photos / "5.png").unlink()
    found = project.verify()
    assert (found.checked, found.changed, list(found.missing)) == (8, ("s3",), ["s5"])
    assert found.missing["s5"].startswith("missing")
    assert found.to_json()["changed"] == ["s3"]


def test_verify_on_real_photos(project: Project, shared_data: Path) -> None:
    from scarce import io, modality

    source = next(path.parent for path in sorted(shared_data.rglob("*.png")))
    copy = project.folder / "copy" / "a"
    copy.mkdir(parents=True)
    for path in sorted(source.glob("*.png"))[:6]:
        shutil.copy(path, copy)
    ds = modality.scan(io.read(project.folder / "copy"))
    project.commit(ds, "first", owner="io")
    assert project.verify().checked == len(ds) == 6
    victim = sorted(copy.glob("*.png"))[2]
    victim.write_bytes(victim.read_bytes() + b"\0")
    assert len(project.verify().changed) == 1


def test_a_project_can_be_moved_with_its_data(project: Project, tmp_path: Path) -> None:
    project.commit(with_files(project, project.folder / "photos"), "first")
    project.state.set_alias("champion", "m")
    project.close()
    shutil.move(project.folder, tmp_path / "deep" / "er")
    moved = Project.open(tmp_path / "deep" / "er")
    assert moved.verify().fine
    assert moved.dataset().sources == {"photos": str(tmp_path / "deep" / "er" / "photos")}
    assert moved.state.aliases() == {"champion": "m"}
    assert moved.commit(moved.dataset().append({"id": ["x"]}), "after", owner="io") == "v2"


def test_status_counts_and_weighs(project: Project) -> None:
    project.commit(sample(keep=[False] + [True] * 7), "first")
    for name, classes in (("v1-old", ["good", "holed"]), ("v1-new", list(CLASSES))):
        (project.models / name).mkdir()
        (project.models / name / "card.json").write_text(json.dumps({"classes": classes}), encoding="utf-8")
    project.state.set_alias("champion", "v1-new")
    status = project.status()
    assert (status["rows"], status["kept"], status["classes"]) == (8, 7, {"good": 3, "torn": 4})
    assert {model["name"]: model["stale"] for model in status["models"]} == {"v1-old": True, "v1-new": False}
    assert status["models"][0]["aliases"] == ["champion"]
    assert status["store"]["bytes"] > 0
    json.dumps(status)


def test_quotas_take_the_longest_unused_first_and_no_finished_model(project: Project) -> None:
    config = project.config.with_values("encode", quota_gib=2000 / module.GIB).with_values("train", quota_gib=0)
    project.config = config
    for number in range(5):
        path = project.features / "enc" / f"{number}.npz"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x" * 1000)
        os.utime(path, (number, number))
    (project.models / "v1" / "checkpoint").mkdir(parents=True)
    (project.models / "v1" / "checkpoint" / "state").write_bytes(b"x" * 500)
    (project.models / "v1" / "weights.safetensors").write_bytes(b"x" * 500)
    assert project.clean_up() == {"features": 3000, "models": 500}
    assert sorted(path.name for path in project.features.rglob("*.npz")) == ["3.npz", "4.npz"]
    assert (project.models / "v1" / "weights.safetensors").exists()


def test_opening_is_light(project: Project) -> None:
    code = (
        "import sys; from scarce.project import Project; Project.open(sys.argv[1]).config; "
        "heavy = {'lance', 'sqlalchemy', 'torch', 'cv2', 'sklearn', 'pandas'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code, str(project.folder)], check=True, timeout=60)


def test_what_a_crash_left_is_settled_even_if_its_settings_are_kept(project: Project) -> None:
    project.commit(sample(), "first")
    token = project.state.begin("never carried out")
    (project.folder / ".scarce" / "intent").touch()
    again = Project.open(project.folder)
    assert [row["status"] for row in again.state.intents() if row["token"] == token] == ["rolled back"]
    assert not (project.folder / ".scarce" / "intent").exists()


def test_a_full_disk_is_said_plainly(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.commit(sample(), "first")
    full = OSError(28, "No space left on device")

    def refuse(*_: object, **__: object) -> None:
        raise full

    with monkeypatch.context() as patch:
        patch.setattr(module.Store, "_write", refuse)
        with pytest.raises(StoreError, match="the disk is full"):
            project.commit(project.dataset().append({"id": ["x"]}), "too big", owner="io")
    assert project.head == "v1"
    assert project.commit(project.dataset().append({"id": ["x"]}), "again", owner="io") == "v2"
    assert np.isin("x", project.dataset().ids)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_can_be_read_but_not_written(project: Project) -> None:
    project.commit(sample(), "first")
    project.close()
    places = [project.folder, *project.folder.rglob("*")]
    for place in places:
        place.chmod(0o555 if place.is_dir() else 0o444)
    try:
        again = Project.open(project.folder)
        assert len(again.dataset()) == 8
        with pytest.raises(StoreError, match="cannot be written"):
            again.commit(again.dataset(), "no")
    finally:
        for place in places:
            place.chmod(0o755)
