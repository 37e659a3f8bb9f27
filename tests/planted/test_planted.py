"""Every fault is planted into real pictures, and its audit must find it with the stated precision and recall."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scarce import audit, encode, io, modality
from scarce.dataset import Dataset
from scarce.faults import AbstractFault, Material, Truth
from scarce.faults.blurred import Blurred
from scarce.faults.darkened import Darkened
from scarce.faults.duplicated import Duplicated
from scarce.faults.label_flip import LabelFlip
from scarce.faults.leaked import Leaked
from scarce.faults.mixed_in import MixedIn

CLASSES = ("Trouser", "Pullover", "Dress", "Sandal", "Bag", "Ankle boot")


def precision_recall(truth: np.ndarray, found: np.ndarray) -> tuple[float, float]:
    hits = float((truth & found).sum())
    return hits / max(found.sum(), 1), hits / max(truth.sum(), 1)


@pytest.fixture(scope="module")
def good(garments: Path) -> Material:
    """Real garments of six classes: at most 130 a class from train, 30 a class from test."""
    import cv2
    import pyarrow.parquet as pq

    table = pq.read_table(garments).to_pydict()
    images, labels, split = [], [], []
    for code, name in enumerate(CLASSES):
        for part, most in (("train", 130), ("test", 30)):
            rows = [
                r
                for r, (label, where) in enumerate(zip(table["label"], table["split"], strict=True))
                if (label, where) == (name, part)
            ]
            for row in rows[:most]:
                images.append(cv2.imdecode(np.frombuffer(_bytes(table["image"][row]), np.uint8), cv2.IMREAD_GRAYSCALE))
                labels.append(code)
                split.append(part)
    return Material(images, np.array(labels), CLASSES, np.array(split, object))


def _bytes(cell: Any) -> bytes:
    return cell["bytes"] if isinstance(cell, dict) else cell


def audited(
    folder: Path, fault: AbstractFault, good: Material, only: Sequence[str], *, encoder: str = "", **settings: Any
) -> tuple[Dataset, Truth, Any]:
    """Plant, write to disk, read back, audit; rows are in the order of the material."""
    bad, truth = fault.plant(good, seed=1)
    ds = modality.scan(io.read(bad.write(folder) / "index.csv"))
    if encoder:
        ds = encode.run(ds, encoder)
    ds = audit.run(ds, only=only, settings=settings)
    return ds, truth, np.argsort(ds["uri"].astype(str))


@pytest.mark.parametrize(
    ("kind", "rate", "least"),
    [
        ("symmetric", 0.1, (0.7, 0.8)),
        ("symmetric", 0.3, (0.7, 0.8)),
        ("asymmetric", 0.1, (0.7, 0.8)),
        ("annotator", 0.1, (0.6, 0.6)),
    ],
)
def test_flipped_labels_are_found(
    kind: Any, rate: float, least: tuple[float, float], good: Material, tmp_path: Path
) -> None:
    ds, truth, order = audited(tmp_path, LabelFlip(kind=kind, rate=rate), good, ["label_error"], encoder="pixel")
    found = (np.nan_to_num(ds["audit.label_error.score"]) > 0.5)[order]
    precision, recall = precision_recall(truth.faulty, found)
    assert precision >= least[0]
    assert recall >= least[1]


def test_flips_into_and_out_of_the_rare_class_are_found(good: Material, tmp_path: Path) -> None:
    ds, truth, order = audited(tmp_path, LabelFlip(kind="rare", rate=0.2), good, ["label_error"], encoder="pixel")
    found = (np.nan_to_num(ds["audit.label_error.score"]) > 0.5)[order]
    precision, recall = precision_recall(truth.faulty, found)
    assert recall >= 0.8
    assert precision >= 0.2


def test_copies_are_found_and_grouped_with_their_original(good: Material, tmp_path: Path) -> None:
    fault = Duplicated(rate=0.1, ways=("exact", "jpeg", "brighter", "flip"))
    ds, truth, order = audited(tmp_path, fault, good, ["exact_duplicate", "near_duplicate"])
    place = np.empty(len(order), int)
    place[order] = np.arange(len(order))
    pairs = set()
    for row in ds.findings.to_pylist():
        if row["level"] == "group":
            members = sorted(place[ds.rows_of(row["members"])].tolist())
            pairs |= {(a, b) for a in members for b in members if a < b}
    wanted = {(int(source), int(row)) for row, source in enumerate(truth.source) if truth.faulty[row]}
    assert len(wanted & pairs) / len(wanted) >= 0.95
    assert len(wanted & pairs) / len(pairs) >= 0.95
    exact = {(int(truth.source[row]), row) for row in np.flatnonzero(truth.how == "exact")}
    score = ds["audit.exact_duplicate.score"][order]
    assert all(score[a] == score[b] == 1 for a, b in exact)


def test_leaks_are_found(good: Material, tmp_path: Path) -> None:
    ds, truth, order = audited(tmp_path, Leaked(rate=0.2), good, ["leakage"])
    leaking = np.zeros(len(order), bool)
    leaking[truth.source[truth.faulty]] = True
    found = (np.nan_to_num(ds["audit.leakage.score"]) > 0.5)[order]
    precision, recall = precision_recall(leaking, found)
    assert precision >= 0.95
    assert recall >= 0.95
    assert any("test samples" in row["why"] for row in ds.findings.to_pylist() if row["level"] == "data")


@pytest.mark.slow
def test_foreign_pictures_are_found(good: Material, tmp_path: Path) -> None:
    rows = np.arange(0, len(good.images), 3)
    some = Material([good.images[row] for row in rows], good.labels[rows], good.classes)
    settings = {"outlier": {"false_alarm_rate": 0.001}}
    ds, truth, order = audited(tmp_path, MixedIn(rate=0.02), some, ["outlier"], encoder="auto", **settings)
    place = {sample: row for row, sample in enumerate(ds.ids[order])}
    found = np.zeros(len(order), bool)
    found[[place[row["members"][0]] for row in ds.findings.to_pylist() if row["level"] == "sample"]] = True
    precision, recall = precision_recall(truth.faulty, found)
    assert recall >= 0.8
    assert precision >= 0.8


def test_dark_pictures_are_found(good: Material, tmp_path: Path) -> None:
    ds, truth, order = audited(tmp_path, Darkened(rate=0.04), good, ["dark"])
    precision, recall = precision_recall(truth.faulty, (np.nan_to_num(ds["audit.dark.score"]) >= 0.5)[order])
    assert recall >= 0.95
    assert precision >= 0.95


def photographs(folder: Path, most: int) -> Material:
    import cv2

    paths = sorted(path for path in folder.rglob("*.*") if path.suffix in {".jpg", ".png"})
    paths = paths[:: max(1, len(paths) // most)]
    images = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in paths]
    return Material(images, np.zeros(len(images), int), ("part",))


@pytest.mark.parametrize("fault", ["blurred", "darkened"])
def test_spoiled_photographs_are_found(fault: str, shared_data: Path, tmp_path: Path) -> None:
    """Magnetic tiles: plain surfaces, on which other tools call half of the pictures blurred."""
    good = photographs(shared_data / "magnetic_tile" / "images", 220)
    plugin, check = {"blurred": (Blurred(rate=0.08), "blurred"), "darkened": (Darkened(rate=0.08), "dark")}[fault]
    ds, truth, order = audited(tmp_path, plugin, good, [check])
    found = (np.nan_to_num(ds[f"audit.{check}.score"]) >= 0.5)[order]
    precision, recall = precision_recall(truth.faulty, found)
    assert recall >= 0.8
    assert precision >= 0.9


def test_copied_photographs_are_found(shared_data: Path, tmp_path: Path) -> None:
    good = photographs(shared_data / "deep_pcb" / "template", 200)
    fault = Duplicated(rate=0.15, ways=("exact", "jpeg", "blur", "brighter", "flip"))
    ds, truth, order = audited(tmp_path, fault, good, ["near_duplicate"])
    found = (ds["audit.near_duplicate.score"] > 0)[order]
    wanted = truth.faulty.copy()
    wanted[truth.source[truth.faulty]] = True
    precision, recall = precision_recall(wanted, found)
    assert recall >= 0.95
    assert precision >= 0.75
