"""Faults of annotators, sources and tables: planted into real data they are found, clean data stays silent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from scarce import audit, encode, io, modality
from scarce.audit.agreement import judge_agreement, krippendorff_alpha
from scarce.ballot import ratings_of
from scarce.dataset import Dataset
from scarce.faults import AbstractFault, Material
from scarce.faults.annotator_noise import AnnotatorNoise, annotate, confusion_of
from scarce.faults.missing_values import MissingValues, holes_by_class
from scarce.faults.source_shifted import SourceShifted

CLASSES = ("Trouser", "Dress", "Sandal", "Bag")


@pytest.fixture(scope="module")
def good(garments: Path) -> Material:
    """Real garments of four classes, the last one rare."""
    import cv2
    import pyarrow.parquet as pq

    table = pq.read_table(garments).to_pydict()
    images, labels = [], []
    for code, (name, most) in enumerate(zip(CLASSES, (80, 80, 80, 25), strict=True)):
        rows = [row for row, label in enumerate(table["label"]) if label == name][:most]
        for row in rows:
            cell: Any = table["image"][row]
            data = cell["bytes"] if isinstance(cell, dict) else cell
            images.append(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE))
            labels.append(code)
    return Material(images, np.array(labels), CLASSES)


def planted(folder: Path, fault: AbstractFault, good: Material, check: str, seed: int = 1, **settings: Any) -> Any:
    """Plant, write, read, audit; returns the dataset, the truth and the rows in the order of the material."""
    bad, truth = fault.plant(good, seed=seed)
    ds = io.read(bad.write(folder / str(seed)) / "index.csv")
    if check == "source_shift":
        ds = encode.run(modality.scan(ds), "pixel")
    ds = audit.run(ds, only=check, settings={check: settings})
    return ds, truth, np.argsort(ds["uri"].astype(str))


def lines(ds: Dataset, check: str, level: str = "data") -> list[dict[str, Any]]:
    return [row for row in ds.findings.to_pylist() if (row["check"], row["level"]) == (check, level)]


def test_annotators_err_as_their_matrices_say_and_the_careless_one_is_named(good: Material, tmp_path: Path) -> None:
    fault = AnnotatorNoise(rate=0.1, annotators=4, careless=1)
    ds, truth, order = planted(tmp_path, fault, good, "agreement")
    ratings, names = ratings_of(ds)
    assert names == ["annotator_1", "annotator_2", "annotator_3", "annotator_4"]
    right = np.array([ds.schema.classes.index(CLASSES[code]) for code in truth.labels])
    assert ((ratings[order] != right[:, None]).any(axis=1) == truth.faulty).all()
    people = [row for row in lines(ds, "agreement") if row["why"].startswith("annotator ")]
    assert people[0]["why"].startswith("annotator annotator_4 against the others")
    assert people[0]["score"] > 0.9
    assert all(row["score"] < 0.75 for row in people[1:])
    assert np.nanmean(ds["audit.agreement.score"][order][truth.faulty]) > 0.3
    assert (ds["audit.agreement.score"][order][~truth.faulty] == 0).all()


def test_agreement_of_known_matrices_is_what_theory_says() -> None:
    """Symmetric errors of rate e in K even classes: two raters agree (1-e)^2 + e^2/(K-1) of the time, by chance 1/K."""
    labels = np.tile(np.arange(4), 20_000)
    for rate in (0.05, 0.2, 0.4):
        said = annotate(labels, np.stack([confusion_of("symmetric", 4, rate)] * 3), missing=0.2, seed=3)
        agree = (1 - rate) ** 2 + rate**2 / 3
        assert krippendorff_alpha(said) == pytest.approx((agree - 0.25) / 0.75, abs=0.01)


def test_careful_annotators_raise_no_alarm(good: Material, tmp_path: Path) -> None:
    ds, _, _ = planted(tmp_path, AnnotatorNoise(rate=0.01, annotators=4, missing=0.1), good, "agreement")
    assert all(row["score"] < 0.5 for row in ds.findings.to_pylist() if row["check"] == "agreement")
    found = judge_agreement(ratings_of(ds)[0])
    assert found.alpha.low > 0.9


def test_a_second_camera_is_told_apart_and_its_pictures_are_shown(good: Material, tmp_path: Path) -> None:
    fault = SourceShifted(rate=0.4)
    ds, truth, order = planted(tmp_path, fault, good, "source_shift", column="meta.camera")
    worst = lines(ds, "source_shift")[0]
    assert "are mostly told apart" in worst["why"]
    assert worst["score"] > 0.4
    assert all(row["members"][0] in CLASSES for row in lines(ds, "source_shift", "class"))
    assert len(lines(ds, "source_shift", "class")) >= 1
    place = {sample: row for row, sample in enumerate(ds.ids[order])}
    shown = [(place[row["members"][0]], row["why"]) for row in lines(ds, "source_shift", "sample")]
    assert len(shown) == 12
    assert all(f"meta.camera {'b' if truth.faulty[row] else 'a'!r}" in why for row, why in shown)
    score = ds["audit.source_shift.score"]
    assert np.isfinite(score).all()


def test_equal_cameras_raise_no_alarm(good: Material, tmp_path: Path) -> None:
    alarms = 0
    for seed in range(4):
        fault = SourceShifted(rate=0.4, strength=0.0)
        ds, _, _ = planted(tmp_path, fault, good, "source_shift", seed, column="meta.camera")
        alarms += any(row["score"] > 0 for row in ds.findings.to_pylist() if row["check"] == "source_shift")
    assert alarms <= 1


def test_missing_values_are_counted_and_their_class_is_named(good: Material, tmp_path: Path) -> None:
    for written in ("", "?", "-999"):
        fault = MissingValues(rate=0.6, kind="by_class", written=written)
        ds, truth, order = planted(tmp_path / f"w{written.strip('?')}{len(written)}", fault, good, "missing")
        worst = lines(ds, "missing")[1]
        assert worst["score"] >= 0.7, written
        assert "column 'brightness'" in worst["why"]
        assert "whether it is missing tells the class" in worst["why"]
        assert f"{int(truth.faulty.sum())} of {len(ds)} values are missing" in worst["why"]
        assert "Bag 60.0 %" in worst["why"]
        assert ((ds["audit.missing.score"][order] > 0) == truth.faulty).all()


def test_holes_everywhere_alike_do_not_tell_the_class(good: Material, tmp_path: Path) -> None:
    for seed in range(5):
        ds, truth, order = planted(tmp_path, MissingValues(rate=0.2), good, "missing", seed)
        assert all(row["score"] < 0.5 for row in lines(ds, "missing")), seed
        assert ((ds["audit.missing.score"][order] > 0) == truth.faulty).all()


@pytest.mark.parametrize("name", ["mammography", "phoneme", "oil_spill"])
def test_real_tables(name: str, shared_data: Path, tmp_path: Path) -> None:
    """As they are, no hole is reported; with holes in the rare class, the one column with them is."""
    source = shared_data / "tabular_imbalanced" / f"{name}.csv"
    clean = audit.run(io.read(source), only="missing")
    assert lines(clean, "missing") == []
    table = pyarrow.csv.read_csv(source)
    labels = table["target"].to_numpy()
    gone = holes_by_class(labels, np.array([0.02, 0.4]), seed=2)
    spoiled = pa.array(np.where(gone, np.nan, table["f2"].to_numpy().astype(float)), from_pandas=True)
    path = tmp_path / "t.parquet"
    pa.parquet.write_table(table.set_column(2, "f2", spoiled), path)
    ds = audit.run(io.read(path), only="missing")
    serious = [row for row in lines(ds, "missing") if row["score"] >= 0.5]
    assert len(serious) == 1
    assert "column 'f2'" in serious[0]["why"]
    assert f"{int(gone.sum())} of {len(ds)} values are missing" in serious[0]["why"]
