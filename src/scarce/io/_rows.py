"""Samples as rows of a table: what CSV, JSON lines, Parquet, Hugging Face and Croissant write."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from scarce.columns import split_uri
from scarce.dataset import Array
from scarce.errors import DataError
from scarce.io import boxes as shape
from scarce.io._outlet import Outlet, plain
from scarce.io._picture import Picture
from scarce.modality import raw, table

FILES: Final = ("image", "audio")
_OWN: Final = (
    "label",
    "label_set",
    "split",
    "group",
    "captured_at",
    "mask",
    "boxes",
    "predicted_boxes",
    "width",
    "height",
)


def rows_of(out: Outlet, key: str = "path", *, folder: str = "images") -> Iterator[tuple[Picture, dict[str, Any]]]:
    """Yield each sample and its row: its file (or text, or features), labels, split, group and all else.

    Boxes are JSON text, several labels a list of names. Other columns keep their names, with ``_2`` behind where one of
    ours has it.

    Args:
        out: where files go.
        key: column of the files.
        folder: where they are put.

    Raises:
        DataError: series cannot be rows.
    """
    modality = out.ds.schema.modality
    if modality not in (*FILES, "text", "tabular"):
        raise DataError(
            "io.write", f"{modality} samples cannot be rows of a table", do="pictures, sounds, texts, tables can"
        )
    if modality in FILES:
        below = folder if out.files != "none" else ""
        for picture, name in out.place(lambda _: below):
            mask = out.place_mask(picture, posixpath.join("masks", name.removeprefix(f"{folder}/")))
            yield picture, {key: name, **_labels(picture, mask)}
        return
    contents = _texts(out) if modality == "text" else _features(out)
    for picture in out.pictures:
        yield picture, {**contents[picture.id or ""], **_labels(picture, None)}


def _labels(picture: Picture, mask: str | None) -> dict[str, Any]:
    wide, high = picture.size or (None, None)
    row: dict[str, Any] = {
        "label": picture.label, "label_set": picture.labels, "split": picture.split, "group": picture.group,
        "captured_at": plain(picture.captured_at), "mask": mask, "boxes": shape.to_cell(picture.boxes),  # type: ignore[arg-type]
        "predicted_boxes": shape.to_cell(picture.predicted), "width": wide, "height": high,
    }  # fmt: skip
    for name, value in picture.meta.items():
        row[f"{name}_2" if name in row or name in _OWN else name] = plain(value)
    return row


def _texts(out: Outlet) -> dict[str, dict[str, Any]]:
    found = raw.fetch(out.ds, np.arange(len(out.ds)))
    return {name: {"text": text} for name, text in zip(out.ds.ids.tolist(), found, strict=True)}


def _features(out: Outlet) -> dict[str, dict[str, Any]]:
    """Return the feature columns of each row as their table has them."""
    found: dict[str, dict[str, Any]] = {}
    uris, places = out.ds.table["uri"].to_pylist(), raw.addresses(out.ds, np.arange(len(out.ds)))
    for name, uri, place in zip(out.ds.ids.tolist(), uris, places, strict=True):
        _, row, what = split_uri(uri)
        if row is None or not what.startswith("!") or place.path.suffix.lower() in table.ARRAYS:
            found[name] = _numbered(raw.content(place, "tabular"))
            continue
        loaded = table.load(place.path).table
        shut = {part.replace("%7C", "|").replace("%25", "%") for part in what[1:].split("|")}
        found[name] = {key: plain(loaded[key][row].as_py()) for key in loaded.column_names if key not in shut}
    return found


def _numbered(values: Any) -> dict[str, Any]:
    numbers: Array = np.asarray(values, np.float64).ravel()
    return {f"x{i}": float(value) for i, value in enumerate(numbers)}
