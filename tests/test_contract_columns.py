"""Contracts about the columns of real tables, and about lengths of texts, sounds and series."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from scarce import io, modality
from scarce.contract import Contract, Outcome, judge, odcs
from scarce.contract._beside import learned_range
from scarce.dataset import Dataset
from scarce.errors import ReadError
from scarce.project import Project

Change = Callable[[pa.Table], pa.Table]


def read(path: Path) -> Dataset:
    return modality.scan(io.read(path))


@pytest.fixture(scope="module")
def oil(request: pytest.FixtureRequest) -> pa.Table:
    """The oil spill table with a category and with holes, both made from its own columns."""
    folder: Path = request.getfixturevalue("shared_data")
    found = pyarrow.csv.read_csv(folder / "tabular_imbalanced" / "oil_spill.csv")
    sea = pa.array(["calm" if value < 100 else "rough" for value in found["f10"].to_pylist()])
    holes = pa.array([None if row % 10 == 0 else value for row, value in enumerate(found["f2"].to_pylist())])
    return found.append_column("sea", sea).set_column(2, "f2", holes)


@pytest.fixture(scope="module")
def promised(oil: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Contract:
    return Contract.learn(read(saved(oil, tmp_path_factory.mktemp("good") / "oil.csv")))


def saved(table: pa.Table, path: Path) -> Path:
    pyarrow.csv.write_csv(table, path)
    return path


def found(contract: Contract, path: Path) -> dict[str, Outcome]:
    limits = ("class_minimum", "min_completeness", "max_label_error_rate", "max_duplicate_rate", "min_agreement")
    return {item.rule: item for item in judge(contract, read(path))
            if item.outcome == "broken" and item.rule not in limits}  # fmt: skip


def with_values(table: pa.Table, name: str, values: object) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, pa.array(values))


def test_every_column_is_learned_with_type_completeness_and_range(promised: Contract, oil: pa.Table) -> None:
    features = {f"feature.{name}" for name in oil.column_names if name != "target"}
    assert len(features) == 50
    assert features == set(promised.columns) == set(promised.types) <= set(promised.required)
    assert promised.types["feature.f1"] == "integer"
    assert promised.types["feature.f3"] == "number"
    assert promised.completeness["feature.f2"] == 0.89  # 94 of 937 values are gone
    assert promised.completeness["feature.f3"] == 1.0
    assert promised.allowed == {"feature.sea": ("calm", "rough")}
    assert set(promised.ranges) == features - {"feature.sea"}
    for name, (low, high) in promised.ranges.items():
        seen = [value for value in oil[name.removeprefix("feature.")].to_pylist() if value is not None]
        assert low <= min(seen) <= max(seen) <= high
        if len(set(seen)) > 1:
            assert high - low > max(seen) - min(seen)
            assert high < max(seen) + 20 * (max(seen) - min(seen))
    assert promised.ranges["feature.f22"] == (0.0, 0.0)  # it never varies


def test_good_data_keeps_it(promised: Contract, oil: pa.Table, tmp_path: Path) -> None:
    assert found(promised, saved(oil, tmp_path / "again.csv")) == {}
    rng = np.random.default_rng(3)
    half = oil.take(pa.array(np.sort(rng.permutation(len(oil))[:600])))
    assert found(promised, saved(half, tmp_path / "half.csv")) == {}


@pytest.mark.parametrize(
    "case",
    [
        (lambda table: table.drop_columns(["f7"]), "required", "feature.f7 is missing"),
        (lambda table: table.append_column("f99", table["f3"]), "columns", "feature.f99: 1 columns that nobody"),
        (lambda table: with_values(table, "f3", ["high", *map(str, table["f3"].to_pylist()[1:])]), "types",
         "meta.f3 is string, number promised; 1 value is no number, such as 'high'"),
        (lambda table: with_values(table, "f1", [value + 0.5 for value in table["f1"].to_pylist()]), "types",
         "feature.f1 is double, integer promised"),
        (lambda table: with_values(table, "f3", [value * 1000 for value in table["f3"].to_pylist()]), "ranges",
         "feature.f3 is"),
        (lambda table: with_values(table, "f1", [-999, *table["f1"].to_pylist()[1:]]), "ranges", "-999 in 1 row"),
        (lambda table: with_values(table, "sea", ["Calm", *table["sea"].to_pylist()[1:]]), "allowed", "'Calm'"),
        (lambda table: with_values(table, "f4", [None] * 40 + table["f4"].to_pylist()[40:]), "completeness",
         "feature.f4 is filled in 95.7% of the rows, 100.0% promised"),
    ],
)  # fmt: skip
def test_each_change_of_a_column_is_found(
    case: tuple[Change, str, str], promised: Contract, oil: pa.Table, tmp_path: Path
) -> None:
    change, rule, words = case
    broken = found(promised, saved(change(oil), tmp_path / "changed.csv"))
    assert list(broken) == [rule]
    assert words in broken[rule].what
    assert broken[rule].level == ("warning" if rule == "columns" else "error")
    if rule == "ranges" and "-999" in words:
        assert broken[rule].examples == ("changed.csv#0",)


def test_nan_of_a_parquet_file_is_missing(promised: Contract, oil: pa.Table, tmp_path: Path) -> None:
    values = [float("nan") if row < 100 else value for row, value in enumerate(oil["f3"].to_pylist())]
    path = tmp_path / "holes.parquet"
    pyarrow.parquet.write_table(with_values(oil, "f3", values), path)
    broken = found(promised, path)
    assert list(broken) == ["completeness"]
    assert "feature.f3 is filled in 89.3% of the rows" in broken["completeness"].what


def test_the_standard_lists_every_column_and_brings_it_back(promised: Contract) -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed: pip install 'scarce[contract]'")
    from importlib.resources import files
    from json import loads

    text = odcs.dumps(promised, name="oil")
    listed = {item["name"]: item for item in yaml.safe_load(text)["schema"][0]["properties"]}
    assert set(promised.columns) <= set(listed)
    assert listed["feature.f3"]["physicalName"] == "f3"
    assert listed["feature.f3"]["logicalType"] == "number"
    assert listed["feature.f3"]["required"] is True
    assert listed["feature.f3"]["logicalTypeOptions"]["maximum"] == promised.ranges["feature.f3"][1]
    back = odcs.loads(text)
    assert back.contract == promised
    assert back.notes == ()
    assert odcs.dumps(back.contract, base=back.document) == text
    jsonschema = pytest.importorskip("jsonschema", reason="the oracle jsonschema is not installed")
    pytest.importorskip("open_data_contract_standard", reason="the oracle open-data-contract-standard is not installed")
    schema = loads(files("open_data_contract_standard").joinpath("schema.json").read_text("utf-8"))
    valid = jsonschema.validators.validator_for(schema)(schema)
    assert [error.message for error in valid.iter_errors(yaml.safe_load(text))] == []


def test_names_that_others_wrote_mean_the_columns_of_the_table(oil: pa.Table, tmp_path: Path) -> None:
    path = saved(oil, tmp_path / "oil.csv")
    made = Contract(required=("f3", "sea", "gone"), ranges={"f3": (0, 10.0)}, types={"sea": "number"})
    broken = found(made, path)
    assert broken["required"].examples == ("gone",)
    assert "feature.f3 is" in broken["ranges"].what
    assert "feature.sea is string, number promised" in broken["types"].what


@pytest.mark.parametrize(
    ("file", "ranges"),
    [
        ("text_small/trec.csv", {"scan.length": (0.0, 439.0)}),
        ("audio_digits/index.csv", {"scan.rate": (8000.0, 8000.0), "scan.channels": (1.0, 1.0)}),
        ("time_series/Wafer.npz", {"scan.length": (152.0, 152.0), "scan.channels": (1.0, 1.0)}),
    ],
)
def test_lengths_rates_and_channels_are_learned(file: str, ranges: dict[str, object], shared_data: Path) -> None:
    ds = read(shared_data / file)
    made = Contract.learn(ds)
    assert {name: made.ranges[name] for name in ranges} == ranges
    assert odcs.loads(odcs.dumps(made)).contract == made
    rules = {item.rule: item.outcome for item in judge(made, ds)}
    assert rules["ranges"] == "holds"
    longer = {name: array * 5 for name, array in ds.wide.items() if name in made.ranges}
    broken = next(item for item in judge(made, ds.with_columns(longer)) if item.rule == "ranges")
    assert broken.outcome == "broken"
    bare = next(item for item in judge(made, replace(ds, wide={})) if item.rule == "ranges")
    assert (bare.outcome, bare.what) == ("unknown", f"{', '.join(made.ranges)}: not measured")


def test_a_commit_looks_at_the_version_and_not_at_files(promised: Contract, oil: pa.Table, tmp_path: Path) -> None:
    path = saved(oil, tmp_path / "oil.csv")
    with Project.init(tmp_path / "p") as project:
        project.commit(read(path), "read", owner=("io", "clean"))
        (tmp_path / "p" / "contract.toml").write_text(promised.to_toml(), encoding="utf-8")
        project.commit(project.dataset().with_columns({"meta.new": np.arange(len(oil))}), "more")  # columns only warn
        path.unlink()
        project.commit(project.dataset(), "again")
        with pytest.raises(ReadError, match=r"oil\.csv cannot be read"):
            judge(promised, project.dataset())


def test_learned_ranges_of_odd_columns() -> None:
    def column(values: object, kind: pa.DataType | None = None) -> pa.ChunkedArray:
        return pa.chunked_array([pa.array(values, kind)])

    assert learned_range(column([None, None], pa.float64())) is None
    assert learned_range(column(range(100))) is None  # it numbers the rows
    assert learned_range(column(["a", "b"])) is None
    assert learned_range(column([True, False])) is None
    assert learned_range(column([2.5, 2.5])) == (2.5, 2.5)
    low, high = learned_range(column([-5.0, float("inf"), 1.0, None, 7.0])) or (0.0, 0.0)
    assert -20 < low < -5
    assert 7 < high < 30
    assert learned_range(column([0, 1, 1, 0, 3])) == (0.0, 5.0)
