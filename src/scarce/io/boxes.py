"""The one shape in which boxes, polygons and masks of objects are kept: JSON in a column, read and written by all.

``meta.boxes`` holds for each picture a JSON list of objects, ``[]`` where somebody looked and found nothing, null where
nobody looked. An object has ``label``, ``bbox`` = left, top, width, height in pixels (as COCO writes it, 0 = the outer
edge of the first pixel), and what its format knows besides: ``segmentation`` (flat polygons, or ``{"size": [H, W],
"counts": ...}`` in COCO's run lengths), ``iscrowd``, ``difficult``, ``truncated``, ``occluded``, ``score``, ``id``,
``annotator`` ... See ``docs/design/0004-one-shape-of-labels.md``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from scarce.dataset import Array, Floats, Ints

SETS: Final = ("label_set", "labels", "tags", "classes")
BOXES: Final = ("boxes", "objects", "annotations", "bboxes")
PREDICTED: Final = ("predicted_boxes", "detections", "predictions")
_NAMES: Final = ("label", "class", "category", "name", "category_id")
_CORNERS: Final = (("x1", "y1", "x2", "y2"), ("xmin", "ymin", "xmax", "ymax"))
DIGITS: Final = 4
"""Decimals of a pixel that are kept where a format stores shares of the picture's size."""


def names_in(cell: Any) -> list[str]:
    """Return the class names of a cell of several labels: a list, its JSON, or names with ``|``, ``;``, ``,`` between.

    Repeats and blanks are left out; the order stays.
    """
    if isinstance(cell, float) and math.isnan(cell):
        return []
    if isinstance(cell, str):
        text = cell.strip()
        if text.startswith("["):
            try:
                cell = json.loads(text)
            except ValueError:
                cell = text.strip("[]").replace("'", "")
        if isinstance(cell, str):
            mark = next((mark for mark in "|;," if mark in text), "|")
            cell = cell.split(mark)
    return list(dict.fromkeys(name for name in (str(item).strip() for item in cell) if name))


def label_and_corners(item: Mapping[str, Any]) -> tuple[Any, list[float]]:
    """Return the label of an object and its left, top, right, bottom.

    Raises:
        ValueError: it has no label, or its numbers are none.
        KeyError: it has no box.
    """
    label = next((item[key] for key in _NAMES if key in item), None)
    if label is None:
        raise ValueError("a box has no label")
    for keys in _CORNERS:
        if all(key in item for key in keys):
            return label, [float(item[key]) for key in keys]
    left, top, width, height = (float(value) for value in item["bbox"])
    return label, [left, top, left + width, top + height]


def objects_in(cell: Any) -> list[dict[str, Any]] | None:
    """Return the objects of a cell in the one shape; None where nobody looked.

    Raises:
        ValueError: the cell is no list of objects with labels and boxes.
    """
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return None
    try:
        return [_plain(item) for item in (json.loads(cell) if isinstance(cell, str) else cell)]
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"no list of boxes ({error})") from None


def classes_in(cell: Any) -> set[str] | None:
    """Return the class names of the objects in a cell; None where nobody looked.

    Raises:
        ValueError: the cell is no list of objects with labels and boxes.
    """
    found = objects_in(cell)
    return None if found is None else {str(label_and_corners(item)[0]) for item in found}


def _plain(item: Mapping[str, Any]) -> dict[str, Any]:
    label, (left, top, right, bottom) = label_and_corners(item)
    exact = item["bbox"] if "bbox" in item and "x1" not in item and "xmin" not in item else None
    box = [number(value) for value in exact or (left, top, right - left, bottom - top)]
    known = {*_NAMES, *_CORNERS[0], *_CORNERS[1], "bbox"}
    rest = {key: value for key, value in item.items() if key not in known and value is not None}
    return {"label": str(label), "bbox": box, **rest}


def number(value: float) -> float:
    """Return a number as JSON should show it: without a point where it is whole, at most :data:`DIGITS` decimals."""
    value = float(value)
    if not math.isfinite(value):
        return value
    return int(value) if value.is_integer() else round(value, DIGITS)


def to_cell(objects: Iterable[Mapping[str, Any]] | None) -> str | None:
    """Return objects as the text of a cell."""
    return None if objects is None else json.dumps(list(objects), ensure_ascii=False, separators=(",", ":"))


