"""Copies, leaks, conflicts, other photos of one object and spoiled pictures: found where planted, silent where not."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from scarce import audit, encode, io, modality
from scarce.audit.leakage import Leakage
from scarce.dataset import Dataset
from scarce.faults import AbstractFault, Material, Truth
from scarce.faults.blank import Blank
from scarce.faults.conflicting import Conflicting
from scarce.faults.overexposed import Overexposed
from scarce.faults.resized import Resized
from scarce.faults.retaken import Retaken
from scarce.faults.stretched import Stretched

COPIES = ("exact_duplicate", "near_duplicate", "same_object", "label_conflict", "leakage")


@pytest.fixture(scope="module")
def tiles(shared_data: Path) -> Material:
    """One real photo of each of some 150 tiles, cut to one size so that odd sizes are planted; two classes, splits."""
    import csv

    place = shared_data / "magnetic_tile"
    with (place / "index.csv").open(encoding="utf-8") as lines:
        rows = {row["tile_group"]: row for row in csv.DictReader(lines)}
    images = [cv2.imread(str(place / row["image"]), cv2.IMREAD_GRAYSCALE)[:180, :150] for row in rows.values()]
    full = [place for place, image in enumerate(images) if image.shape == (180, 150)][:150]
    labels = np.array([int(list(rows.values())[row]["class"] != "free") for row in full])
    split = np.where(np.arange(len(full)) % 3 == 0, "test", "train").astype(object)
    return Material([images[row] for row in full], labels, ("free", "defect"), split)


def read(folder: Path, material: Material, truth: Truth | None = None) -> Dataset:
    """Write, read and scan; rows are in the order of the material."""
    ds = modality.scan(io.read(material.write(folder, truth) / "index.csv"))
    return ds.take(np.argsort(ds["uri"].astype(str)))


@pytest.fixture(scope="module")
def clean(tiles: Material, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    only = [*COPIES, "bright", "low_information", "odd_size", "odd_aspect_ratio"]
    return audit.run(read(tmp_path_factory.mktemp("clean"), tiles), only)


def test_clean_photos_are_let_be(clean: Dataset) -> None:
    named = {
        (row["check"], row["why"])
        for row in clean.findings.to_pylist()
        if row["level"] in {"group", "pair"} or (row["level"] == "sample" and row["check"] != "low_information")
    }
    assert len(named) <= 2, named
    assert len([row for row in clean.findings.to_pylist() if row["check"] == "low_information"]) <= 2
    assert not np.nan_to_num(clean["audit.label_conflict.score"]).any()


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        (Overexposed(rate=0.06), "bright"), (Blank(rate=0.06), "low_information"), (Resized(rate=0.06), "odd_size"),
        (Stretched(rate=0.06), "odd_aspect_ratio"),
    ],
)  # fmt: skip
def test_spoiled_photos_are_found(fault: AbstractFault, check: str, tiles: Material, tmp_path: Path) -> None:
    bad, truth = fault.plant(tiles, seed=1)
    ds = audit.run(read(tmp_path, bad), [check])
    found = {row["members"][0] for row in ds.findings.to_pylist() if row["level"] == "sample"}
    wanted = set(ds.ids[truth.faulty].tolist())
    assert len(found & wanted) / len(wanted) >= 0.9
    assert len(found & wanted) / len(found) >= 0.9


def test_labels_that_contradict_each_other_are_found(tiles: Material, tmp_path: Path) -> None:
    bad, truth = Conflicting(rate=0.1).plant(tiles, seed=2)
    ds = audit.run(read(tmp_path, bad, truth), ["exact_duplicate", "near_duplicate", "label_conflict"])
    rows = [row for row in ds.findings.to_pylist() if row["check"] == "label_conflict"]
    found = {frozenset(row["members"]) for row in rows if row["level"] == "group"}
    wanted = {frozenset(ds.ids[[int(truth.source[row]), row]].tolist()) for row in np.flatnonzero(truth.faulty)}
    assert len(found & wanted) / len(wanted) >= 0.95
    assert len(found & wanted) / len(found) >= 0.95
    assert all("which is right?" in row["why"] for row in rows)
    assert (ds["meta.true_label"][truth.faulty] != ds.table["label"].to_numpy()[truth.faulty]).all()


def test_other_photos_of_one_object_are_found_and_leak(tiles: Material, tmp_path: Path) -> None:
    bad, truth = Retaken(rate=0.2, times=2, other_split=True).plant(tiles, seed=3)
    ds = audit.run(read(tmp_path, bad), ["near_duplicate", "same_object", "leakage"])
    score = np.fmax(ds["audit.same_object.score"], ds["audit.near_duplicate.score"])
    members = truth.faulty | np.isin(np.arange(len(ds)), truth.source[truth.faulty])
    assert (score[members] > 0).mean() >= 0.9
    assert (np.nan_to_num(score[~members]) > 0).mean() <= 0.05
    test = ds["split"] == "test"
    leaking = np.nan_to_num(ds["audit.leakage.score"])[test] > 0
    assert leaking[members[test]].mean() >= 0.9
    assert leaking[~members[test]].mean() <= 0.05


def garment_material(path: Path, count: int) -> Material:
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    table = table.take(np.random.default_rng(0).permutation(table.num_rows)[:count]).to_pydict()
    classes = tuple(sorted(set(table["label"])))
    cells = [cell["bytes"] if isinstance(cell, dict) else cell for cell in table["image"]]
    images = [cv2.imdecode(np.frombuffer(cell, np.uint8), cv2.IMREAD_GRAYSCALE) for cell in cells]
    split = np.where(np.arange(count) % 2 == 0, "test", "train").astype(object)
    return Material(images, np.array([classes.index(name) for name in table["label"]]), classes, split)


def test_the_estimate_says_how_much_of_the_score_is_leakage(garments: Path, tmp_path: Path) -> None:
    """Copies of a third of the test garments in train: the estimate is what a model loses without them."""
    from scarce.faults.leaked import Leaked

    good = garment_material(garments, 600)
    bad, truth = Leaked(rate=0.35, ways=("exact",)).plant(good, seed=4)
    ds = encode.run(read(tmp_path, bad), "pixel")
    ds = audit.run(ds, ["exact_duplicate", "leakage"])
    told = [row for row in ds.findings.to_pylist() if "of the test score are leakage" in row["why"]]
    assert len(told) == 1
    name = next(column for column in ds.wide if column.startswith("embedding."))
    rows = ds.wide[name] / np.linalg.norm(ds.wide[name], axis=1, keepdims=True)
    labels, test = ds["label"], ds["split"] == "test"
    right = []
    for train in (~test, ~test & ~truth.faulty):
        near = np.flatnonzero(train)[(rows[test] @ rows[train].T).argmax(axis=1)]
        right.append(float((labels[near] == labels[test]).mean()))
    assert told[0]["score"] == pytest.approx(right[0] - right[1], abs=0.02)
    assert told[0]["score"] > 0.03


def test_clean_splits_have_no_estimate(garments: Path, tmp_path: Path) -> None:
    ds = encode.run(read(tmp_path, garment_material(garments, 200)), "pixel")
    ds = audit.run(ds, ["exact_duplicate", "leakage"])
    assert not [row for row in ds.findings.to_pylist() if "leakage (95" in row["why"]]


def test_bursts_across_the_split_are_told(garments: Path, tmp_path: Path) -> None:
    ds = read(tmp_path, garment_material(garments, 120))
    start = np.datetime64("2026-05-04T08:00:00", "us")
    moments = start + (np.arange(120) // 2 * 60 + np.arange(120) % 2).astype("timedelta64[s]")
    ds = ds.with_columns({"captured_at": moments.tolist()})
    found = audit.run(ds, ["leakage"])
    test = found["split"] == "test"
    assert (found["audit.leakage.score"][test] >= 0.5).all()
    why = [row["why"] for row in found.findings.to_pylist()]
    assert any("taken in one burst are in test and train" in text for text in why)
    assert any("of train was taken after the first test sample" in text for text in why)
    apart = start + (np.arange(120) * 60).astype("timedelta64[s]")
    later = ds.with_columns({"captured_at": apart.tolist(), "split": ["train"] * 80 + ["test"] * 40})
    quiet = audit.run(later, ["leakage"])
    assert not [row for row in quiet.findings.to_pylist() if "burst" in row["why"] or "after the first" in row["why"]]
    days = ds.with_columns({"captured_at": [np.datetime64("2026-05-04", "us").item()] * 120})
    assert not [row for row in Leakage().measure(days).findings if "burst" in row["why"]]
