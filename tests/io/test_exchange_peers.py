"""What we write is read by the formats' own libraries, with equal content. Each test needs its library."""

from __future__ import annotations

import contextlib
import io as text_io
from pathlib import Path

import numpy as np
import pytest
from tests.io.test_exchange import boards, made

from scarce import io
from scarce.dataset import Dataset
from scarce.io import boxes as shape

__all__ = ["boards"]
pytestmark = [pytest.mark.full, pytest.mark.filterwarnings("default")]


def corners(ds: Dataset, stem: str) -> list[tuple[float, ...]]:
    row = next(row for row, uri in enumerate(ds["uri"]) if Path(uri).stem == stem)
    items = shape.objects_in(ds["meta.boxes"][row]) or []
    return sorted((x, y, x + w, y + h) for x, y, w, h in (item["bbox"] for item in items))


def test_pycocotools(tmp_path: Path) -> None:
    peer = pytest.importorskip("pycocotools.coco")
    ds = made(tmp_path / "a")
    io.write(ds, tmp_path / "b", format="coco")
    with contextlib.redirect_stdout(text_io.StringIO()):
        read = peer.COCO(str(tmp_path / "b/annotations/instances_val.json"))
    for row in read.anns.values():
        size = read.imgs[row["image_id"]]
        ours = shape.shape_mask(row, (size["width"], size["height"]))
        assert abs(int(read.annToMask(row).sum()) - int(ours.sum())) <= 12
    assert [item["name"] for item in read.cats.values()] == sorted(item["name"] for item in read.cats.values())


@pytest.mark.parametrize("name", ["coco", "yolo", "voc"])
def test_supervision(tmp_path: Path, boards: Dataset, name: str) -> None:
    peer = pytest.importorskip("supervision")
    root = tmp_path / "b"
    io.write(boards, root, format=name)
    if name == "coco":
        sets = [
            peer.DetectionDataset.from_coco(str(root / "images"), str(path))
            for path in (root / "annotations").iterdir()
        ]
    elif name == "yolo":
        places = [(str(root / "images" / s), str(root / "labels" / s)) for s in ("train", "test")]
        sets = [peer.DetectionDataset.from_yolo(*place, str(root / "data.yaml")) for place in places]
    else:
        sets = [peer.DetectionDataset.from_pascal_voc(str(root / "JPEGImages"), str(root / "Annotations"))]
    pairs = [(Path(path).stem, marks) for one in sets for path, marks in one.annotations.items()]
    assert len(pairs) == len(boards)
    shift = (
        np.array([1, 1, 0, 0]) if name == "voc" else 0
    )  # supervision takes the first pixel as 1, LabelImg and we as 0
    for stem, marks in pairs:
        assert np.allclose(sorted(map(tuple, marks.xyxy + shift)), corners(boards, stem), atol=0.01)


@pytest.mark.parametrize("name", ["parquet", "huggingface"])
def test_datasets(tmp_path: Path, boards: Dataset, name: str) -> None:
    peer = pytest.importorskip("datasets")
    io.write(boards, tmp_path / "b", format=name)
    first = (str(tmp_path / "b"),) if name == "parquet" else ("imagefolder",)
    more = {} if name == "parquet" else {"data_dir": str(tmp_path / "b")}
    read = peer.load_dataset(*first, **more, cache_dir=str(tmp_path / "cache"))
    assert sum(map(len, read.values())) == len(boards)
    key = "boxes" if name == "parquet" else "objects"
    total = sum(len(shape.objects_in(cell) or ()) for cell in boards["meta.boxes"])
    assert sum(len(row[key]["bbox"]) for part in read.values() for row in part) == total


def test_mlcroissant(tmp_path: Path, boards: Dataset) -> None:
    peer = pytest.importorskip("mlcroissant")
    io.write(boards, tmp_path / "b", format="croissant")
    read = peer.Dataset(str(tmp_path / "b/croissant.json"))
    assert len(list(read.records("samples"))) == len(boards)
