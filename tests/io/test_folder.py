"""Class folders: layouts, splits, names, and everything that can be wrong with files."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from scarce import io
from scarce.errors import DataError, ReadError
from scarce.io import _walk


def put(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = np.random.default_rng(seed).integers(0, 256, (12, 10, 3), np.uint8)
    path.write_bytes(cv2.imencode(path.suffix, picture)[1].tobytes())
    return path


def told(ds: object, words: str) -> list[dict[str, object]]:
    rows = ds.findings.to_pylist()  # type: ignore[attr-defined]
    return [row for row in rows if words in row["why"]]


def labels(ds: object) -> dict[str, str | None]:
    table = ds.table  # type: ignore[attr-defined]
    return dict(zip(table["uri"].to_pylist(), table["label"].to_pylist(), strict=True))


def splits(ds: object) -> dict[str, str | None]:
    table = ds.table  # type: ignore[attr-defined]
    return dict(zip(table["uri"].to_pylist(), table["split"].to_pylist(), strict=True))


def test_avif_pictures_in_folders_are_samples(tmp_path: Path) -> None:
    from PIL import Image

    for name in ("a/1.avif", "b/2.avif"):
        (tmp_path / name).parent.mkdir()
        Image.new("RGB", (12, 10), (200, 30, 30)).save(tmp_path / name)
    assert labels(io.read(tmp_path)) == {"a/1.avif": "a", "b/2.avif": "b"}


def test_class_folders(tmp_path: Path) -> None:
    for name in ("good/a.png", "good/b.jpg", "stain/a.png", "stain/deep/c.png"):
        put(tmp_path / "parts" / name)
    ds = io.read(tmp_path / "parts")
    assert labels(ds) == {
        "good/a.png": "good",
        "good/b.jpg": "good",
        "stain/a.png": "stain",
        "stain/deep/c.png": "stain",
    }
    assert ds.schema.modality == "image"
    assert ds.schema.normal_classes == ("good",)
    assert ds.sources == {"parts": str(tmp_path / "parts")}
    assert set(ds.table["label_source"].to_pylist()) == {"given"}
    assert ds.table["keep"].to_pylist() == [True] * 4
    assert "deep" in ds["meta.folder"].tolist()
    assert ds.steps[0].stage == "io"
    assert "split" not in ds


def test_ids_depend_on_source_and_path_only(tmp_path: Path) -> None:
    put(tmp_path / "a" / "x" / "1.png", 1)
    put(tmp_path / "a" / "y" / "1.png", 2)
    first = io.read(tmp_path / "a")
    put(tmp_path / "a" / "x" / "1.png", 3)
    again = io.read(tmp_path / "a")
    assert first.ids.tolist() == again.ids.tolist()
    other = io.read(tmp_path / "a", source="b")
    assert not set(other.ids) & set(first.ids)


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [("train", "val", "test"), ("training", "validation", "testing"), ("Train", "dev", "TEST")],
)
def test_split_folders_have_many_names(tmp_path: Path, train: str, val: str, test: str) -> None:
    for folder in (train, val, test):
        for name in ("good", "bad"):
            put(tmp_path / folder / name / "1.png")
    ds = io.read(tmp_path)
    assert sorted(set(splits(ds).values())) == ["test", "train", "val"]
    assert splits(ds)[f"{val}/bad/1.png"] == "val"
    assert ds.schema.classes == ("bad", "good")


def test_test_without_train_is_a_class(tmp_path: Path) -> None:
    put(tmp_path / "template" / "1.png")
    put(tmp_path / "test" / "1.png")
    ds = io.read(tmp_path)
    assert ds.schema.classes == ("template", "test")
    assert "split" not in ds


def test_val_and_test_alone_are_splits_where_classes_lie_below(tmp_path: Path) -> None:
    for name in ("val/a/1.png", "val/b/1.png", "test/a/1.png", "test/b/1.png"):
        put(tmp_path / name)
    ds = io.read(tmp_path)
    assert ds.schema.classes == ("a", "b")
    assert sorted(set(splits(ds).values())) == ["test", "val"]


def test_one_split_folder_makes_no_split(tmp_path: Path) -> None:
    put(tmp_path / "train" / "a" / "1.png")
    put(tmp_path / "train" / "b" / "1.png")
    ds = io.read(tmp_path)
    assert "split" not in ds
    assert ds.schema.classes == ("a", "b")
    assert told(ds, "a new split will be made")


def test_wrapping_folder_is_no_class(tmp_path: Path) -> None:
    put(tmp_path / "images" / "a" / "1.png")
    put(tmp_path / "images" / "b" / "1.png")
    assert io.read(tmp_path).schema.classes == ("a", "b")


def test_one_folder_around_all_classes_is_told(tmp_path: Path) -> None:
    for name in ("good", "torn"):
        put(tmp_path / "march" / name / "a.png")
    ds = io.read(tmp_path)
    assert set(labels(ds).values()) == {"march"}
    assert told(ds, f"if good, torn are the classes, read {tmp_path / 'march'} instead")
    put(tmp_path / "april" / "a.png")
    assert not told(io.read(tmp_path), "are the classes")


def test_flat_folder_is_unlabeled(tmp_path: Path) -> None:
    put(tmp_path / "1.png")
    put(tmp_path / "2.png")
    ds = io.read(tmp_path)
    assert ds.schema.classes == ()
    assert ds["label"].tolist() == [-1, -1]
    assert told(ds, "no sample has a label")


def test_unlabeled_pile_beside_classes(tmp_path: Path) -> None:
    for name in ("a/1.png", "b/1.png", "unlabeled/1.png", "loose.png"):
        put(tmp_path / name)
    ds = io.read(tmp_path)
    assert labels(ds) == {"a/1.png": "a", "b/1.png": "b", "unlabeled/1.png": None, "loose.png": None}
    assert told(ds, "2 of 4 samples have no label")


def test_unlabeled_beside_splits_is_the_pool(tmp_path: Path) -> None:
    for name in ("train/a/1.png", "train/b/1.png", "test/a/1.png", "unlabeled/1.png"):
        put(tmp_path / name)
    ds = io.read(tmp_path)
    assert splits(ds)["unlabeled/1.png"] == "pool"
    assert labels(ds)["unlabeled/1.png"] is None


def test_names_that_systems_leave_are_not_read(tmp_path: Path) -> None:
    for name in ("a/1.png", "b/1.png", "a/._1.png", "__MACOSX/a/1.png", ".hidden/1.png"):
        put(tmp_path / name)
    for name in ("a/.DS_Store", "a/Thumbs.db", "desktop.ini"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "notes.docx").write_bytes(b"x")
    ds = io.read(tmp_path)
    assert sorted(labels(ds)) == ["a/1.png", "b/1.png"]
    assert told(ds, "1 files of other kinds were left out: 1 .docx")


def test_names_in_any_script_and_with_number_signs(tmp_path: Path) -> None:
    names = ["gut/Größe 1.png", "불량/사진.png", "불량/photo #3.png", "gut/a%20b.png", "gut/x.csv#1.png"]
    for index, name in enumerate(names):
        put(tmp_path / name, index)
    ds = io.read(tmp_path)
    assert sorted(labels(ds)) == sorted(names)
    for row, raw in enumerate(io.fetch(ds, np.arange(len(ds)))):
        assert raw == (tmp_path / ds["uri"][row]).read_bytes()
    assert all(sample.path is not None and sample.path.exists() for sample in ds.samples())


def test_same_file_name_in_two_classes_gives_two_samples(tmp_path: Path) -> None:
    put(tmp_path / "a" / "same.png", 1)
    put(tmp_path / "b" / "same.png", 2)
    ds = io.read(tmp_path)
    assert len(set(ds.ids)) == 2


def test_empty_files_and_broken_links_are_set_aside(tmp_path: Path) -> None:
    put(tmp_path / "a" / "1.png")
    put(tmp_path / "b" / "1.png")
    (tmp_path / "a" / "empty.jpg").touch()
    (tmp_path / "a" / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    ds = io.read(tmp_path)
    why = dict(zip(ds["uri"], ds["drop_reason"], strict=True))
    assert why["a/empty.jpg"] == "empty: 0 bytes"
    assert why["a/gone.jpg"] == "missing: a broken link"
    assert ds["keep"].sum() == 2
    (note,) = told(ds, "empty: 0 bytes")
    assert note["level"] == "sample"
    assert [ds["uri"][row] for row in ds.rows_of(note["members"])] == ["a/empty.jpg"]  # type: ignore[arg-type]


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    put(tmp_path / "a" / "1.png")
    put(tmp_path / "b" / "1.png")
    (tmp_path / "a" / "loop").symlink_to(tmp_path, target_is_directory=True)
    ds = io.read(tmp_path)
    assert sorted(labels(ds)) == ["a/1.png", "b/1.png"]
    assert told(ds, "lead back above themselves")


def test_linked_class_folder_is_read(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere" / "1.png")
    put(tmp_path / "data" / "a" / "1.png")
    (tmp_path / "data" / "b").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert labels(io.read(tmp_path / "data")) == {"a/1.png": "a", "b/1.png": "b"}


def test_forbidden_files_and_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a/1.png", "a/secret.png", "b/1.png", "locked/1.png"):
        put(tmp_path / name)
    allowed, scan = os.access, os.scandir

    def access(path: str, mode: int) -> bool:
        return "secret" not in str(path) and allowed(path, mode)

    def scandir(path: str) -> object:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(_walk.os, "access", access)
    monkeypatch.setattr(_walk.os, "scandir", scandir)
    ds = io.read(tmp_path)
    why = dict(zip(ds["uri"], ds["drop_reason"], strict=True))
    assert why == {"a/1.png": None, "a/secret.png": "unreadable: no permission", "b/1.png": None}
    assert told(ds, "may not be entered: locked")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a file name be any bytes")
def test_file_name_that_is_no_text(tmp_path: Path) -> None:
    put(tmp_path / "a" / "1.png")
    put(tmp_path / "b" / "1.png")
    os.rename(os.fsencode(tmp_path / "a" / "1.png"), os.fsencode(tmp_path) + b"/a/\xff\xfe.png")  # noqa: PTH104 - bytes
    ds = io.read(tmp_path)
    assert sorted(map(str, ds["drop_reason"])) == ["None", "unreadable: the file name is not valid UTF-8"]
    ds.table["uri"].to_pylist()


def test_single_class_and_class_of_one(tmp_path: Path) -> None:
    put(tmp_path / "only" / "1.png")
    put(tmp_path / "only" / "2.png")
    assert told(io.read(tmp_path), "there is only one class (only)")
    put(tmp_path / "rare" / "1.png")
    (note,) = told(io.read(tmp_path), "1 usable sample")
    assert (note["level"], note["members"]) == ("class", ["rare"])


def test_two_spellings_of_a_class_are_mentioned(tmp_path: Path) -> None:
    for name in ("oil stain", "oil_stain", "hole", "-1", "1"):
        put(tmp_path / name / "1.png")
    (note,) = told(io.read(tmp_path), "may be one class")
    assert sorted(note["members"]) == ["oil stain", "oil_stain"]  # type: ignore[arg-type]


def test_classes_sort_as_people_count(tmp_path: Path) -> None:
    for name in ("10", "2", "1", "-1"):
        put(tmp_path / name / "1.png")
    assert io.read(tmp_path).schema.classes == ("-1", "1", "2", "10")


@pytest.mark.parametrize(("rule", "expected"), [("stem", "p7_2"), ("parent", "a"), (r"/(p\d+)_", "p7")])
def test_groups_from_paths(tmp_path: Path, rule: str, expected: str) -> None:
    put(tmp_path / "a" / "p7_2.png")
    put(tmp_path / "b" / "p8_1.png")
    ds = io.read(tmp_path, group=rule)
    assert ds["group"][ds["uri"].tolist().index("a/p7_2.png")] == expected


def test_column_options_need_a_table(tmp_path: Path) -> None:
    put(tmp_path / "a" / "1.png")
    for wrong in ({"label": "defect"}, {"time": "when"}, {"group": "lot"}, {"group": "("}, {"group": "(zzz)"}):
        with pytest.raises(DataError) as caught:
            io.read(tmp_path, **wrong)
        assert caught.value.do or caught.value.there


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is an empty folder"):
        io.read(tmp_path)
    (tmp_path / "photos").mkdir()
    with pytest.raises(ReadError, match=r"does not exist.*'photos'"):
        io.read(tmp_path / "fotos")
    with pytest.raises(ReadError, match="web address"):
        io.read("https://example.com/data")
    (tmp_path / "photos" / "a.docx").write_bytes(b"x")
    with pytest.raises(DataError, match="no pictures, sounds or tables"):
        io.read(tmp_path / "photos")
    put(tmp_path / "one.png")
    with pytest.raises(DataError, match="single file"):
        io.read(tmp_path / "one.png")


def test_several_data_sets_in_one_folder_are_named(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "table.csv").write_text("a,b,label\n1,2,x\n3,4,y\n")
    with pytest.raises(DataError, match=r"2 data sets.*one, two"):
        io.read(tmp_path)


def test_text_files_in_class_folders(tmp_path: Path) -> None:
    for name, text in (("pos/1.txt", "fine"), ("neg/1.txt", "schlecht, größer"), ("neg/2.txt", "bad")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    ds = io.read(tmp_path)
    assert ds.schema.modality == "text"
    assert sorted(map(str, io.fetch(ds, [0, 1, 2]))) == ["bad", "fine", "schlecht, größer"]


def test_paired_names_are_noticed(shared_data: Path) -> None:
    ds = io.read(shared_data / "deep_pcb")
    assert ds.schema.classes == ("template", "test")
    assert "split" not in ds
    assert len(ds) == 3000
    assert told(ds, "--group stem")


def test_sounds_in_class_folders(shared_data: Path) -> None:
    ds = io.read(shared_data / "audio_digits" / "wav")
    assert ds.schema.modality == "audio"
    assert ds.schema.classes == tuple("0123456789")
    assert len(ds) == 1500


def test_a_table_of_numbers_beside_pictures_is_not_meant(tmp_path: Path) -> None:
    put(tmp_path / "a" / "1.png")
    put(tmp_path / "b" / "1.png")
    (tmp_path / "data.csv").write_text("temperature,humidity,label\n1,2,x\n3,4,y\n")
    ds = io.read(tmp_path)
    assert ds.schema.modality == "image"
    assert ds.schema.classes == ("a", "b")
