"""The commands on a project of real pictures, in the order in which a person would use them."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from scarce.cli import app, main
from scarce.lineage import Step
from scarce.project import Project

Call = Callable[..., Any]


def test_init_refuses_a_second_project(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", str(project)]) == 2
    assert "project already" in capsys.readouterr().err


def test_init_without_data_says_what_comes_next(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["init", str(tmp_path / "empty")])
    assert done.exit_code == 0, done.output
    assert "scarce add" in done.output
    done = CliRunner().invoke(app, ["log", str(tmp_path / "empty"), "--json"])
    assert json.loads(done.stdout) == {"versions": []}
    done = CliRunner().invoke(app, ["audit", str(tmp_path / "empty")])
    assert done.exit_code == 2
    assert "no version yet" in done.output


def test_stage_by_stage(
    project: Path, call: Call, tmp_path: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checks = ["--only", "exact-duplicate", "--only", "near-duplicate", "--only", "imbalance"]
    audited = call("audit", project, *checks)
    assert audited["version"] == "v2"
    assert set(audited["counts"]) == {"exact_duplicate", "near_duplicate", "imbalance"}
    assert call("clean", project, "--dry-run")["version"] is None
    halved = call("split", project, "--ratios", "0.5,0.2,0.3")
    counts = halved["counts"]
    assert sum(counts["Bag"].values()) == 16
    assert 4 <= counts["Bag"]["test"] <= 6
    assert "one-sided 95 %" in " ".join(row["why"] for row in halved["findings"])
    assert call("split", project)["counts"] == counts  # what is split stays
    assert call("split", project, "--anew")["counts"] != counts
    encoded = call("encode", project)
    assert encoded["column"] == "embedding.pixel"
    assert encoded["samples"] == 72
    trained = call("train", project, "--trainer", "linear-probe", "--seed", 3)
    assert (Path(trained["model"]) / "weights.safetensors").is_file()
    assert trained["card"]["seed"] == 3
    judged = [call("evaluate", project) for _ in range(2)]
    assert [body["looks"] for body in judged] == [1, 2]
    assert judged[0]["balanced_accuracy"] == judged[1]["balanced_accuracy"]
    assert judged[0]["balanced_accuracy"]["value"] > 0.7 > judged[0]["balanced_accuracy"]["baseline"]
    assert judged[0]["n"] == sum(row["n"] for row in judged[0]["per_class"].values())
    said = call("predict", project, photos / "Bag")
    assert said["n"] == 17
    assert said["unreadable"] == 1
    right = [row for row in said["predictions"] if row["label"] == "Bag"]
    assert len(right) >= 12
    assert main(["predict", str(project), str(photos / "Bag"), "-o", str(tmp_path / "out.csv")]) == 0
    capsys.readouterr()
    with (tmp_path / "out.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 17
    assert {row["class"] for row in rows} <= {"Bag", "Coat", "Trouser", ""}
    assert call("status", project)["test_looks"] == 2


def test_versions(project: Path, call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("tag", "first", "--project", project)["tags"] == {"first": "v1"}
    assert call("classes", "rename", "Bag=Sack", "--project", project)["classes"] == ["Sack", "Coat", "Trouser"]
    changed = call("diff", "first", "--project", project)
    assert len(changed["relabeled"]) == 17
    assert changed["relabeled"][0]["new"] == "Sack"
    assert changed["classes"]["old"] == ["Bag", "Coat", "Trouser"]
    restored = call("restore", "first", "--project", project)
    assert restored["version"] == "v3"
    assert restored["sources"]["missing"] == {}
    assert call("diff", "v1", "v3", "--project", project)["same"] is True
    assert call("branch", "side", "v2", "--project", project)["branches"] == {"main": "v3", "side": "v2"}
    log = call("log", project)["versions"]
    assert [item["name"] for item in log] == ["v3", "v2", "v1"]
    assert log[2]["tags"] == ["first"]
    assert call("tag", "first", "--delete", "--project", project)["tags"] == {}
    assert call("prune", "--keep", 1, project)["deleted"] == ["v1"]
    assert main(["diff", "v1", "--project", str(project)]) == 2
    assert "there is no version 'v1'" in capsys.readouterr().err
    status = call("status", project)
    assert status["head"] == "v3"
    assert status["classes"] == {"Bag": 16, "Coat": 24, "Trouser": 32}


def test_classes(project: Path, call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("classes", "add", "Dress", "--project", project)["classes"][-1] == "Dress"
    assert call("classes", "merge", "Coat", "Dress", "--into", "Coat", "--project", project)["version"] == "v3"
    assert main(["classes", "rename", "Bagg=Sack", "--project", str(project)]) == 2
    assert "'Bag'" in capsys.readouterr().err
    assert main(["classes", "rename", "Bag", "--project", str(project)]) == 2


def test_a_class_is_split_by_a_list_or_a_column(project: Path, call: Call, tmp_path: Path) -> None:
    parts = tmp_path / "parts.csv"
    with Project.open(project) as opened:
        ds = opened.dataset().usable()
    bags = ds.ids[np.array(ds.table["label"].to_pylist()) == "Bag"].tolist()
    parts.write_text("id,class\n" + "".join(f"{name},Satchel\n" for name in bags[:5]), encoding="utf-8")
    made = call("classes", "split", "Bag", "--parts", parts, "--project", project)
    assert made["classes"][:2] == ["Bag", "Satchel"]
    assert call("status", project)["classes"]["Satchel"] == 5
    assert len(call("diff", "v1", "--project", project)["relabeled"]) == 5
    by = call("classes", "split", "Coat", "--by", "source", "--project", project)
    assert [name for name in by["classes"] if name.startswith("Coat")] == [f"Coat_{ds.table['source'][0]}"]
    for wrong in (["--by", "sice"], ["--parts", str(tmp_path / "none.csv")], [], ["--by", "source", "--parts", "x"]):
        assert main(["classes", "split", "Trouser", *wrong, "--project", str(project)]) == 2
    parts.write_text("name,kind\n", encoding="utf-8")
    assert main(["classes", "split", "Trouser", "--parts", str(parts), "--project", str(project)]) == 2


@pytest.mark.parametrize("name", ["status", "log", "split", "verify"])
def test_every_command_takes_seed_and_workers(project: Path, call: Call, name: str) -> None:
    assert call(name, project, "--seed", 1, "--workers", 2)


def test_contract(project: Path, call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["contract", "check", str(project)]) == 2  # there is none yet
    assert "scarce contract init" in capsys.readouterr().err
    call("contract", "init", project)
    assert main(["contract", "init", str(project)]) == 2  # never replaced without --force
    capsys.readouterr()
    assert call("contract", "check", project)["fine"] is True
    path = project / "contract.toml"
    text = path.read_text(encoding="utf-8")
    strict = text.replace("min_rows = 36", "min_rows = 1000")
    assert strict != text
    path.write_text(strict, encoding="utf-8")
    assert main(["contract", "check", str(project)]) == 1
    assert "The contract is broken: 1 error, " in capsys.readouterr().out
    broken = call("contract", "check", project, code=1)
    assert broken["errors"] == 1
    assert broken["violations"][0]["rule"] == "min_rows"
    assert call("contract", "check", project, "--fail-on", "never")["errors"] == 1
    refused = call("classes", "add", "Dress", "--project", project, code=1)  # a commit that breaks it
    assert refused["error"]["kind"] == "ContractError"
    path.write_text(strict.replace('"refuse"', '"warn"'), encoding="utf-8")
    assert call("contract", "check", project)["errors"] == 0
    call("contract", "check", project, "--fail-on", "warning", code=1)


def test_verify(photos: Path, tmp_path: Path, call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    source = shutil.copytree(photos, tmp_path / "mine")
    assert main(["init", str(tmp_path / "p"), "--from", str(source)]) == 0
    capsys.readouterr()
    assert call("verify", tmp_path / "p")["fine"] is True
    files = sorted((source / "Coat").iterdir())
    files[0].unlink()
    files[1].write_bytes(files[2].read_bytes())
    found = call("verify", tmp_path / "p", code=1)
    assert {row["uri"]: row["state"] for row in found["files"]} == {
        f"Coat/{files[0].name}": "missing", f"Coat/{files[1].name}": "changed",
    }  # fmt: skip
    assert len(call("verify", tmp_path / "p", "--fail-on", "never")["files"]) == 2


def test_add_keeps_test_and_holds_copies_back(project: Path, photos: Path, tmp_path: Path, call: Call) -> None:
    from scarce.project import open_dataset

    call("split", project, "--ratios", "0.5,0.2,0.3")
    before = open_dataset(project)
    rows = before.table.to_pylist()
    test = next(row for row in rows if row["split"] == "test")
    more = tmp_path / "april" / test["label"].lower()
    more.mkdir(parents=True)
    shutil.copy(photos / test["uri"], more / "copy.png")
    body = call("add", more.parent, "--project", project, "--class-map", f"{more.name}={test['label']}")
    assert body["added"] == 1
    after = open_dataset(project)
    assert after.schema.classes == before.schema.classes
    kept = {row["id"]: row["split"] for row in after.table.to_pylist()}
    assert all(kept[row["id"]] == row["split"] for row in rows)
    (new,) = (row for row in after.table.to_pylist() if row["uri"].endswith("copy.png"))
    assert new["split"] == "pool"
    assert [row["id"] for row in body["waiting"]] == [new["id"]]
    assert test["uri"] in body["waiting"][0]["reason"]
    assert body["went"] == {test["label"]: {"pool": 1}}
    assert new["keep"]
    assert new["drop_reason"] is None
    again = call("add", more.parent, "--project", project, "--class-map", f"{more.name}={test['label']}")
    assert again["added"] == 0
    assert again["version"] is None
    assert call("log", project)["versions"][0]["name"] == body["version"], "nothing new makes no version"


def test_add_says_where_the_samples_went(
    project: Path, photos: Path, tmp_path: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    bags = sorted(path for path in (photos / "Bag").iterdir() if path.stem != "broken")
    source = tmp_path / "april" / "Satchel"
    source.mkdir(parents=True)
    for path in bags[:10]:
        (source / path.name).write_bytes(cv2.imencode(".png", 255 - cv2.imread(str(path)))[1].tobytes())
    call("split", project)
    assert main(["add", str(source.parent), "--project", str(project)]) == 0
    shown = capsys.readouterr().out
    assert "the new samples" in shown
    assert "only one class" not in shown
    assert "Satchel came after the test was drawn: train 7, val 1, test 2" in shown
    shutil.copy(photos / "Bag" / bags[0].name, source / "copy.png")
    (source / "later.png").write_bytes(cv2.imencode(".png", 255 - cv2.imread(str(bags[12])))[1].tobytes())
    more = call("add", source.parent, "--project", project)
    assert more["added"] == 2
    assert sum(more["went"]["Satchel"].values()) == 2
    assert main(["add", str(source.parent), "--project", str(project)]) == 0
    assert "nothing new" in capsys.readouterr().out


def test_split_looks_for_copies_itself(
    photos: Path, tmp_path: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "mine"
    shutil.copytree(photos / "Coat", source / "Coat")
    shutil.copytree(photos / "Trouser", source / "Trouser")
    coats = sorted((source / "Coat").iterdir())
    for path in coats[:8]:
        shutil.copy(path, path.with_stem(f"{path.stem}_copy"))
    folder = tmp_path / "p"
    assert main(["init", str(folder), "--from", str(source)]) == 0
    capsys.readouterr()
    body = call("split", folder)
    assert body["copies"]["exact_duplicate"] == 8
    with Project.open(folder) as opened:
        ds = opened.dataset()
    part = dict(zip(ds["uri"], ds["split"], strict=True))
    assert all(part[f"Coat/{path.stem}_copy.png"] == part[f"Coat/{path.name}"] for path in coats[:8])
    assert call("split", folder)["copies"] == {}, "known ones are not looked for again"
    assert main(["init", str(tmp_path / "q"), "--from", str(source)]) == 0
    assert main(["split", str(tmp_path / "q")]) == 0
    assert "Looked for copies first, exact duplicates: 8 groups" in capsys.readouterr().out


def test_one_class_can_be_audited_and_split(photos: Path, tmp_path: Path, call: Call) -> None:
    source = tmp_path / "oneclass"
    shutil.copytree(photos / "Coat", source / "Coat")
    first = min((source / "Coat").iterdir())
    shutil.copy(first, first.with_stem("copy"))
    folder = tmp_path / "p"
    call("init", folder, "--from", source)
    text = (folder / "scarce.toml").read_text(encoding="utf-8")
    (folder / "scarce.toml").write_text(text.replace('#encoder = "auto"', 'encoder = "pixel"'), encoding="utf-8")
    body = call("audit", folder)
    assert body["counts"]["exact_duplicate"] == 1
    assert {"blurred", "dark", "near_duplicate"} <= set(body["counts"])
    assert "fewer than two classes" in body["skipped"]["label_error"]
    assert sum(call("split", folder)["counts"]["Coat"].values()) == 25


def test_data_is_audited_without_a_project(
    photos: Path, tmp_path: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "photos"
    shutil.copytree(photos, source)
    first = min((source / "Coat").iterdir())
    shutil.copy(first, source / "Bag" / "copy.png")
    before = sorted(tmp_path.rglob("*"))
    body = call("audit", source, "--only", "exact-duplicate", "--only", "imbalance")
    assert sorted(tmp_path.rglob("*")) == before, "nothing is kept"
    assert (body["version"], body["path"]) == (None, str(source))
    pair = next(row for row in body["findings"] if row["check"] == "exact_duplicate" and row["group"])
    assert sorted(pair["samples"]) == ["Bag/copy.png", f"Coat/{first.name}"]
    assert (pair["score"], len(pair["ids"]), pair["classes"]) == (pytest.approx(1.0), 2, [])
    assert pair["why"]
    assert main(["audit", str(source), "--only", "imbalance"]) == 0
    assert "Nothing was kept" in capsys.readouterr().out
    folder = tmp_path / "p"
    call("init", folder, "--from", source)
    assert main(["audit", str(folder), "--label", "colour"]) == 2
    assert "is a project" in capsys.readouterr().err


def test_backup_comes_back(project: Path, tmp_path: Path, call: Call) -> None:
    written = call("backup", tmp_path / "said.jsonl", "--project", project)
    assert written["rows"] == len((tmp_path / "said.jsonl").read_text(encoding="utf-8").splitlines())
    assert main(["backup", str(tmp_path / "said.jsonl"), "--bring-back", "--project", str(project)]) == 2


def test_text_output_of_every_reading_command(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["status"], ["log"], ["verify"], ["contract", "init"], ["contract", "check"]):
        assert main([*words, str(project)]) == 0
        assert len(capsys.readouterr().out) >= 20
    assert main(["diff", "v1", "--project", str(project)]) == 0
    assert "nothing differs" in capsys.readouterr().out


def test_a_model_is_named_by_trainer_or_network(project: Path, call: Call, tmp_path: Path) -> None:
    call("split", project)
    policy = tmp_path / "policy.toml"
    policy.write_text('name = "mine"\n[[operation]]\nop = "flip"\nhorizontal = 0.5\n', encoding="utf-8")
    deep = call("train", project, "--model", "resnet10t", "--epochs", 1, "--augment", policy, "--loss", "focal")["card"]
    assert (deep["network"], deep["epochs"], deep["loss"]["kind"]) == ("resnet10t", 1, "focal")
    assert deep["augment"] == "mine"
    assert call("train", project, "--model", "prototype")["card"]["trainer"] == "prototype"
    told = call("train", project, "--model", "linear-probe", "--epochs", 3, code=2)
    assert "linear_probe takes no --epochs" in json.dumps(told)


@pytest.mark.parametrize(
    "words",
    [
        ["run", "{gone}"], ["run", "{empty}"], ["run", "{broken}"],
        ["run", "{photos}", "--folds", "1"], ["run", "{photos}", "--minutes", "-3"],
        ["run", "{photos}", "--encoder", "magic"],
        ["run", "{photos}", "--normal", "Bagg"],
        ["run", "{photos}", "--hold-out", "camera=B"], ["run", "{photos}", "--label", "colour"],
        ["run", "{photos}", "--ratios", "1,2,3"], ["run", "{photos}", "--ratios", "half"],
        ["run", "{photos}", "--test", "{gone}"],
        ["audit", "{gone}"], ["audit", "{empty}"], ["status", "{photos}"], ["log", "{damaged}"], ["status", "{wrong}"],
        ["predict", "{gone}", "{photos}"], ["predict", "{photos}", "{photos}"], ["init", "{file}"],
        ["tag", "v7", "--project", "{photos}"], ["evaluate", "{gone}"], ["report", "{gone}"],
        ["doctor", "{gone}", "--nonsense"],
        pytest.param(["run", "{photos}", "--metric", "beauty"], marks=pytest.mark.slow),
        pytest.param(["run", "{photos}", "--trainer", "magic"], marks=pytest.mark.slow),
        pytest.param(["run", "{photos}", "--policy", "magic"], marks=pytest.mark.slow),
    ],
    ids=" ".join,
)  # fmt: skip
def test_misuse(words: list[str], photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places = {name: tmp_path / name for name in ("gone", "empty", "broken", "damaged", "wrong", "file")}
    places["empty"].mkdir()
    places["file"].write_text("x", encoding="utf-8")
    for name in ("a", "b"):
        (places["broken"] / name).mkdir(parents=True)
        (places["broken"] / name / "x.png").write_bytes(b"no picture")
    (places["damaged"] / ".scarce").mkdir(parents=True)
    (places["damaged"] / ".scarce" / "project.json").write_text("{", encoding="utf-8")
    assert main(["init", str(places["wrong"])]) == 0
    (places["wrong"] / "scarce.toml").write_text("[audti]\n", encoding="utf-8")
    capsys.readouterr()
    given = [word.format(photos=photos, **places) for word in words]
    extra = ["--project", str(tmp_path / "p"), "--encoder", "pixel"] if words[0] == "run" else []
    extra = extra[:2] if "--encoder" in words else extra
    assert main([*given, *extra]) == 2, capsys.readouterr().err
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err + shown.out
    assert "a fault in scarce itself" not in shown.err
    assert shown.out == ""


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the administrator may write everywhere")
def test_no_permission(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tmp_path.chmod(0o500)
    try:
        assert main(["init", str(tmp_path / "p"), "--from", str(photos)]) == 2
    finally:
        tmp_path.chmod(0o700)
    assert "Traceback" not in capsys.readouterr().err


def test_predict_says_that_a_model_is_stale(
    project: Path, photos: Path, call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call("split", project)
    call("train", project, "--trainer", "linear-probe")
    some = sorted((photos / "Coat").iterdir())[:2]
    assert call("predict", project, *some)["stale"] is False
    call("classes", "rename", "Bag=Sack", "--project", project)
    said = call("predict", project, *some)
    assert said["stale"] is True
    assert all(row["label"] for row in said["predictions"])
    assert main(["predict", str(project), *map(str, some), "--quiet"]) == 0
    assert "classes of the project changed since" in capsys.readouterr().err
    alone = shutil.copytree(said["model"], tmp_path / "alone")
    assert call("predict", alone, *some)["stale"] is False
    call("classes", "rename", "Sack=Bag", "--project", project)  # the same names again, yet changed since
    assert call("predict", project, *some)["stale"] is True
    broken = call("predict", project, photos / "Bag" / "broken.png", code=1)
    assert (broken["n"], broken["unreadable"]) == (1, 1)


def test_predict_writes_only_what_it_can(project: Path, photos: Path, tmp_path: Path, call: Call) -> None:
    call("split", project)
    call("train", project, "--trainer", "linear-probe")
    some = min((photos / "Coat").iterdir())
    refused = call("predict", project, some, "-o", tmp_path / "out.xlsx", code=2)
    assert ".csv or .json" in refused["error"]["message"]
    assert not (tmp_path / "out.xlsx").exists()
    for name, more in (("out.xlsx", ["--format", "csv"]), ("out", []), ("out.CSV", [])):
        call("predict", project, some, "-o", tmp_path / name, *more)
        assert (tmp_path / name).read_text(encoding="utf-8").startswith("path,class,")
    call("predict", project, some, "-o", tmp_path / "out.json")
    assert len(json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))) == 1


def test_diff_lists_what_was_set_aside_and_brought_back(
    project: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    with Project.open(project) as opened:
        ds = opened.dataset()
        keep, reasons = ds["keep"].copy(), ds["drop_reason"].copy()
        row = int(np.flatnonzero(keep)[0])
        keep[row], reasons[row] = False, "blurred"
        opened.commit(ds.with_columns({"keep": keep, "drop_reason": reasons}), "by hand")
    (aside,) = call("diff", "v1", "v2", "--project", project)["keep"]
    assert (aside["id"], aside["old"], aside["new"], aside["reason"]) == (ds.ids[row], True, False, "blurred")
    (back,) = call("diff", "v2", "v1", "--project", project)["keep"]
    assert (back["old"], back["new"], back["reason"]) == (False, True, "blurred")
    for words, title in ((["v1", "v2"], "1 set aside"), (["v2", "v1"], "1 brought back")):
        assert main(["diff", *words, "--project", str(project)]) == 0
        shown = capsys.readouterr().out
        assert title in shown
        assert aside["uri"] in shown


def test_diff_names_the_steps_where_no_sample_differs(
    project: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    with Project.open(project) as opened:
        step = Step(stage="rebalance", name="class_weight", params={"power": 0.5})
        opened.commit(opened.dataset().with_step(step), "weights", owner="rebalance")
    body = call("diff", "v1", "v2", "--project", project)
    assert body["same"] is True
    assert [(item["name"], item["params"]) for item in body["steps"]["added"]] == [("class_weight", {"power": 0.5})]
    assert main(["diff", "v1", "v2", "--project", str(project)]) == 0
    assert "in between: rebalance.class_weight" in capsys.readouterr().out
    assert main(["diff", "v2", "v1", "--project", str(project)]) == 0
    assert "left out again: rebalance.class_weight" in capsys.readouterr().out


def test_a_name_that_is_taken_can_be_freed_by_the_command_named(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tag", "gold", "v1", "--project", str(project)]) == 0
    assert main(["tag", "gold", "v1", "--project", str(project)]) == 2
    assert "scarce tag gold --delete" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["run"], ["init", "--from"]], ids=lambda words: words[0])
def test_a_failure_leaves_no_empty_project(
    words: list[str], photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scarce import modality
    from scarce.errors import ReadError

    def refuse(*_: Any, **__: Any) -> Any:
        raise ReadError("modality", "the disk went away")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(modality, "scan", refuse)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine", encoding="utf-8")
    for name in ("fresh", "mine"):
        given = [str(photos), "--project", name] if words == ["run"] else [name, "--from", str(photos)]
        assert main([words[0], *given]) == 2
    assert not (tmp_path / "fresh").exists()
    assert (tmp_path / "mine" / "notes.txt").read_text(encoding="utf-8") == "mine"
    if words == ["run"]:
        assert main(["run", str(photos), "--group", "nosuch"]) == 2
        assert sorted(item.name for item in tmp_path.iterdir()) == ["mine"]
        assert main(["init", "old", "--quiet"]) == 0
        assert main(["run", str(photos), "--project", "old", "--group", "nosuch"]) == 2
        assert (tmp_path / "old" / "scarce.toml").is_file()


def test_init_without_a_label_names_the_columns(
    tmp_path: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "list.csv"
    files = sorted((photos / "Coat").iterdir())
    table.write_text("image,length\n" + "".join(f"{file},{n}\n" for n, file in enumerate(files)), encoding="utf-8")
    assert main(["init", str(tmp_path / "p"), "--from", str(table)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "'image', 'length'" in shown
    assert "--label COLUMN" in shown
