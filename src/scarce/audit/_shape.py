"""Labels of other shapes, as manifests bring them: sets of classes, boxes, numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from scarce.columns import sample_name
from scarce.dataset import Array, Dataset, Floats, Ints
from scarce.errors import DataError, closest
from scarce.io.boxes import BOXES, PREDICTED, SETS, label_and_corners, names_in

NUMBERS: Final = ("target", "value", "score", "rating", "price", "age", "count")


@dataclass(frozen=True)
class Boxes:
    """The boxes of one picture.

    Attributes:
        corners: (B, 4) float64, left, top, right, bottom in pixels.
        codes: (B,) int64 class of each box.
        scores: (B,) float64 confidence in [0, 1]; 1 for given boxes.
    """

    corners: Floats
    codes: Ints
    scores: Floats

    def __len__(self) -> int:
        """Return B."""
        return len(self.corners)


def real_numbers(who: str, name: str, values: Array, ndim: int) -> Array:
    """Return an array of real numbers with so many axes, as it is.

    Raises:
        DataError: it holds text, objects or complex numbers, is ragged, or has another number of axes.
    """
    try:
        found = np.asarray(values)
    except ValueError:
        raise DataError(who, f"{name} is ragged: its rows differ in length") from None
    if found.dtype.kind not in "fiub":
        raise DataError(who, f"{name} holds no real numbers", f"it is {found.dtype}", "pass numbers")
    if found.ndim != ndim:
        want = {1: "(N,)", 2: "two axes"}[ndim]
        raise DataError(who, f"{name} has shape {found.shape}", f"{want} is wanted")
    return found


def column_of(ds: Dataset, wanted: str, known: Sequence[str]) -> str:
    """Return the ``meta`` column that holds something: the wanted one, or the first known; empty if there is none."""
    names = [wanted] if wanted else list(known)
    return next((f"meta.{name}" for name in names if f"meta.{name}" in ds), "")


def label_sets(ds: Dataset, column: str) -> tuple[Array, tuple[str, ...]]:
    """Return (N, K) int8 memberships, 1 = has the class, -1 = nobody said, and the K names in order.

    A cell is a list, its JSON, or names with ``|``, ``;`` or ``,`` between them. An empty text is the empty set, a
    missing cell is unlabelled.
    """
    cells = [None if cell is None else names_in(cell) for cell in ds[column].tolist()]
    classes = tuple(sorted({name for cell in cells if cell for name in cell}))
    index = {name: code for code, name in enumerate(classes)}
    out = np.zeros((len(ds), len(classes)), np.int8)
    for row, cell in enumerate(cells):
        if cell is None:
            out[row] = -1
        else:
            out[row, [index[name] for name in cell]] = 1
    return out, classes


def boxes_of(
    ds: Dataset, column: str, classes: Sequence[str] = (), *, lost: dict[int, str] | None = None
) -> tuple[list[Boxes | None], tuple[str, ...]]:
    """Return N lists of boxes (None where nobody drew any) and the names of their classes.

    A cell is a list of objects or its JSON. An object has ``label`` (or ``class``, ``category``, ``name``) and either
    ``x1 y1 x2 y2`` (or ``xmin ymin xmax ymax``), or ``bbox`` = left, top, width, height as COCO writes it; ``score``
    is optional.

    Args:
        ds: N rows.
        column: of the boxes.
        classes: names that come first.
        lost: receives row to the reason why its cell cannot be read; such rows have no boxes then. None = refuse them.

    Raises:
        DataError: a cell is no such list, or none of them is; the sample is named.
    """
    cells: list[list[dict[str, Any]] | None] = []
    first: DataError | None = None
    for row, cell in enumerate(ds[column].tolist()):
        try:
            cells.append(_objects(ds, row, cell))
        except DataError as error:
            if lost is None:
                raise
            cells.append(None)
            first, lost[row] = first or error, f"{error.what}; {error.there}"
    if first is not None and not any(cells):
        raise first
    found = {str(item["label"]) for cell in cells if cell for item in cell}
    names = (*classes, *sorted(found - set(classes)))
    index = {name: code for code, name in enumerate(names)}
    out: list[Boxes | None] = []
    for cell in cells:
        if cell is None:
            out.append(None)
            continue
        corners = np.array([item["corners"] for item in cell], np.float64).reshape(-1, 4)
        codes = np.array([index[str(item["label"])] for item in cell], np.int64)
        out.append(Boxes(corners, codes, np.array([item["score"] for item in cell], np.float64)))
    return out, names


def _objects(ds: Dataset, row: int, cell: Any) -> list[dict[str, Any]] | None:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return None
    try:
        listed = json.loads(cell) if isinstance(cell, str) else list(cell)
        return [_object(item) for item in listed]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        where = sample_name(ds.table["uri"][row].as_py(), str(ds.ids[row]))
        raise DataError(
            "audit.box_error", f"the boxes of {where} cannot be read ({error})", f"the cell begins {str(cell)[:60]!r}",
            'write JSON such as [{"label": "scratch", "x1": 3, "y1": 5, "x2": 40, "y2": 22}]',
        ) from None  # fmt: skip


def _object(item: Mapping[str, Any]) -> dict[str, Any]:
    label, corners = label_and_corners(item)
    return {"label": label, "corners": corners, "score": float(item.get("score", 1.0))}


def numbers_of(ds: Dataset, column: str) -> Floats:
    """Return (N,) float64 values of a column; NaN where there is none.

    Raises:
        DataError: the column holds no numbers.
    """
    values = ds[column]
    if values.dtype.kind in "fiub":
        return np.asarray(values, np.float64)
    try:
        return np.array([np.nan if value is None or value == "" else float(value) for value in values], np.float64)
    except (TypeError, ValueError) as error:
        held = [name.removeprefix("meta.") for name in ds.table.column_names if name.startswith("meta.")]
        raise DataError(
            "audit.number_error", f"{column.removeprefix('meta.')} holds no numbers ({error})",
            closest(column.removeprefix("meta."), held), "name a column of numbers",
        ) from None  # fmt: skip


def sizes_of(ds: Dataset) -> list[tuple[int, int] | None]:
    """Return N pairs width, height in pixels; None where the pictures were not scanned or cannot be opened."""
    if "scan.width" not in ds.wide or "scan.height" not in ds.wide:
        return [None] * len(ds)
    pairs = zip(ds["scan.width"].tolist(), ds["scan.height"].tolist(), strict=True)
    return [(int(w), int(h)) if w and h and w > 0 and h > 0 else None for w, h in pairs]


def overlap(one: Floats, two: Floats) -> Floats:
    """Return (A, B) intersection over union of boxes (A, 4) and (B, 4); 0 where a box has no area."""
    left, top = np.maximum(one[:, None, :2], two[None, :, :2]).transpose(2, 0, 1)
    right, bottom = np.minimum(one[:, None, 2:], two[None, :, 2:]).transpose(2, 0, 1)
    common = np.maximum(right - left, 0) * np.maximum(bottom - top, 0)
    union = area(one)[:, None] + area(two)[None] - common
    return np.asarray(np.divide(common, union, out=np.zeros_like(common), where=union > 0))


def area(corners: Floats) -> Floats:
    """Return (B,) areas in square pixels, 0 for turned-over boxes."""
    return np.asarray(np.maximum(corners[:, 2] - corners[:, 0], 0) * np.maximum(corners[:, 3] - corners[:, 1], 0))


__all__ = [
    "BOXES", "NUMBERS", "PREDICTED", "SETS", "Boxes", "area", "boxes_of", "column_of", "label_sets", "numbers_of",
    "overlap", "sizes_of",
]  # fmt: skip
