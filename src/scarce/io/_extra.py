"""What a format has no place for: kept under a key of its own, or in ``samples.csv`` beside the format's files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from scarce.columns import LABEL_SOURCES
from scarce.errors import ReadError
from scarce.io import boxes as shape
from scarce.io._outlet import Outlet, plain
from scarce.io._picture import Album, Picture, inside
from scarce.io._times import moment
from scarce.io._tree import split_name
from scarce.modality import table

BESIDE: Final = "samples.csv"
_PLAIN: Final = ("label", "label_source", "split", "group")


def to_extra(picture: Picture, *, mask: str | None) -> dict[str, Any]:
    """Return what a picture has besides its file, its size and its boxes, as JSON holds it."""
    found: dict[str, Any] = {name: getattr(picture, name) for name in _PLAIN}
    found |= {"captured_at": plain(picture.captured_at), "mask": mask, "label_set": picture.labels}
    found |= {"predicted": picture.predicted, "meta": {key: plain(value) for key, value in picture.meta.items()}}
    if picture.boxes is None and mask:
        found["looked"] = False
    if picture.label_source == "given":
        del found["label_source"]
    return {key: value for key, value in found.items() if value not in (None, {})}


def from_extra(picture: Picture, extra: Mapping[str, Any], album: Album) -> None:
    """Fill in what :func:`to_extra` kept; what has no sense is left alone."""
    for name in ("label", "group"):
        if extra.get(name) is not None:
            setattr(picture, name, str(extra[name]))
    picture.split = split_name(extra.get("split") or "") or picture.split
    picture.label_source = extra.get("label_source") if extra.get("label_source") in LABEL_SOURCES else None
    picture.captured_at = moment(extra.get("captured_at"))
    mask = extra.get("mask")
    if isinstance(mask, str) and (found := inside(mask)) and (album.base / found).is_file():
        picture.mask = found
    if str(extra.get("looked")).lower() == "false":
        picture.boxes = None
    if isinstance(extra.get("label_set"), list | str):
        picture.labels = shape.names_in(extra["label_set"])
    try:
        picture.predicted = shape.objects_in(extra.get("predicted"))
    except ValueError:
        picture.predicted = None
    if isinstance(extra.get("meta"), Mapping):
        picture.meta |= {str(key): value for key, value in extra["meta"].items() if value is not None}


def write_beside(out: Outlet, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write ``samples.csv`` where a row says more than its file's name."""
    if any(len(row) > 1 for row in rows):
        out.rows(BESIDE, rows)


def beside_row(picture: Picture, name: str, *, mask: str | None = None, without: Sequence[str] = ()) -> dict[str, Any]:
    """Return a row of ``samples.csv``: the file's name and what its format has no place for."""
    extra = to_extra(picture, mask=mask)
    meta = extra.pop("meta", {})
    row = {key: plain(value) for key, value in extra.items() if key not in without}
    return {"file": name, **row, **{f"meta.{key}": value for key, value in meta.items()}}


def read_beside(album: Album) -> None:
    """Fill in what ``samples.csv`` says about the pictures of an album, if it is there."""
    path = album.base / BESIDE
    if not path.exists():
        return
    try:
        loaded = table.load(path).table
        album.take(path)
    except ReadError as error:
        album.note(f"{BESIDE} was left out: {error.what}", 0.5)
        return
    if "file" not in loaded.column_names:
        return
    rows = {str(row["file"]): row for row in loaded.to_pylist()}
    for picture in album.pictures:
        row = rows.get(picture.uri)
        if row is None:
            continue
        extra = {key: value for key, value in row.items() if not key.startswith("meta.")}
        extra["meta"] = {key[5:]: value for key, value in row.items() if key.startswith("meta.")}
        from_extra(picture, extra, album)