def from_lists(cell: Any, names: Sequence[str] = ()) -> Any:
    """Return objects as ``datasets`` has them (``{"bbox": [...], "category": [...]}``) as a list of objects.

    Args:
        cell: a mapping of lists of one length, or a list of objects.
        names: class names of the numbers.

    Raises:
        ValueError: the lists hold no boxes.
    """
    if isinstance(cell, Mapping):
        lists = {_KEYS.get(key, key): value for key, value in cell.items() if isinstance(value, list)}
        rows = [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
        if "bbox" not in lists:
            raise ValueError("there is no bbox")
    else:
        rows = [{_KEYS.get(key, key): value for key, value in item.items()} for item in cell]
    for row in rows:
        code = row.setdefault("label", "object")
        row["label"] = names[code] if isinstance(code, int) and 0 <= code < len(names) else str(code)
        row |= json.loads(row.pop(MORE, None) or "{}")
    return rows


_KEYS: Final = dict.fromkeys(("categories", "category", "labels", "class"), "label")
MORE: Final = "more"
"""Key of a list beside ``bbox`` and ``category``: what else is known of each object, as JSON."""


def polygons_of(item: Mapping[str, Any]) -> list[list[float]]:
    """Return the outlines of an object as flat lists x1 y1 x2 y2 ... in pixels; empty where it is only a box."""
    shape = item.get("segmentation")
    if isinstance(shape, list):
        return [list(part) for part in shape if isinstance(part, list) and len(part) >= 6]
    return mask_polygons(decode_mask(shape)) if isinstance(shape, Mapping) else []


def hull(polygons: Sequence[Sequence[float]]) -> list[float]:
    """Return left, top, width, height around polygons."""
    points = np.array([value for part in polygons for value in part], np.float64).reshape(-1, 2)
    low, high = points.min(axis=0), points.max(axis=0)
    return [number(value) for value in (*low, *(high - low))]


def mask_polygons(mask: Array) -> list[list[float]]:
    """Return the outer outlines of a mask (H, W), each a flat list of pixel edges."""
    import cv2

    large = cv2.resize(mask.astype(np.uint8), None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    found, _ = cv2.findContours(large, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    outlines: list[list[float]] = []
    for contour in found:
        points = np.ceil(contour.reshape(-1, 2) / 2)
        if len(points) >= 3:
            outlines.append([number(value) for value in points.ravel()])
    return outlines


def mask_box(mask: Array) -> list[int]:
    """Return left, top, width, height around the marked pixels of a mask (H, W); zeros where nothing is marked."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return [0, 0, 0, 0]
    left, top = int(columns[0]), int(rows[0])
    return [left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1]


def shape_mask(item: Mapping[str, Any], size: tuple[int, int]) -> Array:
    """Return the (H, W) bool mask of an object: of its outline, or of its box.

    Args:
        item: an object.
        size: width and height of the picture.
    """
    shape = item.get("segmentation")
    if isinstance(shape, Mapping):
        return decode_mask(shape)
    left, top, width, height = item["bbox"]
    right, bottom = left + width, top + height
    out = np.zeros((size[1], size[0]), bool)
    for part in polygons_of(item) or [[left, top, right, top, right, bottom, left, bottom]]:
        out |= _filled(np.array(part, np.float64).reshape(-1, 2), out.shape)
    return out


def _filled(points: Floats, shape: tuple[int, ...]) -> Array:
    """Return the (H, W) pixels whose centers lie inside a polygon (even-odd)."""
    turns = np.zeros((shape[0], shape[1] + 1), np.int32)
    for (x1, y1), (x2, y2) in zip(points, np.roll(points, -1, axis=0), strict=True):
        first, last = (int(np.clip(np.ceil(y - 0.5), 0, shape[0])) for y in sorted((y1, y2)))
        if first < last:
            rows = np.arange(first, last)
            x = x1 + (rows + 0.5 - y1) * (x2 - x1) / (y2 - y1)
            turns[rows, np.clip(np.ceil(x - 0.5), 0, shape[1]).astype(np.int64)] += 1
    return np.asarray(turns.cumsum(axis=1)[:, :-1] % 2 == 1)


def encode_mask(mask: Array) -> dict[str, Any]:
    """Return a mask (H, W) in COCO's compressed run lengths."""
    flat = np.concatenate([[False], np.asarray(mask, bool).ravel(order="F"), [False]])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    runs = np.diff(np.concatenate([[0], edges, [mask.size]])).tolist()
    if len(runs) > 1 and runs[-1] == 0:
        runs.pop()
    text = []
    for i, run in enumerate(runs):
        left = run - runs[i - 2] if i > 2 else run
        more = True
        while more:
            bits = left & 0x1F
            left >>= 5
            more = left != -1 if bits & 0x10 else left != 0
            text.append(chr((bits | 0x20 if more else bits) + 48))
    return {"size": [int(mask.shape[0]), int(mask.shape[1])], "counts": "".join(text)}


def decode_mask(shape: Mapping[str, Any]) -> Array:
    """Return the (H, W) bool mask of COCO's run lengths, compressed or not.

    Raises:
        ValueError: the runs do not fill the size.
    """
    height, width, runs = _checked_runs(shape)
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape(width, height).T


def _checked_runs(shape: Mapping[str, Any]) -> tuple[int, int, Ints]:
    """Return height, width and the run lengths of a mask, sound pixels first."""
    height, width = (int(side) for side in shape["size"])
    counts = shape["counts"]
    runs = np.array(_runs(counts) if isinstance(counts, str) else counts, np.int64)
    if height <= 0 or width <= 0 or (runs < 0).any() or runs.sum() != height * width:
        raise ValueError(f"a mask of {height} x {width} pixels has runs for {int(runs.sum())}")
    return height, width, runs


def _runs(text: str) -> list[int]:
    runs: list[int] = []
    value = shift = 0
    for mark in text:
        bits = ord(mark) - 48
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value |= -1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    return runs


def area_of(item: Mapping[str, Any]) -> float:
    """Return the area of an object in square pixels: of its outline where it has one, else of its box."""
    shape = item.get("segmentation")
    if isinstance(shape, Mapping):
        return float(_checked_runs(shape)[2][1::2].sum())
    parts = polygons_of(item)
    if parts:
        return float(sum(_shoelace(np.array(part, np.float64).reshape(-1, 2)) for part in parts))
    return float(item["bbox"][2] * item["bbox"][3])


def _shoelace(points: Floats) -> float:
    x, y = points.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2
