"""``scarce evaluate`` of a model that knows sound parts only, in a project that knows defects by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scarce import classes
from scarce.cli import main
from scarce.project import Project

NAMES = {"Trouser": "good", "Dress": "fine", "Bag": "hole", "Sandal": "crack"}
COUNTS = {"good": 40, "fine": 0, "hole": 12, "crack": 12}


def made(garments: Path, folder: Path, counts: dict[str, int]) -> Path:
    """Return a project with a memory of its sound garments; a third of each class is test."""
    rows: list[dict[str, Any]] = []
    for row in pq.read_table(garments).to_pylist():
        name = NAMES.get(row["label"], "")
        own = sum(one["label"] == name for one in rows)
        if own < counts.get(name, 0):
            rows.append({"image": row["image"], "label": name, "split": "test" if own % 3 == 0 else "train"})
    pq.write_table(pa.Table.from_pylist(rows), folder / "g.parquet")
    project = folder / "p"
    assert main(["init", str(project), "--from", str(folder / "g.parquet"), "--quiet"]) == 0
    settings = project / "scarce.toml"
    told = settings.read_text(encoding="utf-8").replace('#encoder = "auto"', 'encoder = "pixel"')
    settings.write_text(told + "\n[train.anomaly]\nsize = 64\nmemory = 200\nfolds = 2\n", encoding="utf-8")
    assert main(["train", str(project), "--model", "anomaly", "--quiet"]) == 0
    return project


@pytest.fixture(scope="module")
def project(garments: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(garments, tmp_path_factory.mktemp("anomaly"), COUNTS)


def test_it_is_judged_as_sound_or_defect_and_compared_so(
    project: Path, call: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    memory = project / ".scarce" / "models" / "v1-anomaly"
    assert main(["evaluate", str(project), "--costs", "10,1", "--robust"]) == 0
    assert "judged is good or defect" in capsys.readouterr().out
    body = call("evaluate", project)
    assert body["classes"] == ["good", "defect"]
    assert {name: row["n"] for name, row in body["per_class"].items()} == {"good": 14, "defect": 8}
    assert body["operating_point"]["defects"] == 8
    assert body["balanced_accuracy"]["value"] > 0.6
    assert "judged is good or defect" in Path(body["report"]).read_text(encoding="utf-8")
    probe = call("train", project, "--model", "linear-probe")["model"]
    for first, second in ((probe, memory), (memory, probe)):
        found = call("evaluate", project, "--model", first, "--compare", second)["compare"]
        assert found["n"] == 22
        assert 0.5 < found["differences"]["balanced_accuracy"]["first"] <= 1
        assert 0.5 < found["differences"]["balanced_accuracy"]["second"] <= 1


def test_several_sound_classes_are_one_side(
    garments: Path, tmp_path: Path, call: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made(garments, tmp_path, {"good": 20, "fine": 20, "hole": 9})
    with Project.open(folder) as opened:
        assert opened.dataset().schema.normal_classes == ("good",)
        opened.change(lambda ds: classes.add(ds, ["spare"], normal=True), "a second sound class")
    capsys.readouterr()
    assert main(["train", str(folder), "--model", "anomaly", "--quiet"]) == 0
    capsys.readouterr()
    body = call("evaluate", folder, "--costs", "10,1")
    assert body["classes"] == ["sound", "defect"]
    assert body["normal_classes"] == ["sound"]
    assert {name: row["n"] for name, row in body["per_class"].items()} == {"sound": 7, "defect": 10}


def test_it_is_stale_only_where_what_is_sound_is_gone(
    project: Path, call: Callable[..., Any], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    sample = tmp_path / "one.png"
    cv2.imwrite(str(sample), np.full((28, 28), 90, np.uint8))
    memory = project / ".scarce" / "models" / "v1-anomaly"

    def stale() -> list[bool]:
        told = {row["name"]: row["stale"] for row in call("status", project)["models"]}
        return [call("predict", memory, sample)["stale"], told["v1-anomaly"]]

    with Project.open(project) as opened:
        assert stale() == [False, False]
        opened.change(lambda ds: classes.add(ds, ["scratch"]), "one more defect")
        assert stale() == [False, False]
        opened.change(lambda ds: classes.rename(ds, {"good": "fair"}), "another name")
        assert stale() == [True, True]
    assert main(["evaluate", str(project), "--model", str(memory)]) == 2
    assert "no longer has" in capsys.readouterr().err


def test_the_settings_say_what_is_sound_to_every_command(
    project: Path, tmp_path: Path, call: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "p"
    call("init", folder, "--from", project.parent / "g.parquet")
    settings = folder / "scarce.toml"
    plain = settings.read_text(encoding="utf-8").replace('#encoder = "auto"', 'encoder = "pixel"')
    settings.write_text(plain.replace("#normal_classes = []", 'normal_classes = ["hole"]'), encoding="utf-8")
    card = call("train", folder, "--model", "linear-probe")["card"]
    assert card["normal_classes"] == ["hole"]
    assert [step["name"] for step in card["training"]["then"]][:1] == ["with_normal"]
    body = call("evaluate", folder, "--costs", "10,1")
    assert body["normal_classes"] == ["hole"]
    assert body["operating_point"]["normals"] == 4
    assert body["costs"]
    field = tmp_path / "field.csv"
    samples = np.random.default_rng(0).integers(0, 255, (2, 28, 28), np.uint8)
    for number, picture in enumerate(samples):
        cv2.imwrite(str(tmp_path / f"{number}.png"), picture)
    field.write_text("image,label\n0.png,good\n1.png,hole\n", encoding="utf-8")
    assert call("evaluate", folder, "--foreign", field)["out_of_distribution"]["foreign"] == 2
    assert call("evaluate", folder, "--false-positive-rate", 0)["operating_point"]["false_positive_rate"] == 0
    with Project.open(folder) as opened:
        assert opened.store.open().schema.normal_classes == ("good",)
        version = opened.change(lambda ds: classes.add(ds, ["late"]), "one more")
        assert opened.dataset(version).schema.normal_classes == ("hole",)
        version = opened.commit(opened.dataset(), "as it is told")
        assert opened.store.open(version).schema.normal_classes == ("hole",)
        assert opened.store.open(version).steps[-1].name == "with_normal"
    settings.write_text(plain.replace("#normal_classes = []", 'normal_classes = ["holl"]'), encoding="utf-8")
    capsys.readouterr()
    assert main(["train", str(folder), "--model", "linear-probe"]) == 2
    said = capsys.readouterr().err
    assert "holl" in said
    assert "hole" in said


def test_a_first_source_joins_an_empty_project_that_names_its_sound_class(
    project: Path, tmp_path: Path, call: Callable[..., Any]
) -> None:
    folder = tmp_path / "p"
    call("init", folder)
    settings = folder / "scarce.toml"
    told = settings.read_text(encoding="utf-8").replace('#encoder = "auto"', 'encoder = "pixel"')
    settings.write_text(told.replace("#normal_classes = []", 'normal_classes = ["hole"]'), encoding="utf-8")
    call("add", project.parent / "g.parquet", "--project", folder)
    assert call("train", folder, "--model", "linear-probe")["card"]["normal_classes"] == ["hole"]


def test_a_project_without_any_defect_is_judged_too(
    garments: Path, tmp_path: Path, call: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made(garments, tmp_path, {"good": 30})
    capsys.readouterr()
    assert main(["evaluate", str(folder), "--field", str(tmp_path)]) != 0
    capsys.readouterr()
    body = call("evaluate", folder)
    assert body["looks"] == 1, "the look that failed showed nothing"
    assert body["per_class"]["good"]["n"] == 10
    assert body["operating_point"] is None


def test_test_samples_that_the_model_was_trained_on_are_told(
    project: Path, tmp_path: Path, call: Callable[..., Any]
) -> None:
    rows = pq.read_table(project.parent / "g.parquet").to_pylist()
    swapped = [{**row, "split": "test" if row["split"] == "train" else "train"} for row in rows]
    call("init", tmp_path / "p", "--from", project.parent / "g.parquet")
    settings = tmp_path / "p" / "scarce.toml"
    told = settings.read_text(encoding="utf-8").replace('#encoder = "auto"', 'encoder = "pixel"')
    settings.write_text(told, encoding="utf-8")
    model = call("train", tmp_path / "p", "--model", "linear-probe")["model"]
    assert call("evaluate", tmp_path / "p")["seen"] == []
    pq.write_table(pa.Table.from_pylist(swapped), tmp_path / "other.parquet")
    call("init", tmp_path / "q", "--from", tmp_path / "other.parquet")
    body = call("evaluate", tmp_path / "q", "--model", model)
    assert body["seen"][0].startswith("42 of 42 test samples were training samples of v1-linear_probe")
    assert "were training samples" in Path(body["report"]).read_text(encoding="utf-8")


def test_an_unlabelled_source_says_nothing_wrong_of_a_labelled_project(
    project: Path, tmp_path: Path, call: Callable[..., Any]
) -> None:
    call("init", tmp_path / "p", "--from", project.parent / "g.parquet")
    (tmp_path / "pool").mkdir()
    for number in range(3):
        picture = np.random.default_rng(number).integers(0, 255, (28, 28), np.uint8)
        cv2.imwrite(str(tmp_path / "pool" / f"{number}.png"), picture)
    added = call("add", tmp_path / "pool", "--project", tmp_path / "p")
    assert added["added"] == 3
    assert not [row for row in added["findings"] if "no sample has a label" in row["why"]]
