"""Labels that come for free: class, box and mask of made pictures as COCO, YOLO and class folders."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from scarce import io
from scarce.dataset import Array, Dataset, Floats, Schema
from scarce.io import boxes as shape
from scarce.io.yolo import label_text, settings_text

IMAGES: Final = "images/train"
"""Where pictures lie below the folder; YOLO finds ``labels/train`` from it."""
COCO: Final = "instances_train.json"
NO_VAL: Final = "# add val: and a folder of real pictures before you train; synthetic ones are trained on only\n"


def objects_of(label: str, mask: Array, boxes: Floats, parts: Sequence[Array] | None = None) -> list[dict[str, Any]]:
    """Return the objects of a made picture in the one shape of :mod:`scarce.io.boxes`.

    Args:
        label: class of every defect.
        mask: (H, W) bool pixels of all defects.
        boxes: (M, 4) x0 y0 x1 y1 of each.
        parts: M times (H, W) bool pixels of each by itself, which may overlap; None = what of the mask lies in its box.
    """
    found = []
    for number, (x0, y0, x1, y1) in enumerate(boxes.astype(int).tolist()):
        own = mask.copy() if parts is None else parts[number]
        if parts is None:
            own[:y0] = own[y1:] = False
            own[:, :x0] = own[:, x1:] = False
        found.append({"label": label, "bbox": [x0, y0, x1 - x0, y1 - y0], "segmentation": shape.encode_mask(own)})
    return found


def write_labels(out: Path, made: Sequence[Mapping[str, Any]], classes: Sequence[str]) -> None:
    """Write ``instances_train.json`` and ``data.yaml`` with ``labels/`` beside the pictures.

    Files of an earlier call are replaced.

    Args:
        out: the folder that holds ``images/train`` and ``masks``.
        made: ``file``, ``class`` and ``objects`` of each accepted picture.
        classes: names in order.
    """
    (out / COCO).unlink(missing_ok=True)
    io.write(_dataset(out, made, classes), out / COCO, format="coco", files="none")
    part, target = out / ".labels.part", out / "labels"
    shutil.rmtree(part, ignore_errors=True)
    train = part / Path(IMAGES).name
    train.mkdir(parents=True)
    code_of = {name: code for code, name in enumerate(classes)}
    for row in made:
        text = label_text(row["objects"], _size(row), code_of)
        (train / f"{Path(row['file']).stem}.txt").write_bytes(text.encode())
    shutil.rmtree(target, ignore_errors=True)
    part.rename(target)
    (out / "data.yaml").write_text(f"{NO_VAL}{settings_text([IMAGES], classes)}", "utf-8")


def write_class_folders(out: Path, made: Sequence[Mapping[str, Any]]) -> None:
    """Write ``classes/<class>/`` beside the pictures; for pictures without masks this is all there is to say."""
    shutil.rmtree(out / "classes", ignore_errors=True)
    for row in made:
        target = out / "classes" / _folder(row["class"]) / row["file"]
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            target.hardlink_to(out / IMAGES / row["file"])
        except OSError:  # a disk that knows no links
            shutil.copyfile(out / IMAGES / row["file"], target)


def _size(row: Mapping[str, Any]) -> tuple[int, int]:
    """Return width and height of a picture, as its masks have them."""
    height, width = row["objects"][0]["segmentation"]["size"]
    return int(width), int(height)


def _dataset(out: Path, made: Sequence[Mapping[str, Any]], classes: Sequence[str]) -> Dataset:
    values: dict[str, Any] = {
        "id": [Path(row["file"]).stem for row in made],
        "uri": [f"{IMAGES}/{row['file']}" for row in made],
        "source": ["synthetic"] * len(made),
        "label": [row["class"] for row in made],
        "split": ["train"] * len(made),
        "mask_uri": [f"masks/{row['file']}" for row in made],
        "meta.boxes": [shape.to_cell(row["objects"]) for row in made],
        "meta.width": [_size(row)[0] for row in made],
        "meta.height": [_size(row)[1] for row in made],
    }
    return Dataset.from_columns(Schema(classes=tuple(classes)), values, sources={"synthetic": str(out)})


def _folder(name: str) -> str:
    """Return a class name as the name of a folder."""
    return name.replace("/", "_").replace("\\", "_").lstrip(".") or "class"
