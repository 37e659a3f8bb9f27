"""What every kind writes on real data, read back by pycocotools, by our reader and by hand."""

from __future__ import annotations

import contextlib
import csv
import io as text_io
import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from scarce import io
from scarce.cli import main
from scarce.io import boxes as shape
from scarce.registry import names

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools
DRAWN = tuple(name for name in names("synthesize") if name != "cut_paste")


def boards(shared_data: Path, place: Path) -> Path:
    """Three circuit boards with boxes and their sound templates, as COCO without any label of a picture."""
    root = shared_data / "deep_pcb"
    with (root / "pairs.csv").open() as file:
        pairs = list(csv.DictReader(file))[:3]
    with (root / "boxes.csv").open() as file:
        boxes = [row for row in csv.DictReader(file) if row["id"] in {pair["id"] for pair in pairs}]
    classes = sorted({row["class"] for row in boxes})
    images, marks = [], []
    (place / "images").mkdir(parents=True)
    for number, pair in enumerate(pairs):
        for offset, key in enumerate(("tested_image", "template_image")):
            name = f"{key}_{Path(pair[key]).name}"
            (place / "images" / name).symlink_to((root / pair[key]).resolve())
            images.append({"id": 2 * number + offset, "file_name": name, "width": 640, "height": 640})
        for row in boxes:
            if row["id"] == pair["id"]:
                x0, y0, x1, y1 = (int(row[key]) for key in ("x1", "y1", "x2", "y2"))
                code = classes.index(row["class"]) + 1
                box, area = [x0, y0, x1 - x0, y1 - y0], (x1 - x0) * (y1 - y0)
                marks.append({"id": len(marks), "image_id": 2 * number, "category_id": code, "bbox": box, "area": area})
    body = {"images": images, "annotations": marks}
    body["categories"] = [{"id": code, "name": name} for code, name in enumerate(classes, 1)]
    (place / "boards.json").write_text(json.dumps(body))
    return place


def tiles(shared_data: Path, place: Path) -> Path:
    """Six sound tiles, and six with cracks and their masks."""
    root = shared_data / "magnetic_tile"
    with (root / "index.csv").open() as file:
        rows = list(csv.DictReader(file))
    chosen = [row for label in ("free", "crack") for row in [row for row in rows if row["class"] == label][:6]]
    place.mkdir()
    lines = ["image,class,mask"]
    for row in chosen:
        for key in ("image", "mask"):
            if row[key]:
                (place / Path(row[key]).parent).mkdir(parents=True, exist_ok=True)
                (place / row[key]).symlink_to((root / row[key]).resolve())
        lines.append(f"{row['image']},{row['class']},{row['mask']}")
    (place / "index.csv").write_text("\n".join(lines) + "\n")
    return place / "index.csv"


def photos(shared_data: Path, place: Path) -> Path:
    """Four photos of sound cloth and two with stains, gray, without masks."""
    root = shared_data / "fabric_defects" / "stain_photos"
    for label, count in (("normal", 4), ("stain", 2)):
        (place / label).mkdir(parents=True)
        for file in sorted((root / label).iterdir())[:count]:
            (place / label / file.name).symlink_to(file.resolve())
    return place


def yolo(out: Path) -> Iterator[tuple[str, list[tuple[str, float, float, float, float]]]]:
    """Yield each picture's stem and boxes (class, corners in shares of the picture), parsed without any leniency."""
    head = (out / "data.yaml").read_text().splitlines()
    assert "train: images/train" in head
    start = head.index("names:")
    classes = [json.loads(line.split(": ", 1)[1]) for line in head[start + 1 :]]
    assert f"nc: {len(classes)}" in head
    texts = sorted((out / "labels" / "train").iterdir())
    assert [path.stem for path in texts] == sorted(path.stem for path in (out / "images" / "train").iterdir())
    for path in texts:
        found = []
        for line in path.read_text().splitlines():
            code, *values = line.split(" ")
            x, y, wide, high = (float(value) for value in values)
            corners = x - wide / 2, y - high / 2, x + wide / 2, y + high / 2
            assert min(corners) >= -1e-9
            assert max(corners) <= 1 + 1e-9
            assert wide > 0
            assert high > 0
            found.append((classes[int(code)], *corners))
        yield path.stem, found


