"""People refuse made pictures: in the folder before they become rows, in the review queue afterwards."""

from __future__ import annotations

import csv
import json
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scarce import io, modality, synthesize
from scarce.cli import main
from scarce.dataset import Dataset, Schema
from scarce.errors import DataError, ReadError
from scarce.project import Project


@pytest.fixture(scope="module")
def tiles(shared_data: Path) -> Dataset:
    """Twelve sound tiles and six with blowholes, all train."""
    root = shared_data / "magnetic_tile"
    with (root / "index.csv").open() as file:
        every = list(csv.DictReader(file))
    rows = [row for name, n in (("free", 12), ("blowhole", 6)) for row in [r for r in every if r["class"] == name][:n]]
    values = {
        "id": [f"{row:03d}" for row in range(len(rows))], "uri": [row["image"] for row in rows],
        "source": ["tiles"] * len(rows), "label": [row["class"] for row in rows],
        "mask_uri": [row["mask"] or None for row in rows], "split": ["train"] * len(rows),
    }  # fmt: skip
    schema = Schema(classes=("free", "blowhole"), normal_classes=("free",))
    return Dataset.from_columns(schema, values, sources={"tiles": str(root)})


def read(place: Path) -> list[dict[str, str]]:
    with place.open(newline="") as file:
        return list(csv.DictReader(file))


def write(place: Path, table: list[dict[str, str]]) -> None:
    with place.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)


def veto(out: Path, row: int, reason: str) -> str:
    """Write a reason into the manifest; return the file that it is about."""
    table = read(out / "manifest.csv")
    table[row]["veto"] = reason
    write(out / "manifest.csv", table)
    return table[row]["file"]


def test_vetoed_ones_never_become_rows_and_others_are_made(
    tiles: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Project.init(tmp_path / "p") as project:
        project.commit(modality.scan(tiles), "tiles", owner="io")
    out = tmp_path / "o"
    words = ["synthesize", "hole", str(tmp_path / "p"), "--class", "blowhole", "--n", "6", "--out", str(out),
             "--no-screen", "--json", "--quiet"]  # fmt: skip
    assert main(words) == 0
    capsys.readouterr()
    first = {path.name for path in (out / "images" / "train").iterdir()}
    said = veto(out, 1, "looks drawn")
    gone = min(first - {Path(said).name})
    (out / "images" / "train" / gone).unlink()
    assert main([*words, "--add"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert (body["accepted"], body["added"]) == (6, 6)
    assert body["reasons"] == {"veto: looks drawn": 1, "veto: a person deleted the picture": 1}
    left = {path.name for path in (out / "images" / "train").iterdir()}
    assert len(left) == 6
    assert not left & {Path(said).name, gone}
    assert {path.name for path in (out / "masks").iterdir()} == left
    assert len(io.read(out / "instances_train.json")) == len(io.read(out / "data.yaml")) == 6
    with (out / "manifest.csv").open(newline="") as file:
        assert {Path(row["file"]).name for row in csv.DictReader(file)} == left
    assert (
        main(["review", str(tmp_path / "p"), "--kind", "synthetic", "--csv", str(tmp_path / "q.csv"), "--quiet"]) == 0
    )
    table = read(tmp_path / "q.csv")
    assert len(table) == 6
    for number, row in enumerate(table):
        row["answer"] = "set aside" if number < 2 else "right"
    write(tmp_path / "q.csv", table)
    assert main(["review", str(tmp_path / "p"), "--answers", str(tmp_path / "q.csv"), "--quiet"]) == 0
    refused = {row["sample"] for row in table[:2]}
    with Project.open(tmp_path / "p") as project:
        ds = project.dataset()
    made = ds["origin"] == "synthetic"
    assert set(ds.ids[made & ~ds["keep"].astype(bool)]) == refused
    assert all("a person set it aside" in why for why in ds["drop_reason"][ds.rows_of(sorted(refused))])
    view = ds.fold(ds.ids[~made], ())
    assert (view.train["origin"] == "synthetic").sum() == 4
    assert not refused & set(view.train.ids)
    capsys.readouterr()
    assert main([*words, "--add"]) == 0
    assert json.loads(capsys.readouterr().out)["added"] == 0


def test_a_manifest_that_was_spoilt_is_explained(tiles: Dataset, tmp_path: Path) -> None:
    how: dict[str, Any] = {"label": "blowhole", "out": tmp_path / "o"}
    synthesize.make(tiles, "hole", n=2, **how)
    (tmp_path / "o" / "manifest.csv").write_text("picture\nhole_000000.png\n")
    with pytest.raises(DataError, match="no column 'file'"):
        synthesize.make(tiles, "hole", n=3, **how)
    (tmp_path / "o" / "manifest.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ReadError, match="cannot be read"):
        synthesize.make(tiles, "hole", n=3, **how)
    (tmp_path / "o" / "manifest.csv").unlink()
    assert synthesize.make(tiles, "hole", n=3, **how).accepted == 3


@pytest.mark.parametrize("what", ["picture", "tries"])
def test_a_disk_that_takes_no_more_keeps_what_is_finished(tiles: Dataset, tmp_path: Path, what: str) -> None:
    how: dict[str, Any] = {"label": "blowhole", "seed": 4}
    whole = synthesize.make(tiles, "hole", n=12, out=tmp_path / "a", **how)
    most = (tmp_path / "a" / "tries.jsonl").stat().st_size - 200 if what == "tries" else 3_000
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        with pytest.raises(ReadError, match="what is finished is kept") as error:
            synthesize.make(tiles, "hole", n=12, out=tmp_path / "b", **how)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "cannot be written" in str(error.value)
    again = synthesize.make(tiles, "hole", n=12, out=tmp_path / "b", **how)
    assert (again.accepted, again.rejected) == (whole.accepted, whole.rejected)
    one, two = (sorted(p for p in (tmp_path / name / "images" / "train").iterdir()) for name in "ab")
    assert [path.name for path in one] == [path.name for path in two]
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(one, two, strict=True))
    assert np.array_equal(*(np.sort(io.read(tmp_path / name / "instances_train.json").ids) for name in "ab"))
