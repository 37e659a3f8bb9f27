"""Texts, feature tables and series, drawn and real."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scarce import io
from scarce.errors import DataError


def told(ds: object, words: str) -> list[str]:
    return [row["why"] for row in ds.findings.to_pylist() if words in row["why"]]  # type: ignore[attr-defined]


def row_of(ds: object, number: int) -> int:
    uris = ds["uri"].tolist()  # type: ignore[index]
    return int(next(row for row, uri in enumerate(uris) if f"#{number}:" in uri))


def test_features_without_label_split_and_row_number(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "id,b,a,ok,kind,target,split\n1,1.5,10,true,red,0,train\n2,,20,false,blue,1,test\n3,3.5,30,true,red,0,train\n"
    )
    ds = io.read(tmp_path / "t.csv")
    assert ds.schema.modality == "tabular"
    assert ds.schema.classes == ("0", "1")
    rows = io.fetch(ds, [row_of(ds, number) for number in range(3)])
    matrix = np.stack([np.asarray(row) for row in rows])
    assert matrix.shape == (3, 3 + 16)
    np.testing.assert_array_equal(matrix[:, 0], [10, 20, 30])  # sorted by name: a, b, kind (16), ok
    np.testing.assert_array_equal(matrix[:, 1], [1.5, np.nan, 3.5])
    np.testing.assert_array_equal(matrix[:, -1], [1, 0, 1])
    np.testing.assert_array_equal(matrix[0, 2:18], matrix[2, 2:18])
    assert (matrix[0, 2:18] != matrix[1, 2:18]).any()
    assert {"meta.id", "meta.kind"} <= set(ds.table.column_names)
    assert "meta.a" not in ds.table.column_names


def test_the_last_column_is_the_label_and_it_is_said(tmp_path: Path) -> None:
    lines = [f"{row},{row * 2.5},{'ab'[row % 2]}" for row in range(20)]
    (tmp_path / "t.csv").write_text("u,v,outcome\n" + "\n".join(lines))
    ds = io.read(tmp_path / "t.csv")
    assert ds.schema.classes == ("a", "b")
    assert told(ds, "the last column, 'outcome'")
    none = io.read(tmp_path / "t.csv", label="")
    assert none.schema.classes == ()
    assert np.asarray(io.fetch(none, [0])[0]).shape == (2 + 16,)
    assert np.asarray(io.fetch(ds, [0])[0]).shape == (2,)


def test_a_number_is_no_class(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savetxt(tmp_path / "t.csv", rng.normal(size=(200, 3)), delimiter=",", header="u,v,w", comments="")
    ds = io.read(tmp_path / "t.csv")
    assert ds.schema.classes == ()
    assert told(ds, "('w') has 200 values")


def test_decimal_commas_and_missing_marks(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("u;v;class\n1,5;NA;x\n2,5;3;y\n?;4;x\n")
    ds = io.read(tmp_path / "t.csv")
    matrix = np.stack([np.asarray(io.fetch(ds, [row_of(ds, number)])[0]) for number in range(3)])
    np.testing.assert_array_equal(matrix, [[1.5, np.nan], [2.5, 3], [np.nan, 4]])


def test_tables_of_several_splits(tmp_path: Path) -> None:
    for name, rows in (("train", 6), ("validation", 2), ("test", 3)):
        columns = {"x": np.arange(rows) * 1.0, "label": ["a", "b"][: 1 + rows % 2] * rows}
        pq.write_table(pa.table({key: value[:rows] for key, value in columns.items()}), tmp_path / f"{name}.parquet")
    ds = io.read(tmp_path)
    assert sorted(ds["split"].tolist()) == ["test"] * 3 + ["train"] * 6 + ["val"] * 2


@pytest.mark.parametrize(
    ("name", "rows", "rare", "width"),
    [("mammography", 11183, 260, 6), ("oil_spill", 937, 41, 49), ("phoneme", 5404, 1586, 5)],
)
def test_real_tables(shared_data: Path, name: str, rows: int, rare: int, width: int) -> None:
    path = shared_data / "tabular_imbalanced" / f"{name}.csv"
    ds = io.read(path)
    assert len(ds) == rows
    assert int((ds["label"] == 1).sum()) == rare
    oracle = np.genfromtxt(path, delimiter=",", skip_header=1, dtype=np.float32)
    names = path.open().readline().strip().split(",")[:-1]
    order = np.argsort(np.array(names))
    numbers = [int(uri.partition("#")[2].partition(":")[0]) for uri in ds["uri"][:50]]
    found = np.stack([np.asarray(row) for row in io.fetch(ds, np.arange(50))])
    assert found.shape == (50, width)
    np.testing.assert_allclose(found, oracle[numbers][:, order], rtol=1e-6)


def test_a_folder_of_several_tables_asks_which(shared_data: Path) -> None:
    with pytest.raises(DataError, match=r"3 tables.*mammography\.csv, oil_spill\.csv, phoneme\.csv"):
        io.read(shared_data / "tabular_imbalanced")


def test_text_found_by_name_or_length(tmp_path: Path) -> None:
    long = ["the seam at the left sleeve is open by two centimeters", "the color of the collar has faded in the wash"]
    (tmp_path / "a.csv").write_text(
        "nr,remark,sort\n" + "\n".join(f'{row},"{long[row % 2]} {row}",{row % 2}' for row in range(12))
    )
    ds = io.read(tmp_path / "a.csv")
    assert ds.schema.modality == "text"
    assert ds.schema.classes == ("0", "1")
    assert told(ds, "column 'remark' is taken as the text")
    assert told(ds, "column 'sort' is taken as the label")
    named = io.read(tmp_path / "a.csv", text="sort", label="")
    assert set(map(str, io.fetch(named, np.arange(12)))) == {"0", "1"}


@pytest.mark.parametrize(
    ("name", "rows", "splits"),
    [
        ("sst2", 9613, {"train": 6920, "val": 872, "test": 1821}),
        ("trec", 5952, {"train": 5452, "test": 500}),
        ("subj", 10000, {None: 10000}),
        ("sst2_eda_500", 500, {None: 500}),
    ],
)
def test_real_texts(shared_data: Path, name: str, rows: int, splits: dict[str | None, int]) -> None:
    ds = io.read(shared_data / "text_small" / f"{name}.csv")
    assert ds.schema.modality == "text"
    assert len(ds) == rows
    found = ds.table["split"].to_pylist()
    assert {split: found.count(split) for split in set(found)} == splits


def test_empty_texts_are_set_aside(shared_data: Path) -> None:
    ds = io.read(shared_data / "text_small" / "cr.csv")
    assert (len(ds), int(ds["keep"].sum())) == (3775, 3771)
    assert told(ds, "4 set aside, empty: no text")


def test_korean_reviews(shared_data: Path) -> None:
    ds = io.read(shared_data / "text_korean")
    assert len(ds) == 16337
    assert ds.schema.classes == ("bad", "good", "mixed")
    assert ds.schema.normal_classes == ()
    assert str(ds.table["captured_at"].drop_null().to_pylist()[0]).startswith("20")
    assert "group" not in ds
    assert told(ds, "'movie_id' (200 values")
    assert set(map(type, ds["meta.rating"].tolist())) == {int}


def test_weak_votes_take_splits_from_file_names_and_classes_from_json(shared_data: Path) -> None:
    ds = io.read(shared_data / "weak_votes" / "youtube")
    found = ds.table["split"].to_pylist()
    assert {split: found.count(split) for split in set(found)} == {"train": 1586, "val": 120, "test": 250}
    assert set(ds.schema.classes) == {"HAM", "SPAM"}
    assert {f"meta.lf{index}" for index in range(10)} <= set(ds.table.column_names)
    assert len(io.read(shared_data / "weak_votes")) == len(ds)


def test_wide_series_keep_the_order_of_their_columns(tmp_path: Path) -> None:
    names = [f"t{index}" for index in range(12)]
    (tmp_path / "w.csv").write_text(
        "label," + ",".join(names) + ",lot\n"
        + "a," + ",".join(map(str, range(12))) + ",L1\n"
        + "b," + ",".join(map(str, range(8))) + ",,,,,L2\n"
    )  # fmt: skip
    ds = io.read(tmp_path / "w.csv")
    assert ds.schema.modality == "time_series"
    assert set(ds["group"]) == {"L1", "L2"}
    np.testing.assert_array_equal(io.fetch(ds, [row_of(ds, 0)])[0], np.arange(12))
    np.testing.assert_array_equal(io.fetch(ds, [row_of(ds, 1)])[0], np.arange(8))  # a shorter one ends earlier


def test_archive_without_header(tmp_path: Path) -> None:
    for split, rows in (("TRAIN", 3), ("TEST", 2)):
        values = np.column_stack([np.arange(rows) % 2 + 1, np.random.default_rng(rows).normal(size=(rows, 20))])
        np.savetxt(tmp_path / f"Coffee_{split}.tsv", values, delimiter="\t")
    ds = io.read(tmp_path)
    assert ds.schema.modality == "time_series"
    assert ds.schema.classes == ("1", "2")
    assert sorted(ds["split"].tolist()) == ["test", "test", "train", "train", "train"]
    assert np.asarray(io.fetch(ds, [0])[0]).shape == (20,)


def test_long_series(tmp_path: Path) -> None:
    lines = ["series_id,time,value,second,label"]
    for key, length in (("m2", 7), ("m1", 5), ("m3", 6)):
        lines += [
            f"{key},{step},{step * 1.5},{-step},{'x' if key == 'm1' else 'y'}" for step in reversed(range(length))
        ]
    (tmp_path / "l.csv").write_text("\n".join(lines))
    ds = io.read(tmp_path / "l.csv")
    assert ds.schema.modality == "time_series"
    assert len(ds) == 3
    by_key = dict(zip(ds["meta.series_id"], io.fetch(ds, np.arange(3)), strict=True))
    np.testing.assert_array_equal(by_key["m1"], [np.arange(5) * 1.5, -np.arange(5)])
    assert np.asarray(by_key["m2"]).shape == (2, 7)
    assert ds.schema.classes == ("x", "y")


@pytest.mark.parametrize(
    ("name", "train", "test", "length"),
    [("GunPoint", 50, 150, 150), ("Trace", 100, 100, 275), ("ItalyPowerDemand", 67, 1029, 24)],
)
def test_real_series(shared_data: Path, name: str, train: int, test: int, length: int) -> None:
    path = shared_data / "time_series" / f"{name}.npz"
    ds = io.read(path)
    assert ds.schema.modality == "time_series"
    found = ds["split"].tolist()
    assert (found.count("train"), found.count("test")) == (train, test)
    with np.load(path) as arrays:
        uri = ds["uri"][3]
        array, number = uri.partition(":")[2], int(uri.partition("#")[2].partition(":")[0])
        np.testing.assert_array_equal(io.fetch(ds, [3])[0], arrays[array][number])
        assert ds.table["label"][3].as_py() == str(arrays[array.replace("x", "y")][number])
    assert np.asarray(io.fetch(ds, [0])[0]).shape == (length,)


def test_wafer_has_only_a_train_part(shared_data: Path) -> None:
    ds = io.read(shared_data / "time_series" / "Wafer.npz")
    assert "split" not in ds
    assert ds.schema.classes == ("-1", "1")


def test_arrays_without_known_names(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", pred_probs=np.zeros((3, 2)), given=np.zeros(3))
    with pytest.raises(DataError, match=r"pred_probs \(3, 2\), given \(3,\)"):
        io.read(tmp_path / "a.npz")


def test_byte_arrays_are_pictures(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (4, 28, 28), np.uint8)
    np.savez(tmp_path / "a.npz", x=x, y=np.array(["a", "b", "a", "b"]), lot=np.arange(4))
    ds = io.read(tmp_path / "a.npz")
    assert ds.schema.modality == "image"
    np.testing.assert_array_equal(io.fetch(ds, [row_of(ds, 2)])[0], x[2])
    assert "meta.lot" in ds