def check(out: Path, label: str, count: int) -> None:
    """Compare pictures, masks, COCO, YOLO, class folders and the table of vetoes with each other."""
    coco = pytest.importorskip("pycocotools.coco", exc_type=ImportError)
    with contextlib.redirect_stdout(text_io.StringIO()):
        read = coco.COCO(str(out / "instances_train.json"))
    boxes = dict(yolo(out))
    assert len(read.imgs) == len(boxes) == count
    assert {read.cats[mark["category_id"]]["name"] for mark in read.anns.values()} == {label}
    for image in read.imgs.values():
        file = Path(image["file_name"])
        pixels = cv2.imread(str(out / file), cv2.IMREAD_UNCHANGED)
        mask = cv2.imread(str(out / "masks" / file.name), cv2.IMREAD_UNCHANGED)
        assert pixels.shape[:2] == mask.shape == (image["height"], image["width"])
        assert set(np.unique(mask)) == {0, 255}
        marks = [read.anns[number] for number in read.getAnnIds(imgIds=[image["id"]])]
        joined = np.any([read.annToMask(mark) for mark in marks], axis=0)
        assert np.array_equal(joined, mask > 0)
        for mark in marks:
            own = read.annToMask(mark).astype(bool)
            assert mark["bbox"] == shape.mask_box(own)
            assert mark["area"] == own.sum()
            assert mark["iscrowd"] == 0
        wide, high = image["width"], image["height"]
        corners = [(x / wide, y / high, (x + w) / wide, (y + h) / high) for x, y, w, h in (m["bbox"] for m in marks)]
        assert [name for name, *_ in boxes[file.stem]] == [label] * len(marks)
        assert np.allclose([rest for _, *rest in boxes[file.stem]], corners, atol=1e-9)
        assert (out / "classes" / label / file.name).read_bytes() == (out / file).read_bytes()
    assert [path.name for path in (out / "classes").iterdir()] == [label]
    assert len(list((out / "classes" / label).iterdir())) == count
    ours = io.read(out / "data.yaml")
    assert (len(ours), int(ours["keep"].sum())) == (count, count)
    assert all(item["label"] == label for cell in ours["meta.boxes"] for item in shape.objects_in(cell) or [])
    with (out / "manifest.csv").open() as file:
        assert [row["class"] for row in csv.DictReader(file)] == [label] * count


@pytest.mark.parametrize("kind", DRAWN)
def test_photos_without_masks(shared_data: Path, tmp_path: Path, kind: str) -> None:
    source = photos(shared_data, tmp_path / "in")
    words = ["synthesize", kind, str(source), "--normal", "normal", "--class", "stain", "--n", "2", "--no-screen"]
    assert main([*words, "--out", str(tmp_path / "o"), "--quiet"]) == 0
    check(tmp_path / "o", "stain", 2)


@pytest.mark.parametrize("kind", ["stain", "perlin_blend"])
def test_color_photos_without_labels(shared_data: Path, tmp_path: Path, kind: str) -> None:
    root, source = shared_data / "fabric_defects" / "colour_samples", tmp_path / "in"
    source.mkdir()
    for file in sorted(root.iterdir())[:4]:
        (source / file.name).symlink_to(file.resolve())
    words = ["synthesize", kind, str(source), "--n", "2", "--no-screen", "--quiet"]
    assert main([*words, "--out", str(tmp_path / "o")]) == 0
    check(tmp_path / "o", kind, 2)


@pytest.mark.parametrize("kind", ["cut_paste", "crack", "poisson_patch", "perlin_blend", "missing_part"])
def test_tiles_with_masks(shared_data: Path, tmp_path: Path, kind: str) -> None:
    source = tiles(shared_data, tmp_path / "in")
    words = ["synthesize", kind, str(source), "--normal", "free", "--class", "crack", "--n", "3", "--no-screen"]
    assert main([*words, "--set", "n_defects=2", "--out", str(tmp_path / "o"), "--quiet"]) == 0
    check(tmp_path / "o", "crack", 3)


@pytest.mark.parametrize("kind", ["cut_paste", "hole"])
def test_boards_with_boxes_alone(
    shared_data: Path, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = boards(shared_data, tmp_path / "in")
    words = ["synthesize", kind, str(source), "--class", "spur", "--n", "3", "--no-screen", "--json"]
    assert main([*words, "--out", str(tmp_path / "o")]) == 0
    told = json.loads(capsys.readouterr().out)
    body = json.loads((source / "boards.json").read_text())
    code = next(item["id"] for item in body["categories"] if item["name"] == "spur")
    real = len({mark["image_id"] for mark in body["annotations"] if mark["category_id"] == code})
    assert told["synthetic_share"] == pytest.approx(3 / (3 + real))
    check(tmp_path / "o", "spur", 3)
