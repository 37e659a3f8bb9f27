"""Faults of real tables: planted they are found by their audit, and the table as it is stays silent about them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv
import pytest

from scarce import audit, encode, io, modality
from scarce.dataset import Dataset
from scarce.errors import DataError
from scarce.faults import AbstractFault, Material
from scarce.faults.blurred import Blurred
from scarce.faults.conflicting import Conflicting
from scarce.faults.duplicated import Duplicated
from scarce.faults.label_flip import LabelFlip
from scarce.faults.leaked import Leaked
from scarce.faults.missing_values import MissingValues
from scarce.faults.mixed_in import MixedIn
from scarce.faults.shortcut import Shortcut
from scarce.faults.unit_mistake import UnitMistake


@pytest.fixture(scope="module")
def good(request: pytest.FixtureRequest) -> Material:
    """1,200 rows of the phoneme table without repeated rows, a fifth of them in the test."""
    folder: Path = request.getfixturevalue("shared_data")
    table = pyarrow.csv.read_csv(folder / "tabular_imbalanced" / "phoneme.csv").to_pandas()
    table = table.drop_duplicates(subset=[f"f{at}" for at in range(5)]).iloc[:1200]
    split = np.where(np.arange(len(table)) % 5 == 0, "test", "train").astype(object)
    labels = (table["target"].to_numpy() > 0).astype(int)
    return Material.of_table({f"f{at}": table[f"f{at}"].to_numpy() for at in range(5)}, labels, ("0", "1"), split)


def judged(folder: Path, material: Material, *checks: str) -> tuple[Dataset, Any]:
    """Write, read and audit; return the dataset and its rows in the order of the material."""
    ds = modality.scan(io.read(material.write(folder) / "table.csv", label="label", split="split"))
    if any("embedding" in need for name in checks for need in audit_needs(name)):
        ds = encode.run(ds)
    ds = audit.run(ds, only=list(checks))
    return ds, np.argsort([int(uri.split("#")[1].split(":")[0]) for uri in ds["uri"]])


def audit_needs(name: str) -> tuple[str, ...]:
    from scarce import registry
    from scarce.audit import AbstractCheck

    needs: tuple[str, ...] = registry.load("audit", name, AbstractCheck).needs  # type: ignore[type-abstract]
    return needs


def said(ds: Dataset, check: str, level: str = "data") -> list[str]:
    return [row["why"] for row in ds.findings.to_pylist() if (row["check"], row["level"]) == (check, level)]


CASES = [
    (MissingValues(rate=0.1, column="f2"), "missing", "column 'f2': 120 of 1200 values are missing"),
    (MissingValues(rate=0.5, column="f2", kind="by_class"), "missing", "whether it is missing tells the class"),
    (UnitMistake(column="f1"), "table_schema", "column 'f1': 4 values are farther from all others"),
    (Shortcut(kind="column"), "spurious", "column station"),
    (Shortcut(kind="column", rate=1.0), "table_schema", "column 'station' tells the class exactly"),
]


@pytest.mark.parametrize(("fault", "check", "words"), CASES)
def test_a_planted_fault_is_named(fault: AbstractFault, check: str, words: str, good: Material, tmp_path: Path) -> None:
    clean, _ = judged(tmp_path / "clean", good, check)
    bad, truth = fault.plant(good, seed=1)
    ds, order = judged(tmp_path / "bad", bad, check)
    assert not any(words in why for why in (*said(clean, check), *said(clean, check, "class")))
    assert any(words in why for why in (*said(ds, check), *said(ds, check, "class")))
    if check in {"missing", "table_schema"} and not isinstance(fault, Shortcut):
        assert ((ds[f"audit.{check}.score"][order] > 0) == truth.faulty).all()


def test_copies_leaks_and_conflicts_of_rows_are_found(good: Material, tmp_path: Path) -> None:
    for fault, check in ((Duplicated(rate=0.03), "exact_duplicate"), (Leaked(rate=0.2), "leakage")):
        bad, truth = fault.plant(good, seed=2)
        ds, order = judged(tmp_path / check, bad, "exact_duplicate", "leakage")
        score = ds[f"audit.{check}.score"][order]
        both = np.r_[np.flatnonzero(truth.faulty), truth.source[truth.faulty]]
        told = np.nan_to_num(score)  # leakage judges the test side only
        assert (np.maximum(told[truth.faulty], told[truth.source[truth.faulty]]) > 0.5).all()
        assert check == "leakage" or (told[both] > 0.5).all()
        rest = np.ones(len(score), bool)
        rest[both] = False
        assert not (told[rest] > 0.5).any()
    bad, truth = Conflicting(rate=0.02).plant(good, seed=2)
    ds, order = judged(tmp_path / "conflict", bad, "exact_duplicate", "label_conflict")
    told = [row for row in ds.findings.to_pylist() if row["check"] == "exact_duplicate" and row["level"] == "group"]
    assert len(told) == int(truth.faulty.sum())
    assert all("conflicting labels" in row["why"] for row in told)


@pytest.mark.parametrize("kind", ["symmetric", "annotator"])
def test_flipped_labels_of_rows_come_first(kind: Any, good: Material, tmp_path: Path) -> None:
    bad, truth = LabelFlip(rate=0.05, kind=kind).plant(good, seed=3)
    ds, order = judged(tmp_path, bad, "label_error")
    score = ds["audit.label_error.score"][order]
    ranked = np.argsort(-score)[: int(truth.faulty.sum())]
    assert truth.faulty[ranked].mean() > 2.5 * truth.faulty.mean()


def test_foreign_rows_are_outliers(good: Material, tmp_path: Path) -> None:
    foreign = [row * 3 + 9 for row in good.images[:50]]
    bad, truth = MixedIn(rate=0.01).plant_from(good, foreign, seed=4)
    ds, order = judged(tmp_path, bad, "outlier")
    score = ds["audit.outlier.score"][order]
    assert (score[truth.faulty][:, None] > score[~truth.faulty]).mean() > 0.9


def test_the_truth_lies_beside_the_table_and_faults_of_pictures_are_refused(good: Material, tmp_path: Path) -> None:
    bad, truth = UnitMistake(column="f1").plant(good, seed=1)
    folder = bad.write(tmp_path, truth)
    with (folder / "truth.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["fault"] == "unit_mistake" for row in rows] == truth.faulty.tolist()
    assert "true_label" not in (folder / "table.csv").read_text(encoding="utf-8").splitlines()[0]
    with pytest.raises(DataError, match="it spoils pictures"):
        Blurred().plant(good)
    with pytest.raises(DataError, match="no number"):
        MissingValues(written="?").plant(good)
    with pytest.raises(DataError, match="no columns of numbers"):
        Material.of_table({"a": np.array(["x"])}, np.zeros(1, int), ("0",))
