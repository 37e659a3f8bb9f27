from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from scarce import io, synthesize
from scarce.dataset import Dataset, Schema
from scarce.errors import DataError, ReadError
from scarce.io import boxes as shape
from scarce.recipe import render_full
from scarce.synthesize import Limits
from scarce.synthesize import _make as making
from scarce.synthesize._check import trouble
from scarce.synthesize._tally import Tally
from scarce.synthesize.hole import Hole
from scarce.synthesize.stain import Stain


@pytest.fixture(scope="module")
def tiles(shared_data: Path) -> Dataset:
    """Twenty sound tiles and twelve with blowholes, split by tile."""
    root = shared_data / "magnetic_tile"
    with (root / "index.csv").open() as file:
        rows = list(csv.DictReader(file))
    rows = [row for row in rows if row["class"] == "free"][:20] + [row for row in rows if row["class"] == "blowhole"][
        :12
    ]
    values = {
        "id": [f"{row:03d}" for row in range(len(rows))],
        "uri": [row["image"] for row in rows],
        "source": ["tiles"] * len(rows),
        "label": [row["class"] for row in rows],
        "mask_uri": [row["mask"] or None for row in rows],
        "split": ["test" if number % 4 == 3 else "train" for number in range(len(rows))],
    }
    schema = Schema(classes=("free", "blowhole"), normal_classes=("free",))
    return Dataset.from_columns(schema, values, sources={"tiles": str(root)})


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "tries.jsonl").read_text().splitlines()[1:]]


def pictures(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((out / "images" / "train").iterdir())}


def test_class_box_and_mask_in_every_form(tiles: Dataset, tmp_path: Path) -> None:
    made = synthesize.make(tiles, Hole(n_defects=2), n=8, out=tmp_path / "o", label="blowhole", workers=2)
    assert (made.accepted, made.ended, made.label, made.originals) == (8, "enough", "blowhole", 15)
    assert made.fitted >= 9
    coco, yolo = io.read(made.out / "instances_train.json"), io.read(made.out / "data.yaml")
    folders = io.read(made.out / "classes")
    assert (len(coco), len(yolo), len(folders)) == (8, 8, 8)
    assert [path.name for path in (made.out / "classes").iterdir()] == ["blowhole"]
    assert (made.out / "data.yaml").read_text().endswith('nc: 2\nnames:\n  0: "free"\n  1: "blowhole"\n')
    train = set(tiles.ids[tiles["split"] == "train"])
    for row in lines(made.out):
        assert set(row["parents"]) <= train
        mask = cv2.imread(str(made.out / "masks" / row["file"]), 0) > 0
        assert len(row["objects"]) == 2
        joined = np.zeros_like(mask)
        for item in row["objects"]:
            own = shape.decode_mask(item["segmentation"])
            assert shape.mask_box(own) == item["bbox"]
            joined |= own
        assert np.array_equal(joined, mask)
        picture = cv2.imread(str(made.out / "images" / "train" / row["file"]), cv2.IMREAD_UNCHANGED)
        source = Path(tiles.sources["tiles"])
        uri = dict(zip(tiles.ids, tiles["uri"], strict=True))
        again = render_full(row["recipe"], lambda name: cv2.imread(str(source / uri[name]), 0))  # noqa: B023
        assert np.array_equal(again.image, picture)
        height, width = mask.shape
        texts = (made.out / "labels" / "train" / row["file"]).with_suffix(".txt").read_text().split("\n")[:2]
        for text, item in zip(texts, row["objects"], strict=True):
            _, x, y, w, h = (float(value) for value in text.split())
            left, top, wide, high = item["bbox"]
            assert (x * width, y * height) == pytest.approx((left + wide / 2, top + high / 2))
            assert (w * width, h * height) == pytest.approx((wide, high))


def test_the_same_pictures_in_one_go_in_two_and_with_more_workers(tiles: Dataset, tmp_path: Path) -> None:
    synthesize.make(tiles, "scratch", n=9, out=tmp_path / "a", workers=1, seed=4)
    synthesize.make(tiles, "scratch", n=3, out=tmp_path / "b", workers=2, seed=4)
    with (tmp_path / "b" / "tries.jsonl").open("a") as file:
        file.write('{"index": 3, "file": "scra')  # cut short by an interruption
    (tmp_path / "b" / "images" / "train" / "scratch_000003.png").write_bytes(b"half")
    made = synthesize.make(tiles, "scratch", n=9, out=tmp_path / "b", workers=2, seed=4)
    assert made.accepted == 9
    assert pictures(tmp_path / "a") == pictures(tmp_path / "b")
    assert lines(tmp_path / "a") == lines(tmp_path / "b")
    again = synthesize.make(tiles, "scratch", n=5, out=tmp_path / "b", seed=4)
    assert again.accepted == 9  # nothing is deleted
    with pytest.raises(DataError, match="another seed"):
        synthesize.make(tiles, "scratch", n=9, out=tmp_path / "b", seed=5)


