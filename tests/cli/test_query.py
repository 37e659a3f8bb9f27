"""``scarce query`` on a project and on bare data of every kind."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from scarce.cli import main
from scarce.project import Project

Call = Callable[..., Any]


def asked(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["query", *map(str, arguments), "--json", "--quiet"]) == 0
    body: dict[str, Any] = json.loads(capsys.readouterr().out)
    return body


@pytest.fixture
def half(garments: Path, tmp_path: Path) -> Path:
    """A folder of real garments: three classes with 8 labels each, and 60 pictures without."""
    table = pq.read_table(garments, columns=["image", "label", "split", "row"]).to_pylist()
    wanted = {"Bag": 28, "Coat": 28, "Trouser": 28}
    for row in table:
        if row["split"] == "train" and wanted.get(row["label"], 0):
            wanted[row["label"]] -= 1
            inside = row["label"] if wanted[row["label"]] >= 20 else "unlabeled"
            place = tmp_path / "photos" / inside
            place.mkdir(parents=True, exist_ok=True)
            image = row["image"]["bytes"] if isinstance(row["image"], dict) else row["image"]
            (place / f"{row['label']}-{row['row']}.png").write_bytes(image)
    return tmp_path / "photos"


@pytest.mark.parametrize("strategy", ["auto", "margin", "core-set", "badge", "typi-clust", "margin:2+core-set:1"])
def test_a_folder_with_pictures_without_a_label(half: Path, strategy: str, capsys: pytest.CaptureFixture[str]) -> None:
    body = asked(capsys, half, "--budget", 9, "--strategy", strategy, "--encoder", "pixel")
    assert len(body["samples"]) == 9
    assert all(row["uri"].startswith("unlabeled/") for row in body["samples"])
    assert len({row["id"] for row in body["samples"]}) == 9
    assert all(row["why"] for row in body["samples"])
    assert body["labeled"] == 24
    assert body["version"] is None


def test_a_project_gets_the_questions_into_its_queue_once(
    half: Path, tmp_path: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "project"
    assert main(["init", str(folder), "--from", str(half), "--quiet"]) == 0
    settings = folder / "scarce.toml"
    settings.write_text(settings.read_text("utf-8").replace('#encoder = "auto"', 'encoder = "pixel"'), "utf-8")
    capsys.readouterr()
    tried = call("query", folder, "--budget", 5, "--dry-run")
    assert tried["queued"] == 0
    assert tried["waiting"] == 0
    first = call("query", folder, "--budget", 5, "--strategy", "margin")
    assert first["queued"] == 5
    assert first["version"] == "v1"
    with Project.open(folder) as project:
        queue = project.state.queue()
        assert [row["sample"] for row in queue] == [row["id"] for row in first["samples"]]
        assert all(row["reason"].startswith("label: query, margin: more likely ") for row in queue)
        assert all("; the model hesitates between " in row["reason"] for row in queue)
        assert {row["version"] for row in queue} == {"v1"}
        project.state.settle([queue[0]["number"]])
        project.state.annotate([{"sample": queue[0]["sample"], "voter": "ann", "label": "Bag"}])
    second = call("query", folder, "--budget", 500, "--strategy", "margin")
    assert not {row["id"] for row in first["samples"]} & {row["id"] for row in second["samples"]}
    assert "larger than the pool" in second["notes"][-1]
    assert second["waiting"] == 4 + len(second["samples"])
    assert main(["query", str(folder), "--quiet"]) == 2


def test_it_is_told_in_words(half: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["query", str(half), "--budget", "3", "--strategy", "margin", "--encoder", "pixel", "--quiet"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "margin: 3 of" in said
    assert "hesitates between" in said
    for arguments, message in (
        (["--strategy", "margn"], "did you mean 'margin'"),
        (["--budget", "0"], "budget = 0"),
        (["--include", "train"], "split to include"),
        (["--cost", "price"], "column of costs"),
        (["--model", "net"], "no model 'net'"),
    ):
        assert main(["query", str(half), "--encoder", "pixel", "--quiet", *arguments]) == 2
        assert message in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main(["query", str(tmp_path / "empty"), "--quiet"]) == 2
    assert "Traceback" not in capsys.readouterr().err


def manifest(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def forgotten(rows: list[dict[str, Any]], *, every: int) -> list[dict[str, Any]]:
    """Return the rows with a label left in each so-manieth one."""
    return [{**row, "label": row["label"] if place % every == 0 else ""} for place, row in enumerate(rows)]


def test_texts_with_a_column_of_costs(shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = read(shared_data / "text_small" / "trec.csv")[:300]
    text = next(name for name in found[0] if name.lower() in ("text", "sentence", "question"))
    label = next(name for name in found[0] if "label" in name.lower())
    rows = [{"text": row[text], "label": row[label], "cost": 1 + len(row[text]) / 40} for row in found]
    path = manifest(tmp_path / "trec.csv", forgotten(rows, every=4))
    body = asked(capsys, path, "--budget", 30, "--strategy", "entropy", "--text", "text", "--label", "label")
    assert 0 < body["spent"] <= 30
    assert "meta.cost" in body["notes"][0]
    assert sum(row["cost"] for row in body["samples"]) == pytest.approx(body["spent"])


def test_spoken_digits(shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("soundfile", reason="soundfile (extra audio) is not installed")
    for place, path in enumerate(sorted((shared_data / "audio_digits" / "wav").rglob("*.wav"))[::10]):
        digit = path.parent.name
        inside = tmp_path / "sounds" / (digit if place % 3 == 0 else "unlabeled")
        inside.mkdir(parents=True, exist_ok=True)
        (inside / f"{digit}-{path.name}").write_bytes(path.read_bytes())
    body = asked(capsys, tmp_path / "sounds", "--budget", 12, "--strategy", "typi-clust")
    assert len({row["uri"].split("/")[-1][0] for row in body["samples"]}) >= 5  # so many different digits among 12


def test_tables(shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from scarce import io

    path = next(iter(sorted((shared_data / "tabular_imbalanced").glob("*mammography*.csv"))))
    rows = read(path)[:2000]
    label = list(rows[0])[-1]
    named = [{**{key: row[key] for key in row if key != label}, "label": row[label]} for row in rows]
    table = manifest(tmp_path / "table.csv", forgotten(named, every=10))
    assert io.read(table, label="label").schema.modality == "tabular"
    for strategy in ("rare-class", "priority", "mc-dropout"):
        body = asked(capsys, table, "--budget", 10, "--strategy", strategy, "--label", "label")
        assert len(body["samples"]) == 10


@pytest.mark.slow
def test_tiles_seen_six_times_are_asked_about_once(
    shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Frayed tiles are 2 % of the pool; the strategy for rare classes finds them from three labels."""
    found = read(shared_data / "magnetic_tile" / "index.csv")
    rows = [
        {"file": str(shared_data / "magnetic_tile" / row["image"]), "label": row["class"],
         "group": row["tile_group"]}
        for row in found
    ]  # fmt: skip
    rng = np.random.default_rng(0)
    known = set(rng.permutation(len(rows))[:200].tolist())
    rows = [{**row, "label": row["label"] if place in known else ""} for place, row in enumerate(rows)]
    path = manifest(tmp_path / "tiles.csv", rows)
    body = asked(capsys, path, "--budget", 40, "--strategy", "badge", "--group", "group", "--encoder", "pixel")
    tile = {Path(row["file"]).name: row["group"] for row in rows}
    groups = [tile[Path(row["uri"]).name] for row in body["samples"]]
    assert len(set(groups)) == len(groups) == 40
