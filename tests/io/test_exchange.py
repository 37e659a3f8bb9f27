"""COCO, YOLO, VOC, CVAT, Label Studio, tables, Hugging Face, Croissant: what goes out comes back, and bad input."""

from __future__ import annotations

import csv
import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from scarce import audit, io
from scarce.dataset import Dataset
from scarce.errors import DataError, ReadError, UnknownNameError
from scarce.io import boxes as shape

FORMATS = ("coco", "yolo", "voc", "cvat", "label_studio", "csv", "jsonl", "parquet", "huggingface", "croissant")
BOXED = ("coco", "yolo", "voc", "cvat", "label_studio")
CLASSES = ["zip tear", "얼룩", "a&b <c>"]
OUTLINE = [2.5, 3.0, 20.0, 4.0, 18.25, 22.0]


def made(folder: Path, **columns: Any) -> Dataset:
    """Return four pictures of 40 x 30: boxes, an outline and a mask, nothing on it, not looked at."""
    rows = []
    for number in range(4):
        (folder / "in").mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(number).integers(0, 255, (30, 40, 3), np.uint8)
        cv2.imwrite(str(folder / f"in/p {number}.png"), noise)
        split = ("train", "val", "train", "test")[number]
        rows.append({"path": f"in/p {number}.png", "split": split, "lot": f"L{number}"})
    (folder / "index.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    ds = io.read(folder / "index.jsonl", group="lot")
    place = {uri: row for row, uri in enumerate(ds["uri"].tolist())}
    blob = np.zeros((30, 40), bool)
    blob[5:12, 6:20] = blob[20:25, 30:38] = True
    cells = {
        0: [{"label": CLASSES[2], "bbox": [1, 2, 10, 8.5], "difficult": 1},
            {"label": CLASSES[0], "bbox": [5, 5, 30, 20]}],
        1: [{"label": CLASSES[1], "bbox": shape.hull([OUTLINE]), "segmentation": [OUTLINE], "truncated": 1},
            {"label": CLASSES[0], "bbox": shape.mask_box(blob), "segmentation": shape.encode_mask(blob), "iscrowd": 1}],
        2: [],
    }  # fmt: skip
    boxes: list[Any] = [None] * 4
    for number, items in cells.items():
        boxes[place[f"in/p {number}.png"]] = json.dumps(items)
    values = {"meta.boxes": boxes, **columns}
    return ds.with_columns(values)


def seen(ds: Dataset) -> dict[str, tuple[Any, ...]]:
    """Return what is known of each picture under the number in its group."""
    found = {}
    names = ds.table.column_names
    for row in ds.table.to_pylist():
        items = shape.objects_in(row["meta.boxes"]) if "meta.boxes" in names else None
        found[row["group"]] = (row["split"], items)
    return found


@pytest.mark.parametrize("name", FORMATS)
def test_what_goes_out_comes_back(tmp_path: Path, name: str) -> None:
    ds = made(tmp_path / "a")
    written = io.write(ds, tmp_path / "b", format=name)
    back = io.read(
        tmp_path / "b", group="group" if name in ("csv", "jsonl", "parquet", "huggingface", "croissant") else None
    )
    assert written.samples == len(back) == 4
    before, after = seen(ds), seen(back)
    assert before.keys() == after.keys()
    for group, (split, items) in before.items():
        assert after[group][0] == split
        found = after[group][1]
        if items is None:
            assert found is None or name == "label_studio"
            continue
        assert [item["label"] for item in found] == [item["label"] for item in items]
        for one, two in zip(items, found, strict=True):
            assert np.allclose(one["bbox"], two["bbox"], atol=0.6 if "segmentation" in one else 0.01)
            if "segmentation" in one and name != "voc":
                masks = [shape.shape_mask(item, (40, 30)) for item in (one, two)]
                assert (masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum() > 0.97
            for flag in ("difficult", "truncated", "iscrowd"):
                held = name != "yolo" and not (name == "voc" and flag == "iscrowd")
                assert not held or one.get(flag) == two.get(flag)
    if name == "yolo":
        assert written.lost == {"difficult": 1, "iscrowd": 1, "truncated": 1}
    pixels = [sorted(np.asarray(x).sum() for x in _pixels(one)) for one in (ds, back)]
    assert pixels[0] == pixels[1]


def _pixels(ds: Dataset) -> list[Any]:
    from scarce import modality

    return modality.open_samples(ds, np.arange(len(ds)))


@pytest.mark.parametrize("name", FORMATS)
def test_classes_labels_and_masks_come_back(tmp_path: Path, shared_data: Path, name: str) -> None:
    whole = io.read(shared_data / "magnetic_tile")
    some = whole.take(
        np.concatenate([np.flatnonzero(whole["label"] == code)[:4] for code in range(len(whole.schema.classes))])
    )
    written = io.write(some, tmp_path / "b", format=name) if name != "voc" else None
    if written is None:
        with pytest.raises(DataError, match="VOC holds boxes"):
            io.write(some, tmp_path / "b", format=name)
        return
    back = io.read(tmp_path / "b")
    assert written.samples == len(some) == len(back)
    assert back.schema.classes == some.schema.classes
    assert np.array_equal(np.bincount(back["label"]), np.bincount(some["label"]))
    if name != "parquet":
        assert sum(uri is not None for uri in back["mask_uri"]) == sum(uri is not None for uri in some["mask_uri"])
    else:
        assert written.lost["mask"] == sum(uri is not None for uri in some["mask_uri"])


@pytest.fixture(scope="module")
def boards(shared_data: Path) -> Dataset:
    """Sixty boards of deep_pcb with their boxes."""
    folder = shared_data / "deep_pcb"
    drawn: dict[str, list[dict[str, Any]]] = defaultdict(list)
    with (folder / "boxes.csv").open() as file:
        for row in csv.DictReader(file):
            drawn[row["id"]].append({"label": row["class"], **{key: int(row[key]) for key in ("x1", "y1", "x2", "y2")}})
    ds = io.read(folder / "pairs.csv")
    ds = ds.take(np.flatnonzero(np.arange(len(ds)) % 25 == 0))
    return ds.with_columns({"meta.boxes": [json.dumps(drawn[Path(uri).stem]) for uri in ds["uri"]]})


@pytest.mark.parametrize("name", BOXED)
def test_real_boards_come_back_and_are_audited(tmp_path: Path, boards: Dataset, name: str) -> None:
    io.write(boards, tmp_path / "b", format=name, files="link")
    back = io.read(tmp_path / "b")
    want, got = (
        {Path(u).stem: shape.objects_in(c) for u, c in zip(d["uri"], d["meta.boxes"], strict=True)}
        for d in (boards, back)
    )
    assert want.keys() == got.keys()
    for stem, items in want.items():
        assert [item["label"] for item in items or ()] == [item["label"] for item in got[stem] or ()]
        assert np.allclose([i["bbox"] for i in items or ()], [i["bbox"] for i in got[stem] or ()], atol=0.01)
    assert back.schema.classes == ("copper", "mousebite", "open", "pin-hole", "short", "spur")
    assert sorted(map(str, back["group"])) == sorted(map(str, boards["group"]))
    check = audit.run(back, only=["box_error"], settings={"box_error": {"classes": False}})
    assert "audit.box_error.score" in check
    assert np.isfinite(check["audit.box_error.score"]).all()


def coco(folder: Path, **changes: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in "ab":
        cv2.imwrite(str(folder / f"{name}.png"), np.zeros((30, 40), np.uint8))
    body: dict[str, Any] = {
        "images": [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}],
        "categories": [{"id": 7, "name": "dent"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 7, "bbox": [1, 1, 5, 5]}],
    }
    body.update(changes)
    (folder / "x.json").write_text(json.dumps(body))
    return folder / "x.json"


def reasons(ds: Dataset) -> dict[str, str | None]:
    return dict(zip(ds["uri"].tolist(), ds["drop_reason"].tolist(), strict=True))


def test_coco_sets_bad_pictures_aside(tmp_path: Path) -> None:
    image = [
        {"id": n, "file_name": name}
        for n, name in enumerate(["a.png", "b.png", "../../etc/passwd", "/etc/passwd", "gone.png"])
    ]
    image.append({"id": 0, "file_name": "a.png"})
    marks = [
        {"id": 1, "image_id": 0, "category_id": 7, "bbox": [30, 20, 500, -3]},
        {"id": 1, "image_id": 1, "category_id": 99, "bbox": [1, 1, 5, 5]},
        {"id": 3, "image_id": 4, "category_id": 7, "bbox": [1, 2, None, 4]},
        {"id": 4, "image_id": 77, "category_id": 7, "bbox": [1, 2, 3, 4]},
        {"nothing": 1},
    ]
    ds = io.read(coco(tmp_path, images=image, annotations=marks))
    told = reasons(ds)
    assert told.pop("b.png") == "broken: category 99 is not defined"
    assert told["refused/etc/passwd"] == "refused: the path leaves the folder"
    assert told["gone.png"] == "missing: no such file"
    kept = ds.usable()
    assert kept["uri"].tolist() == ["a.png"]
    (item,) = shape.objects_in(kept["meta.boxes"][0]) or ()
    assert item["bbox"] == [30, 20, 500, -3]
    why = " ".join(ds.findings["why"].to_pylist())
    for word in ("repeat the id", "does not list", "no image_id", "image id 0 is given before"):
        assert word in why


@pytest.mark.parametrize(
    "text", ["", "[1", '{"images": [{"id": 1}', '{"images": [], "annotations": [1 2]}', "[" * 100000]
)
def test_broken_json_is_refused(tmp_path: Path, text: str) -> None:
    from scarce.io._stream import stream

    with pytest.raises(ReadError):
        stream(text.encode(), tmp_path / "x.json", {"annotations": lambda _: None})


def test_stream_is_json(tmp_path: Path) -> None:
    from scarce.io._stream import stream

    body = {"a": [1, {"b": [2]}, "x,]"], "c": {"d": None}, "e": [], "f": [[1], [2]]}
    for text in (json.dumps(body), json.dumps(body, indent=3), json.dumps(body, separators=(",", ":"))):
        taken: dict[str, list[Any]] = {"a": [], "e": [], "f": []}
        rest = stream(text.encode(), tmp_path, {key: values.append for key, values in taken.items()})
        assert {**rest, **taken} == body


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'


def test_xml_with_a_document_type_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c.xml").write_text(f"{BOMB}<annotations><image name='&b;'/></annotations>")
    with pytest.raises(ReadError, match="document type"):
        io.read(tmp_path / "c.xml")
    folder = tmp_path / "voc"
    io.write(made(tmp_path / "a"), folder, format="voc")
    good = sorted((folder / "Annotations").glob("*.xml"))
    good[0].write_text(f"{BOMB}<annotation><filename>p 0.png</filename></annotation>")
    ds = io.read(folder)
    assert sum("document type" in str(reason) for reason in ds["drop_reason"]) == 1
    assert len(ds.usable()) == 3


def test_yolo_sets_bad_lines_aside(tmp_path: Path) -> None:
    io.write(made(tmp_path / "a"), tmp_path / "b", format="yolo")
    (tmp_path / "b/labels/train/p 0.txt").write_text("0 0.5 0.5 nan 0.1\n")
    (tmp_path / "b/labels/train/p 2.txt").write_text("9 0.5 0.5 0.1 0.1\n")
    (tmp_path / "b/labels/train/lonely.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    ds = io.read(tmp_path / "b/data.yaml")
    told = [reason for reason in ds["drop_reason"] if reason]
    assert len(told) == 2
    assert any("class 9 has no name" in reason for reason in told)
    assert any("have no picture" in why for why in ds.findings["why"].to_pylist())
    (tmp_path / "b/data.yaml").write_text("names: [a]\ntrain: /etc\n")
    with pytest.raises(DataError, match="names no pictures"):
        io.read(tmp_path / "b")


@pytest.mark.parametrize("name", ["x.json", "data.yaml", "c.xml", "croissant.json", "tasks.json"])
def test_pipes_do_not_hold_a_reader(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((9, 9), np.uint8))
    assert len(io.read(tmp_path)) == 1


def annotation(who: int, label: str, when: str, **more: Any) -> dict[str, Any]:
    value = {"type": "choices", "from_name": "c", "to_name": "text", "value": {"choices": [label]}}
    return {"completed_by": who, "created_at": when, "lead_time": 2.5, "result": [value], **more}


def test_label_studio_keeps_annotators_times_and_ids(tmp_path: Path) -> None:
    said = [annotation(1, "good", "2024-05-01T10:00:00Z"), annotation(2, "bad", "2024-05-02T10:00:00Z")]
    said += [
        annotation(3, "good", "2024-05-03T10:00:00Z"),
        annotation(4, "bad", "2024-05-04T10:00:00Z", was_cancelled=True),
    ]
    tasks = [{"id": 5, "data": {"text": "fine cloth", "scarce_id": "abc"}, "annotations": said},
             {"id": 6, "data": {"text": "torn"}, "annotations": said[1:2]}]  # fmt: skip
    (tmp_path / "t.json").write_text(json.dumps(tasks))
    ds = io.read(tmp_path / "t.json")
    assert ds.schema.modality == "text"
    assert ds.schema.classes == ("bad", "good")
    row = ds.rows_of(["abc"])[0]
    assert ds.table["label"][row].as_py() == "good"
    assert ds.table["label_source"][row].as_py() == "vote"
    assert io.fetch(ds, [row]) == ["fine cloth"]
    votes = [vote for vote in ds.votes.to_pylist() if vote["sample"] == "abc"]
    assert [(vote["voter"], vote["label"]) for vote in votes] == [
        ("1", "good"),
        ("2", "bad"),
        ("3", "good"),
        ("4", None),
    ]
    assert votes[0]["when"].isoformat() == "2024-05-01T10:00:00"
    assert votes[0]["seconds"] == 2.5
    io.write(ds, tmp_path / "out.json", format="label_studio")
    again = io.read(tmp_path / "out.json")
    assert again.ids.tolist() == ds.ids.tolist()
    assert again.table["label"].to_pylist() == ds.table["label"].to_pylist()


def test_croissant_says_when_its_table_changed(tmp_path: Path) -> None:
    io.write(made(tmp_path / "a"), tmp_path / "b", format="croissant")
    assert not any("sha256" in why for why in io.read(tmp_path / "b").findings["why"].to_pylist())
    with (tmp_path / "b/index.csv").open("a") as file:
        file.write("\n")
    assert any("sha256" in why for why in io.read(tmp_path / "b").findings["why"].to_pylist())
    body = json.loads((tmp_path / "b/croissant.json").read_text())
    body["distribution"][0]["contentUrl"] = "https://example.org/index.csv"
    (tmp_path / "b/croissant.json").write_text(json.dumps(body))
    with pytest.raises(DataError, match="download it"):
        io.read(tmp_path / "b")


def test_nothing_is_replaced_and_nothing_is_left_behind(tmp_path: Path) -> None:
    ds = made(tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b/mine.txt").write_text("mine")
    with pytest.raises(DataError, match="there already"):
        io.write(ds, tmp_path / "b", format="coco")
    with pytest.raises(UnknownNameError):
        io.write(ds, tmp_path / "c", format="cocco")
    with pytest.raises(DataError, match="files='copy'"):
        io.write(ds, tmp_path / "c", format="yolo", files="none")
    assert sorted(item.name for item in tmp_path.iterdir()) == ["a", "b"]
    one = io.write(ds, tmp_path / "a/x.json", format="coco")
    assert one.files == 0
    assert len(io.read(tmp_path / "a/x.json").usable()) == 4


def test_masks_agree_with_their_runs_and_outlines() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        mask = rng.random(rng.integers(1, 30, 2)) < rng.random()
        assert np.array_equal(shape.decode_mask(shape.encode_mask(mask)), mask)
    with pytest.raises(ValueError, match="runs for"):
        shape.decode_mask({"size": [3, 3], "counts": [4]})


def test_brushes_come_back() -> None:
    from scarce.io._brush import decode_brush, encode_brush

    mask = np.random.default_rng(1).random((31, 17)) < 0.3
    assert np.array_equal(decode_brush(encode_brush(mask), 17, 31), mask)
    large = np.zeros((300, 700), bool)
    assert np.array_equal(decode_brush(encode_brush(large), 700, 300), large)
    large[20:280, 30:650] = True
    assert np.array_equal(decode_brush(encode_brush(large), 700, 300), large)
    with pytest.raises(ValueError, match="pixels"):
        decode_brush(encode_brush(mask), 18, 31)
    with pytest.raises(ValueError, match="too early"):
        decode_brush(encode_brush(mask)[:-2], 17, 31)