def test_rejected_ones_keep_their_reason_and_others_are_made(tiles: Dataset, tmp_path: Path) -> None:
    def third(images: Sequence[Any], masks: Sequence[Any]) -> list[str]:
        assert all(image.shape[:2] == mask.shape for image, mask in zip(images, masks, strict=True))
        return ["looks odd" if number % 3 == 0 else "" for number in range(len(images))]

    made = synthesize.make(tiles, "stain", n=10, out=tmp_path / "o", screen=third)
    assert made.accepted == 10 == len(pictures(made.out))
    assert made.rejected["looks odd"] >= 4
    rows = lines(made.out)
    assert len(rows) == 10 + sum(made.rejected.values())
    assert all((row["file"] is None) == bool(row["reason"]) for row in rows)


def test_limits_end_the_work_and_what_is_done_stays(tiles: Dataset, tmp_path: Path) -> None:
    never = synthesize.make(
        tiles,
        "dent",
        n=10,
        out=tmp_path / "a",
        screen=lambda images, _: ["no"] * len(images),
        limits=Limits(rejected=0.8),
    )
    assert (never.accepted, never.ended) == (0, "rejections")
    assert sum(never.rejected.values()) < 200
    short = synthesize.make(tiles, "dent", n=10, out=tmp_path / "b", limits=Limits(seconds=0.0))
    assert short.ended == "time"
    few = synthesize.make(tiles, "dent", n=100, out=tmp_path / "c", limits=Limits(per_original=1))
    assert few.ended == "originals"
    assert few.most_per_original == 1
    assert 10 <= few.accepted <= 15


def test_a_broken_original_is_a_reason(tiles: Dataset, tmp_path: Path) -> None:
    place = tmp_path / "photos"
    place.mkdir()
    for number, uri in enumerate(tiles["uri"][:3]):
        shutil.copy(Path(tiles.sources["tiles"]) / uri, place / f"{number}.jpg")
    (place / "1.jpg").write_bytes(b"no picture")
    cv2.imwrite(str(place / "3.png"), np.full((50, 50), 9, np.uint8))
    values = {"id": list("0123"), "uri": ["0.jpg", "1.jpg", "2.jpg", "3.png"], "source": ["p"] * 4}
    ds = Dataset.from_columns(Schema(classes=()), values, sources={"p": str(place)})
    made = synthesize.make(ds, "tear", n=6, out=tmp_path / "o")
    assert made.accepted == 6
    assert any("cannot be drawn" in reason for reason in made.rejected)
    assert "the original is one flat color" in made.rejected


@pytest.mark.parametrize("kind", ["hole", "cut_paste"])
def test_boxes_of_pictures_without_labels(shared_data: Path, tmp_path: Path, kind: str) -> None:
    root = shared_data / "deep_pcb"
    with (root / "pairs.csv").open() as file:
        pairs = list(csv.DictReader(file))[:4]
    with (root / "boxes.csv").open() as file:
        boxes = [row for row in csv.DictReader(file) if row["id"] in {pair["id"] for pair in pairs}]
    cells = []
    for pair in pairs:
        own = [row for row in boxes if row["id"] == pair["id"]]
        corners = [[int(row[key]) for key in ("x1", "y1", "x2", "y2")] for row in own]
        items = [
            {"label": row["class"], "bbox": [x0, y0, x1 - x0, y1 - y0]}
            for row, (x0, y0, x1, y1) in zip(own, corners, strict=True)
        ]
        cells.append(json.dumps(items))
    values = {
        "id": list("abcdefgh"),
        "uri": [pair["tested_image"] for pair in pairs] + [pair["template_image"] for pair in pairs],
        "source": ["pcb"] * 8,
        "meta.boxes": [*cells, *["[]"] * 4],
    }
    classes = tuple(sorted({row["class"] for row in boxes}))
    ds = Dataset.from_columns(Schema(classes=classes), values, sources={"pcb": str(root)})
    made = synthesize.make(ds, kind, n=5, out=tmp_path / "o", label="spur")
    assert (made.accepted, made.originals) == (5, 4)
    assert made.fitted >= 3
    assert {row["base"] for row in lines(made.out)} <= set("efgh")
    known = {name for name, cell in zip("abcd", cells, strict=True) if '"spur"' in cell}
    assert all(set(row["parents"][1:]) <= known for row in lines(made.out))


def test_wrong_asks_are_explained(tiles: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="class of sound parts"):
        synthesize.make(tiles, "hole", n=2, out=tmp_path / "o", label="free")
    with pytest.raises(DataError, match="make no sense"):
        synthesize.make(tiles, "hole", n=0, out=tmp_path / "o")
    with pytest.raises(DataError, match="no class is known to be sound"):
        synthesize.make(Dataset(Schema(classes=tiles.schema.classes), tiles.table, tiles.sources), "hole", n=2, out="o")
    with pytest.raises(LookupError, match="fray"):
        synthesize.make(tiles, "cut_paste", n=2, out=tmp_path / "o", label="fray")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("mine")
    with pytest.raises(DataError, match="something else"):
        synthesize.make(tiles, "hole", n=2, out=tmp_path / "full")
    (tmp_path / "file").write_text("mine")
    with pytest.raises((DataError, ReadError), match="file"):
        synthesize.make(tiles, "hole", n=2, out=tmp_path / "file" / "o")
    only_test = tiles.take(tiles["split"] == "test")
    with pytest.raises(DataError, match="training"):
        synthesize.make(only_test, "hole", n=2, out=tmp_path / "o")


