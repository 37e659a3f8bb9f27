"""What a kind of defect can be made from: looks of real defects, read from the masks and boxes of samples."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from scarce.dataset import Array, Dataset, Ints
from scarce.errors import ReadError, ScarceError
from scarce.io import boxes as shape
from scarce.modality import open_samples
from scarce.recipe import fit_mask, mask_opener
from scarce.synthesize._look import learn_looks, mask_from_box

LARGEST: Final = 0.5
"""A mask that covers a larger share of its picture is no defect that can be moved or resembled."""
MOST: Final = 500
"""So many real samples of a class are looked at."""


@dataclass(frozen=True)
class Material:
    """What a kind of defect can be made from for one class.

    Attributes:
        rows: rows of the samples that the material comes from; all become parents. Empty for drawn defects.
        params: what the recipe must know about it.
    """

    rows: tuple[int, ...] = ()
    params: tuple[tuple[str, Any], ...] = ()


def looks_of(ds: Dataset, rows: Ints) -> tuple[list[Material], str]:
    """Return one material per separate real defect of the given rows, and what could not be used.

    Args:
        ds: the data.
        rows: samples of one class; those without mask and boxes are passed over.
    """
    found, lost = [], 0
    for row, mask in marks_of(ds, rows):
        image = _opened(ds, row)
        if mask is None or image is None or not 0 < mask.mean() <= LARGEST:
            lost += 1
            continue
        looks = learn_looks(image, fit_mask(mask, image.shape[0], image.shape[1]))
        found += [Material((row,), (("look", look.to_params()),)) for look in looks]
        lost += not looks
    return found, f"{lost} masks were empty, unreadable or cover over half of the picture" if lost else ""


def marks_of(ds: Dataset, rows: Ints) -> Iterator[tuple[int, Array | None]]:
    """Yield row and (H, W) bool mask of the rows that have a mask file or boxes; None where it cannot be read.

    Boxes count with the label of their row, outlines as they are; in a plain box the pixels that differ from its frame
    are taken, or all where none does.
    """
    opened = mask_opener(ds)
    cells = cells_of(ds)
    number = 0
    for row in rows.tolist():
        if number >= MOST:
            return
        if ds["mask_uri"][row]:
            number += 1
            try:
                yield row, opened(str(ds.ids[row]))
            except ScarceError:
                yield row, None
        elif cells is not None and cells[row].as_py():
            number += 1
            yield row, _boxed(ds, row, cells[row].as_py())


def has_marks(ds: Dataset, rows: Ints) -> bool:
    """Return whether one of the rows has a mask file or boxes."""
    cells = cells_of(ds)
    boxed = cells is not None and any(cells[row].as_py() not in (None, "", "[]") for row in rows.tolist())
    return bool(any(ds["mask_uri"][rows])) or boxed


def by_boxes(ds: Dataset, rows: Ints, label: str) -> tuple[Dataset, Ints]:
    """Return the data with pictures named after a class that some of their boxes have, and which of the rows these are.

    For data whose boxes have labels and whose pictures have none.
    """
    found = np.intersect1d(rows, with_boxes_of(ds, label))
    names = ds.table["label"].to_pylist()
    for row in found.tolist():
        names[row] = label
    return ds.with_columns({"label": names}), found


def with_boxes_of(ds: Dataset, label: str) -> Ints:
    """Return the rows of pictures that have a box of a class."""
    cells = cells_of(ds)
    texts = [] if cells is None else cells.to_pylist()
    return np.array(
        [row for row, text in enumerate(texts) if json.dumps(label, ensure_ascii=False) in (text or "")], np.int64
    )


def cells_of(ds: Dataset) -> Any:
    """Return the column of boxes, or None."""
    held = ds.table.column_names
    return next((ds.table[f"meta.{name}"] for name in shape.BOXES if f"meta.{name}" in held), None)


def _boxed(ds: Dataset, row: int, cell: str) -> Array | None:
    try:
        items = shape.objects_in(cell)
    except ValueError:
        return None
    image = _opened(ds, row)
    if image is None or not items:
        return None
    size, label = image.shape[:2], ds["label"][row]
    name = ds.schema.classes[label] if label >= 0 else ""
    joined = np.zeros(size, bool)
    for item in items:
        if name and item["label"] in ds.schema.classes and item["label"] != name:
            continue
        found = None
        if not item.get("segmentation"):
            left, top, width, height = item["bbox"]
            found = mask_from_box(image, (left, top, left + width, top + height))
        joined |= shape.shape_mask(item, (size[1], size[0])) if found is None else found
    return joined if joined.any() else None


def _opened(ds: Dataset, row: int) -> Array | None:
    try:
        (image,) = open_samples(ds, [row])
    except ReadError:
        return None
    return np.asarray(image)
