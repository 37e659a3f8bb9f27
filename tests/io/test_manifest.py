"""CSV, Parquet and JSON-lines manifests: columns, paths from elsewhere, odd encodings, missing files."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scarce import io
from scarce.errors import DataError, ReadError


def png(value: int = 0) -> bytes:
    return bytes(cv2.imencode(".png", np.full((6, 6), value, np.uint8))[1].tobytes())


def pictures(folder: Path, *names: str) -> None:
    for index, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(png(index))


def column(ds: object, name: str) -> dict[str, object]:
    table = ds.table  # type: ignore[attr-defined]
    return dict(zip(table["uri"].to_pylist(), table[name].to_pylist(), strict=True))


def told(ds: object, words: str) -> list[str]:
    return [row["why"] for row in ds.findings.to_pylist() if words in row["why"]]  # type: ignore[attr-defined]


def test_everything_a_manifest_can_say(tmp_path: Path) -> None:
    pictures(tmp_path, "p/a.png", "p/b.png", "p/c.png")
    (tmp_path / "list.csv").write_text(
        "Image Path,Defect,split,lot,captured_at,camera,light,serial\n"
        "p/a.png,hole,train,L1,2024-05-01 10:00:00,A,0.5,007\n"
        "p/b.png,good,dev,L2,2024-05-02 11:30:00,B,1.5,008\n"
        "p/c.png,good,test,L2,2024-05-03 12:00:00,B,,009\n"
    )
    ds = io.read(tmp_path / "list.csv")
    assert column(ds, "label") == {"p/a.png": "hole", "p/b.png": "good", "p/c.png": "good"}
    assert column(ds, "split") == {"p/a.png": "train", "p/b.png": "val", "p/c.png": "test"}
    assert column(ds, "group") == {"p/a.png": "L1", "p/b.png": "L2", "p/c.png": "L2"}
    assert str(column(ds, "captured_at")["p/b.png"]) == "2024-05-02 11:30:00"
    assert column(ds, "meta.camera")["p/a.png"] == "A"
    assert column(ds, "meta.light") == {"p/a.png": 0.5, "p/b.png": 1.5, "p/c.png": None}
    assert column(ds, "meta.serial")["p/a.png"] == "007"
    assert ds.table.schema.field("meta.light").type == pa.float64()
    assert io.fetch(ds, [0])[0] == (tmp_path / ds["uri"][0]).read_bytes()


def test_columns_named_by_options(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png", "b.png")
    (tmp_path / "list.csv").write_text("file,kind,who,label\na.png,x,anna,wrong\nb.png,y,ben,wrong\n")
    ds = io.read(tmp_path / "list.csv", label="kind", group="who")
    assert column(ds, "label") == {"a.png": "x", "b.png": "y"}
    assert column(ds, "group") == {"a.png": "anna", "b.png": "ben"}
    assert "meta.label" in ds
    none = io.read(tmp_path / "list.csv", label="")
    assert none.schema.classes == ()


def test_a_wrong_column_names_the_closest(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png")
    (tmp_path / "list.csv").write_text("file,category,tile\na.png,x,1\n")
    with pytest.raises(DataError, match=r"no column 'catgory'.*'file', 'category', 'tile'.*did you mean 'category'"):
        io.read(tmp_path / "list.csv", label="catgory")


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_delimiters_and_encodings(tmp_path: Path, mark: str, encoding: str) -> None:
    pictures(tmp_path, "größe.png", "b.png")
    rows = [["path", "label", "weight"], ["größe.png", "Öl", "1"], ["b.png", "gut", "2"]]
    (tmp_path / "list.csv").write_bytes("\r\n".join(mark.join(row) for row in rows).encode(encoding))
    ds = io.read(tmp_path / "list.csv")
    assert column(ds, "label") == {"größe.png": "Öl", "b.png": "gut"}
    assert ds["keep"].all()
    assert bool(told(ds, "not UTF-8")) == (encoding in ("latin-1", "utf-16"))


def test_korean_excel_export(tmp_path: Path) -> None:
    pictures(tmp_path, "사진.png", "b.png")
    (tmp_path / "list.csv").write_bytes("path,label\n사진.png,불량\nb.png,정상\n".encode("cp949"))
    assert column(io.read(tmp_path / "list.csv"), "label") == {"사진.png": "불량", "b.png": "정상"}


def test_paths_from_another_machine(tmp_path: Path) -> None:
    pictures(tmp_path, "img/a/1.png", "img/b/1.png", "img/b/Été.png", "img/b/only.png")
    (tmp_path / "list.csv").write_text(
        "path,label\nC:\\Users\\joe\\img\\a\\1.png,a\n/home/joe/img/b/1.png,b\nimg/b/E\u0301te\u0301.png,b\nonly,b\n",
        "utf-8",
    )
    ds = io.read(tmp_path / "list.csv")
    assert sorted(ds["uri"]) == ["img/a/1.png", "img/b/1.png", "img/b/only.png", "img/b/Été.png"]
    assert ds["keep"].all()
    assert told(ds, "4 paths do not fit this machine")


def test_absolute_paths_move_the_base(tmp_path: Path) -> None:
    pictures(tmp_path / "store", "a/1.png", "b/1.png")
    (tmp_path / "lists").mkdir()
    lines = [f"{tmp_path}/store/{name}/1.png,{name}" for name in ("a", "b")]
    (tmp_path / "lists" / "list.csv").write_text("path,label\n" + "\n".join(lines) + "\n")
    ds = io.read(tmp_path / "lists" / "list.csv")
    assert list(ds.sources.values()) == [str(tmp_path / "store")]
    assert sorted(ds["uri"]) == ["a/1.png", "b/1.png"]
    pictures(tmp_path / "masks", "a.png")
    masks = "path,label,mask\n" + f"{lines[0]},{tmp_path}/masks/a.png\n{lines[1]},\n"
    (tmp_path / "lists" / "list.csv").write_text(masks)
    ds = io.read(tmp_path / "lists" / "list.csv")
    assert list(ds.sources.values()) == [str(tmp_path)]
    assert column(ds, "mask_uri") == {"store/a/1.png": "masks/a.png", "store/b/1.png": None}


def test_missing_files_are_set_aside(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png")
    (tmp_path / "empty.png").touch()
    (tmp_path / "list.csv").write_text("path,label\na.png,x\ngone.png,y\nhttps://e.com/b.png,y\n,y\nempty.png,x\n")
    ds = io.read(tmp_path / "list.csv")
    why = column(ds, "drop_reason")
    assert why["gone.png"] == "missing: no such file"
    assert str(why["https://e.com/b.png"]).startswith("missing: a web address")
    assert why[""] == "missing: the row names no file"
    assert why["empty.png"] == "empty: 0 bytes"
    assert why["a.png"] is None
    (tmp_path / "list.csv").write_text("path,label\nx.png,x\ny.png,y\n")
    with pytest.raises(DataError, match=r"not one of 2 files in column 'path'.*'x.png'"):
        io.read(tmp_path / "list.csv")


def test_repeated_rows(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png", "b.png")
    (tmp_path / "list.csv").write_text("path,label\na.png,x\na.png,x\nb.png,x\nb.png,y\n")
    ds = io.read(tmp_path / "list.csv")
    assert len(set(ds.ids)) == 4
    assert ds["keep"].sum() == 3
    assert told(ds, "1 files are listed more than once")
    assert told(ds, "another label")


def test_ragged_lines_are_counted(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png", "b.png")
    (tmp_path / "list.csv").write_text("path,label\na.png,x\nb.png,y,extra,cells\nb.png,y\n")
    ds = io.read(tmp_path / "list.csv")
    assert len(ds) == 2
    assert told(ds, "1 lines do not have 2 cells")


def test_no_header_and_repeated_header(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png", "b.png")
    (tmp_path / "plain.csv").write_text("a.png,x\nb.png,y\n")
    assert column(io.read(tmp_path / "plain.csv", label="c1"), "label") == {"a.png": "x", "b.png": "y"}
    (tmp_path / "twice.csv").write_text("path,label,label,\na.png,x,1,q\nb.png,y,2,r\n")
    ds = io.read(tmp_path / "twice.csv")
    assert {"meta.label_2", "meta.c3"} <= set(ds.table.column_names)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (("1", "2"), ("1", "2")),
        (("1.0", "2.0"), ("1", "2")),
        (("01", "02"), ("01", "02")),
        (("true", "false"), ("true", "false")),
        (("None", "NA"), ("None", "NA")),
        ((" a ", "b"), ("a", "b")),
    ],
)
def test_labels_are_text(tmp_path: Path, values: tuple[str, str], expected: tuple[str, str]) -> None:
    pictures(tmp_path, "a.png", "b.png")
    (tmp_path / "list.csv").write_text(f"path,label\na.png,{values[0]}\nb.png,{values[1]}\n")
    assert tuple(column(io.read(tmp_path / "list.csv"), "label").values()) in {expected, expected[::-1]}
    assert set(io.read(tmp_path / "list.csv").schema.classes) == set(expected)


def test_the_label_can_be_the_folder_named_column(tmp_path: Path) -> None:
    pictures(tmp_path, "x/1.png", "y/2.png")
    (tmp_path / "list.csv").write_text("path,kind,take\nx/1.png,x,1\ny/2.png,y,2\n")
    ds = io.read(tmp_path / "list.csv")
    assert ds.schema.classes == ("x", "y")
    assert told(ds, "column 'kind' is taken as the label")


def test_folder_is_read_through_its_only_manifest(tmp_path: Path) -> None:
    pictures(tmp_path, "images/a.png", "images/b.png")
    (tmp_path / "metadata.jsonl").write_text(
        '{"file_name": "images/a.png", "label": 3, "tags": ["x"], "box": null}\n'
        "not json\n"
        '{"file_name": "images/b.png", "label": 4}\n'
    )
    ds = io.read(tmp_path)
    assert ds.steps[0].name == "jsonl"
    assert column(ds, "label") == {"images/a.png": "3", "images/b.png": "4"}
    assert column(ds, "meta.tags")["images/a.png"] == '["x"]'
    assert told(ds, "1 lines are no JSON objects")


def test_parquet_manifest_and_split_files(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png", "b.png", "c.png")
    pq.write_table(pa.table({"path": ["a.png", "b.png"], "label": ["x", "y"]}), tmp_path / "train.parquet")
    pq.write_table(pa.table({"path": ["c.png"], "label": ["x"], "extra": [1]}), tmp_path / "test.parquet")
    ds = io.read(tmp_path)
    assert column(ds, "split") == {"a.png": "train", "b.png": "train", "c.png": "test"}
    assert column(ds, "meta.extra") == {"a.png": None, "b.png": None, "c.png": 1}


@pytest.mark.parametrize("nested", [False, True])
def test_embedded_bytes(tmp_path: Path, nested: bool) -> None:
    cells = [png(index) for index in range(7)]
    image: list[object] = (
        [{"bytes": cell, "path": f"{index}.png"} for index, cell in enumerate(cells)] if nested else cells
    )
    schema = pa.struct([("bytes", pa.binary()), ("path", pa.string())]) if nested else pa.binary()
    table = pa.table({"image": pa.array(image, schema), "label": pa.array([0, 1, 0, 1, 1, 0, -1])})
    names = {"info": {"features": {"label": {"names": ["good", "hole"], "_type": "ClassLabel"}}}}
    table = table.replace_schema_metadata({"huggingface": json.dumps(names)})
    (tmp_path / "data").mkdir()
    pq.write_table(table.slice(0, 4), tmp_path / "data" / "train-00000-of-00001.parquet", row_group_size=2)
    pq.write_table(table.slice(4), tmp_path / "data" / "test-00000-of-00001.parquet", row_group_size=2)
    ds = io.read(tmp_path)
    assert ds.schema.modality == "image"
    assert ds.schema.classes == ("good", "hole")
    assert sorted(ds["split"].tolist()) == ["test"] * 3 + ["train"] * 4
    assert ds["label"].tolist().count(-1) == 1
    order = {f"data/train-00000-of-00001.parquet#{row}:image": cells[row] for row in range(4)}
    order |= {f"data/test-00000-of-00001.parquet#{row}:image": cells[4 + row] for row in range(3)}
    assert io.fetch(ds, np.arange(7)) == [order[uri] for uri in ds["uri"]]


def test_unreadable_tables(tmp_path: Path) -> None:
    for name, data in (("a.parquet", b"PAR1 no"), ("b.npz", b"zip"), ("c.json", b"{")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ReadError):
            io.read(tmp_path / name)
    (tmp_path / "d.csv").write_text("")
    with pytest.raises(DataError, match="without rows"):
        io.read(tmp_path / "d.csv")
    (tmp_path / "e.csv").write_text("path,label\n")
    with pytest.raises(DataError, match=r"without rows.*path, label"):
        io.read(tmp_path / "e.csv")


def test_tiles_are_honest_without_being_told(shared_data: Path) -> None:
    ds = io.read(shared_data / "magnetic_tile")
    assert ds.steps[0].name == "csv"
    counts = {name: int((ds["label"] == code).sum()) for code, name in enumerate(ds.schema.classes)}
    assert counts == {"blowhole": 115, "break": 85, "crack": 57, "fray": 32, "free": 952, "uneven": 103}
    assert ds.schema.normal_classes == ("free",)
    assert "group" not in ds
    assert {"meta.tile_group", "meta.exposure"} <= set(ds.table.column_names)
    assert told(ds, "'tile_group' (225 values")
    assert not told(ds, "'exposure'")
    assert sum(uri is not None for uri in ds["mask_uri"]) == 392
    grouped = io.read(shared_data / "magnetic_tile" / "index.csv", group="tile_group")
    assert len(set(grouped["group"])) == 225
    assert set(grouped.ids) != set(ds.ids)  # another source name: the file's, not the folder's


def test_fabric_with_parts_without_class(shared_data: Path) -> None:
    ds = io.read(shared_data / "fabric_defects")
    assert len(ds) == 499
    colour = np.array([part == "colour_samples" for part in ds["meta.part"]])
    assert colour.any()
    assert ds["keep"].all()
    assert "group" not in ds


def test_spoken_digits(shared_data: Path) -> None:
    ds = io.read(shared_data / "audio_digits")
    assert ds.schema.modality == "audio"
    assert ds.schema.classes == tuple("0123456789")
    assert (ds["split"] == "test").sum() == 150
    assert told(ds, "'speaker' (3 values")


def test_shipped_garments(garments: Path) -> None:
    ds = io.read(garments)
    assert len(ds) == 11000
    assert (ds["split"] == "train").sum() == 9000
    assert len(ds.schema.classes) == 10
    assert all(isinstance(raw, bytes) and raw.startswith(b"\x89PNG") for raw in io.fetch(ds, [0, 5000, 10999]))


def test_an_unknown_column_lists_the_others_once(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("image,colour\na.png,red\n", encoding="utf-8")
    with pytest.raises(DataError) as near:
        io.read(tmp_path / "list.csv", group="color")
    assert "did you mean 'colour'?" in str(near.value)
    with pytest.raises(DataError) as far:
        io.read(tmp_path / "list.csv", group="nosuch")
    for error in (near, far):
        assert str(error.value).count("image") == 1
