from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scarce import audit, io
from scarce.audit.missing import Missing, missing_values
from scarce.audit.table_schema import TableSchema
from scarce.dataset import Dataset, Schema
from scarce.errors import ConfigError
from scarce.testing import check_audit

N = 240


def table(**columns: Any) -> Dataset:
    """A manifest: two classes, real-looking columns, and what a test adds."""
    rng = np.random.default_rng(0)
    labels = ["good"] * 200 + ["hole"] * 40
    values: dict[str, Any] = {
        "light": rng.normal(100, 15, N), "camera": rng.choice(["a", "b", "c"], N).tolist(),
        "day": [f"2024-0{month}-1{day}" for month, day in rng.integers(1, 9, (N, 2))], "weight": rng.lognormal(0, 1, N),
        "count": rng.poisson(3, N),
    } | columns  # fmt: skip
    body = {"id": [f"s{row:04d}" for row in range(N)], "label": labels}
    shown = {f"meta.{name}": pa.array(value) for name, value in values.items()}
    return Dataset.from_columns(Schema(classes=("good", "hole")), body | shown)


def told(ds: Dataset, **settings: Any) -> list[dict[str, Any]]:
    found = audit.run(ds, only="table_schema", settings={"table_schema": settings}).findings.to_pylist()
    return [row for row in found if (row["check"], row["level"]) == ("table_schema", "data")]


def test_clean_columns_are_silent() -> None:
    assert told(table()) == []
    for check in (TableSchema(), Missing()):
        check_audit(
            check, table(weight=[None, -999.0, -999.0, -999.0, *range(N - 4)], odd=["1", "x", *["3"] * (N - 2)])
        )


@pytest.mark.parametrize("name", ["mammography", "phoneme"])
def test_real_tables_are_silent(name: str, shared_data: Path) -> None:
    assert told(io.read(shared_data / "tabular_imbalanced" / f"{name}.csv")) == []


def test_a_real_table_with_a_constant_column(shared_data: Path) -> None:
    why = [row["why"] for row in told(io.read(shared_data / "tabular_imbalanced" / "oil_spill.csv"))]
    assert "column 'f22' holds 0 everywhere: it tells nothing" in why


def test_a_real_column_that_is_the_label_in_other_words(shared_data: Path) -> None:
    """The reviews' stars decide their label."""
    worst = told(io.read(shared_data / "text_korean"))[0]
    assert worst["score"] >= 0.9
    assert "'rating' tells the class exactly" in worst["why"]


def cell(values: list[Any], **at: Any) -> list[Any]:
    out = list(values)
    for place, value in at.items():
        out[int(place[1:])] = value
    return out


NUMBERS = [str(value) for value in np.random.default_rng(1).integers(10, 90, N)]
LENGTHS = np.random.default_rng(2).normal(20, 2, N)
DAYS = [f"2024-03-{1 + row % 28:02d}" for row in range(N)]


@pytest.mark.parametrize(
    ("values", "words", "least"),
    [
        ([None] * N, "is empty", 0.3),
        (["x"] * N, "holds 'x' everywhere", 0.3),
        (
            cell(NUMBERS, _5="broken", _9="12 mm"),
            "mixes types: 2 of 240 values are no numbers ('12 mm', 'broken')",
            0.5,
        ),
        (cell(LENGTHS.tolist(), _7=20_000.0), "1 values are farther from all others", 0.5),
        (cell(LENGTHS.tolist(), _7=float("inf")), "1 values are infinite", 0.5),
        ([f"{row:05d}x" for row in range(N)], "its order tells the class", 0.3),
        ((2.54 * table()["meta.light"] + 1).tolist(), "says the same as column 'light'", 0.4),
        (table()["meta.camera"].tolist(), "holds the same values as column 'camera'", 0.4),
        (["p"] * 120 + ["q"] * 80 + ["r"] * 40, "tells the class exactly", 0.9),
        (cell(DAYS, _3="soon"), "holds dates, but 1 values are none ('soon')", 0.5),
        ([*DAYS[:120], *("03/04/2024",) * 120], "writes dates in 2 ways", 0.5),
        (cell(DAYS, _3="1970-01-01", _4="1970-01-01"), "2 dates stand for no date", 0.5),
    ],
)
def test_each_fault_is_found_alone(values: list[Any], words: str, least: float) -> None:
    found = told(table(planted=values))
    assert len(found) == 1, found
    assert "'planted'" in found[0]["why"]
    assert words in found[0]["why"]
    assert found[0]["score"] >= least