def test_what_must_not_enter() -> None:
    before = np.full((100, 100), 20, np.uint8)
    before[20:80, 20:80] = np.random.default_rng(0).integers(100, 200, (60, 60), np.uint8)
    mask = np.zeros((100, 100), bool)
    assert trouble(before, before, mask) == "the mask is empty"
    mask[30:40, 30:40] = True
    assert trouble(before, before, mask) == "the defect cannot be seen"
    after = before.copy()
    after[mask] = 5
    assert trouble(before, after, mask) == ""
    assert "more than" in trouble(before, after, np.ones((100, 100), bool))
    mask[:] = False
    mask[5:15, 5:15] = True
    after[mask] = 250
    assert trouble(before, after, mask) == "the defect lies beside the object"
    assert trouble(before, after, mask, stay=False) == ""
    assert "size" in trouble(before, after[:50], mask[:50])
    assert "flat" in trouble(np.zeros((9, 9), np.uint8), np.zeros((9, 9), np.uint8), np.ones((9, 9), bool))


def test_going_on_with_a_larger_n_is_the_same_as_asking_for_it_at_once(
    tiles: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "BATCH", 8)
    synthesize.make(tiles, "crack", n=11, out=tmp_path / "a", seed=3)
    synthesize.make(tiles, "crack", n=20, out=tmp_path / "a", seed=3)
    synthesize.make(tiles, "crack", n=20, out=tmp_path / "b", seed=3)
    rows = [lines(tmp_path / name) for name in "ab"]
    assert rows[0] == rows[1]
    assert [row["index"] for row in rows[0]] == list(range(len(rows[0])))
    for folder in ("images/train", "masks", "labels/train"):
        files = [sorted((tmp_path / name / folder).iterdir()) for name in "ab"]
        assert [file.name for file in files[0]] == [file.name for file in files[1]]
        assert all(one.read_bytes() == two.read_bytes() for one, two in zip(*files, strict=True))
    assert (tmp_path / "a" / "instances_train.json").read_bytes() == (
        tmp_path / "b" / "instances_train.json"
    ).read_bytes()


def test_a_killed_process_leaves_no_picture_without_a_label(tiles: Dataset, tmp_path: Path) -> None:
    synthesize.make(tiles, "crack", n=4, out=tmp_path / "a")
    plan = json.loads((tmp_path / "a" / "tries.jsonl").read_text().splitlines()[0])["plan"]
    tally = Tally.open(tmp_path / "a", plan, "x")
    scene = cv2.imread(str(next((tmp_path / "a" / "images/train").iterdir())))
    tally.save("crack_000099.png", scene, np.ones(scene.shape[:2], bool))  # and then the power went
    assert len(list((tmp_path / "a" / "images/train").iterdir())) == 4
    synthesize.make(tiles, "crack", n=6, out=tmp_path / "a")
    stems = [
        {file.stem for file in (tmp_path / "a" / folder).iterdir()}
        for folder in ("images/train", "masks", "labels/train")
    ]
    assert stems[0] == stems[1] == stems[2]
    assert len(stems[0]) == 6
    assert "crack_000099" not in stems[0]
    assert not list((tmp_path / "a" / ".made" / "masks").iterdir())


def test_an_interruption_leaves_labels_for_what_is_finished(
    tiles: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "BATCH", 4)
    turn = iter(["", "", "stop", *[""] * 99])

    def judge(images: Sequence[Any], _: Sequence[Any]) -> list[str]:
        if next(turn):
            raise KeyboardInterrupt
        return [""] * len(images)

    with pytest.raises(KeyboardInterrupt):
        synthesize.make(tiles, "stain", n=30, out=tmp_path / "a", screen=judge)
    pictures = list((tmp_path / "a" / "images/train").iterdir())
    assert pictures
    assert len(json.loads((tmp_path / "a" / "instances_train.json").read_text())["images"]) == len(pictures)
    assert synthesize.make(tiles, "stain", n=30, out=tmp_path / "a", screen=judge).accepted == 30


def test_each_of_several_defects_has_its_own_pixels(tiles: Dataset, tmp_path: Path) -> None:
    synthesize.make(tiles, Stain(n_defects=6, fit=False), n=6, out=tmp_path / "a")
    overlapping = 0
    for row in lines(tmp_path / "a"):
        if row["reason"]:
            continue
        parts = [shape.decode_mask(one["segmentation"]) for one in row["objects"]]
        union = cv2.imread(str(tmp_path / "a" / "masks" / row["file"]), cv2.IMREAD_UNCHANGED) > 0
        assert (np.any(parts, axis=0) == union).all()
        for part, one in zip(parts, row["objects"], strict=True):
            assert cv2.boundingRect(part.astype(np.uint8)) == tuple(one["bbox"])
            assert cv2.connectedComponents(part.astype(np.uint8))[0] <= 3
        overlapping += sum(part.sum() for part in parts) > union.sum()
    assert overlapping
