"""Boxes for files and folders: JSON, CSV, and pictures with the boxes drawn."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from scarce.dataset import Dataset, Ints
from scarce.errors import DataError, ReadError
from scarce.io.boxes import number
from scarce.metric.box import Boxes
from scarce.modality import open_samples
from scarce.train._boxes import BoxModel, Drawn, boxes_of, column_of, joined
from scarce.train.predict import listed, safe_cell

COLORS = ((230, 25, 75), (0, 130, 200), (60, 180, 75), (245, 130, 48), (145, 30, 180), (70, 200, 200))
NOTHING = Drawn.of([], [])


@dataclass(frozen=True, kw_only=True)
class Detection:
    """The boxes of one file.

    Attributes:
        path: as it was given, or found in a folder.
        boxes: objects with ``label``, ``bbox`` (left, top, width, height in pixels) and ``score``, the surest first.
        error: why there is no answer; None = there is one.
    """

    path: str
    boxes: tuple[dict[str, Any], ...] = ()
    error: str | None = None


def detect(model: BoxModel, paths: Sequence[str | Path]) -> list[Detection]:
    """Return the boxes of each file, folders searched through, in order; a broken file gives a row with its error.

    Raises:
        DataError: there is nothing to predict.
    """
    ds, names, reasons = listed(model, paths)
    if not names:
        raise DataError("predict", "there is nothing to predict", do="give picture files, or folders that hold some")
    good = np.flatnonzero([reason is None for reason in reasons])
    out = [Detection(path=name, error=reason) for name, reason in zip(names, reasons, strict=True)]
    for row, found in zip(good.tolist(), _each(model, ds, good), strict=True):
        if isinstance(found, ReadError):
            out[row] = replace(out[row], error=str(found))
        else:
            out[row] = replace(out[row], boxes=tuple(_object(model, found, k) for k in range(len(found))))
    return out


def _each(model: BoxModel, ds: Dataset, rows: Ints) -> list[Drawn | ReadError]:
    """Return the boxes of rows, all at once; one by one where a picture cannot be opened."""
    try:
        return [one or NOTHING for one in model.detect(ds.take(rows))]
    except ReadError as error:
        if len(rows) == 1:
            return [error]
        return [found for row in rows for found in _each(model, ds, np.array([row]))]


def truth_and_found(model: BoxModel, ds: Dataset) -> tuple[Boxes, Boxes]:
    """Return the boxes that people drew on N pictures, and those that the model draws, in the model's classes.

    Raises:
        DataError: the data has classes that the model does not know.
    """
    stale = model.stale(ds.schema)
    if stale:
        raise DataError("model", stale, do="train again, or open the version that it was trained on")
    order = np.array([ds.schema.classes.index(name) for name in model.classes], np.int64)
    found = [None if one is None else Drawn(one.corners, order[one.codes], one.scores, one.crowd)
             for one in model.detect(ds)]  # fmt: skip
    return joined(boxes_of(ds, "evaluate")), joined(found)


def looked_at(ds: Dataset) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return (N,) whether somebody looked for boxes on a kept, real picture."""
    cells = ds[column_of(ds, "train.detector")].tolist()
    seen = np.array([isinstance(cell, str | list) for cell in cells], bool)
    return np.asarray(seen & ds["keep"].astype(bool) & (ds["origin"] == "real"))


def _object(model: BoxModel, found: Drawn, k: int) -> dict[str, Any]:
    left, top, right, bottom = found.corners[k].tolist()
    box = [number(round(value, 2)) for value in (left, top, right - left, bottom - top)]
    return {"label": model.classes[int(found.codes[k])], "bbox": box, "score": round(float(found.scores[k]), 6)}


def write_json(found: Sequence[Detection], out: str | Path | TextIO) -> None:
    """Write a JSON list with one object a file."""
    text = json.dumps([asdict(item) for item in found], ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    if isinstance(out, str | Path):
        Path(out).write_text(text, encoding="utf-8")
    else:
        out.write(text)


def write_csv(found: Sequence[Detection], out: str | Path | TextIO) -> None:
    """Write one line a box; a file without boxes, or with an error, has one line without a class."""
    if isinstance(out, str | Path):
        with Path(out).open("w", encoding="utf-8", newline="") as file:
            write_csv(found, file)
        return
    writer = csv.writer(out)
    writer.writerow(["path", "class", "score", "left", "top", "width", "height", "error"])
    for item in found:
        for box in item.boxes:
            writer.writerow([safe_cell(item.path), safe_cell(box["label"]), f"{box['score']:.6g}", *box["bbox"], ""])
        if not item.boxes:
            writer.writerow([safe_cell(item.path), *[""] * 6, safe_cell(item.error or "")])


def draw(model: BoxModel, found: Sequence[Detection], folder: str | Path, *, least: float = 0.5) -> list[Path]:
    """Write one PNG for each picture with an answer, with the boxes whose score reaches ``least``; return the files."""
    import cv2

    folder, done, taken = Path(folder), [], set[str]()
    folder.mkdir(parents=True, exist_ok=True)
    for item in found:
        if item.error is not None:
            continue
        ds, _, reasons = listed(model, [item.path])
        if reasons != [None]:
            continue
        image: Any = np.asarray(open_samples(ds, [0])[0])
        image = np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else np.ascontiguousarray(image[..., :3])
        for box in item.boxes:
            if box["score"] >= least:
                left, top, width, height = (round(value) for value in box["bbox"])
                color = COLORS[model.classes.index(box["label"]) % len(COLORS)]
                cv2.rectangle(image, (left, top), (left + width, top + height), color, 2)
                told = f"{box['label']} {box['score']:.2f}"
                cv2.putText(image, told, (left, max(10, top - 3)), cv2.FONT_HERSHEY_SIMPLEX, 0.4, color, 1)
        stem, turn = Path(item.path).stem, 2
        unique = stem
        while unique in taken:
            unique, turn = f"{stem}-{turn}", turn + 1
        taken.add(unique)
        path = folder / f"{unique}.png"
        path.write_bytes(cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes())
        done.append(path)
    return done