def test_single_values_name_their_samples() -> None:
    ds = audit.run(table(planted=cell(LENGTHS.tolist(), _7=20_000.0)), only="table_schema")
    rows = [row for row in ds.findings.to_pylist() if row["level"] == "sample"]
    assert [row["members"] for row in rows] == [["s0007"]]
    assert np.flatnonzero(ds["audit.table_schema.score"]).tolist() == [7]


def test_limits() -> None:
    ds = table(age=np.r_[np.arange(20, 60), np.full(N - 40, 30)])
    found = told(ds, limits=["age:0:50", "unknown:1:2"])
    assert "9 values are outside 0 to 50" in found[0]["why"]
    with pytest.raises(ConfigError, match="name:low:high"):
        told(ds, limits=["age:none"])


def test_row_numbers_of_a_sorted_table_leak_and_shuffled_ones_do_not(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    labels = np.repeat(["a", "b"], [150, 50])
    for order, leaks in ((np.arange(200), True), (rng.permutation(200), False)):
        path = tmp_path / f"t{leaks}.parquet"
        pq.write_table(pa.table({"serial": order, "x": rng.random(200), "label": labels}), path)
        found = told(io.read(path))
        assert len(found) == 1
        assert ("tells the class" in found[0]["why"]) == leaks
        assert "it is a feature: leave it out" in found[0]["why"]
        assert (found[0]["score"] >= 0.9) == leaks


def test_files_of_several_splits_are_joined_in_the_rows_order(tmp_path: Path) -> None:
    for name, start in (("train", 0), ("test", 100)):
        x = np.arange(start, start + 100) * 1.5
        pq.write_table(pa.table({"x": x, "y2": x + 1, "label": ["a", "b"] * 50}), tmp_path / f"{name}.parquet")
    found = told(io.read(tmp_path))
    assert [row["why"].split(":")[0] for row in found] == ["column 'y2' says the same as column 'x'"]


def test_missing_values_in_every_disguise() -> None:
    for values, gone, written in (
        (np.r_[np.arange(37.0), [np.nan] * 3], 3, ""), (np.r_[np.arange(37), [-999] * 3], 3, "-999"),
        (np.r_[np.arange(60), [99] * 3], 0, ""), (["a", "b"] * 18 + ["?", "N/A", "", " "], 4, "'?', 'N/A'"),
        (np.r_[np.zeros(20), np.ones(17), [-1] * 3], 0, ""),
    ):  # fmt: skip
        found = missing_values(np.array(values), np.zeros(len(values), int), 1)
        assert found.mask.sum() == gone, written
        assert set(found.written.split(", ")) == set(written.split(", "))
        assert found.p == 1
    assert missing_values(np.array([np.nan, 1.0]), np.array([-1, -1]), 2).strength == 0


def test_missing_strength_equals_scipy() -> None:
    from scipy.stats.contingency import association

    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 500)
    gone = rng.random(500) < np.array([0.1, 0.2, 0.5])[labels]
    found = missing_values(np.where(gone, np.nan, 1.0), labels, 3)
    crossed = np.stack([np.bincount(labels[gone], minlength=3), np.bincount(labels[~gone], minlength=3)])
    assert found.strength == pytest.approx(association(crossed, method="cramer"))
    assert found.by_class == pytest.approx(crossed[0] / crossed.sum(0))
