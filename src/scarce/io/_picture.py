"""A picture with its marks as exchange formats describe it: what their readers fill in and their writers take."""

from __future__ import annotations

import json
import math
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from scarce.errors import ReadError
from scarce.io._base import Options
from scarce.io._listing import BAD, INFO, WARN, Listing, Note
from scarce.io._manifest import Finder
from scarce.io._several import Vote
from scarce.io._tree import only_train, own_groups, refuse_columns, split_name
from scarce.io._walk import Found, trouble, walk
from scarce.io.boxes import to_cell
from scarce.lineage import digest
from scarce.modality.header import read_header
from scarce.modality.raw import MISSING, read_bytes
from scarce.modality.table import refuse_special

OUTSIDE: Final = "refused: the path leaves the folder"
HEAD_BYTES: Final = 1 << 18
_SIMPLE: Final = re.compile(r"\w[\w-]*(\.\w+)?")


@dataclass(kw_only=True)
class Picture:
    """One picture: where it lies and everything that was said about it. None = not said.

    Args:
        uri: its file, relative to the folder, with forward slashes.
        id: the sample's id, where the format keeps it.
        label: its one class.
        label_source: who said so.
        labels: its several classes.
        split: train, val, test or pool.
        group: the user's group.
        captured_at: when it was taken.
        mask: file of its pixel mask, relative to the folder.
        size: width and height in pixels.
        boxes: its objects as :mod:`scarce.io.boxes` describes them, or their JSON; empty = none is there.
        predicted: predicted objects of the same form.
        reason: why it is set aside.
        meta: everything else.
    """

    uri: str
    id: str | None = None
    label: str | None = None
    label_source: str | None = None
    labels: list[str] | None = None
    split: str | None = None
    group: str | None = None
    captured_at: Any = None
    mask: str | None = None
    size: tuple[int, int] | None = None
    boxes: list[dict[str, Any]] | str | None = None
    predicted: list[dict[str, Any]] | None = None
    reason: str | None = None
    meta: dict[str, Any] = field(default_factory=dict)


@dataclass(kw_only=True)
class Album:
    """The pictures that a reader found below one folder, with remarks.

    Args:
        base: the folder that uris are relative to.
        pictures: in the format's order.
        classes: names in the order that the format gives them.
        notes: remarks for people.
        inputs: name of each file of labels to the hash of its bytes.
        votes: what several people said.
        modality: kind of data.
    """

    base: Path
    pictures: list[Picture] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    inputs: dict[str, str] = field(default_factory=dict)
    votes: list[Vote] = field(default_factory=list)
    modality: str = "image"

    def add_classes(self, names: Iterable[str]) -> None:
        """Add class names behind those that are known."""
        self.classes = list(dict.fromkeys((*self.classes, *names)))

    def take(self, file: Path) -> bytes:
        """Return the bytes of a file of labels, and remember their hash.

        Raises:
            ReadError: it is no regular file, or cannot be read.
        """
        data = read_file(file)
        name = posixpath.relpath(file.resolve().as_posix(), self.base.resolve().as_posix())
        self.inputs[name] = digest(data)
        return data

    def note(self, why: str, score: float = INFO) -> None:
        """Add a remark about the data as a whole."""
        self.notes.append(Note("data", why, score))

    def listing(self, path: Path, options: Options) -> Listing:
        """Return the listing of all pictures."""
        refuse_columns(path, options)
        columns = _columns(self.pictures)
        if "split" in columns and None not in columns["split"] and only_train(columns["split"]):
            columns.pop("split")
            self.note("all samples lie in the train split: a new split will be made")
        columns |= own_groups([Found(picture.uri) for picture in self.pictures], options)
        if "meta.boxes" in columns:
            seen = [len(picture.boxes) for picture in self.pictures if isinstance(picture.boxes, list)]
            told = f"{sum(seen)} boxes in {len(seen)} pictures" if seen else f"{len(self.pictures)} pictures with boxes"
            self.note(f"{told}, {len(self.classes)} classes: kept as meta.boxes")
        return Listing(
            base=self.base.resolve(), source=options.name_for(path), modality=self.modality,
            uris=[picture.uri for picture in self.pictures], columns=columns, classes=tuple(self.classes),
            reasons=[picture.reason for picture in self.pictures], notes=self.notes, inputs=self.inputs,
            votes=self.votes, ids=[picture.id for picture in self.pictures],
        )  # fmt: skip


def _columns(pictures: Sequence[Picture]) -> dict[str, Any]:
    """Return the columns of pictures, those without any value left out."""
    plain = ("label", "label_source", "split", "group", "captured_at")
    found: dict[str, Any] = {name: [getattr(picture, name) for picture in pictures] for name in plain}
    found["mask_uri"] = [picture.mask for picture in pictures]
    found["meta.label_set"] = [to_cell(picture.labels) for picture in pictures]  # type: ignore[arg-type]
    found["meta.width"] = [picture.size and picture.size[0] for picture in pictures]
    found["meta.height"] = [picture.size and picture.size[1] for picture in pictures]
    found["meta.boxes"] = [p.boxes if isinstance(p.boxes, str) else to_cell(p.boxes) for p in pictures]
    found["meta.predicted_boxes"] = [to_cell(picture.predicted) for picture in pictures]
    for name in dict.fromkeys(key for picture in pictures for key in picture.meta):
        values = [picture.meta.get(name) for picture in pictures]
        column = "meta." + " ".join(name.split())
        found[column if column not in found else column + "_2"] = _typed(values)
    return {name: values for name, values in found.items() if any(value is not None for value in values)}


def _typed(values: list[Any]) -> list[Any]:
    """Return values that one Arrow column can hold: as they are, or as text."""
    values = [json.dumps(v, ensure_ascii=False) if isinstance(v, dict | list) else v for v in values]
    try:
        pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return [None if value is None else str(value) for value in values]
    return values


def read_file(path: Path) -> bytes:
    """Return the bytes of a regular file.

    Raises:
        ReadError: it is a pipe, a device, a folder, or cannot be read.
    """
    try:
        refuse_special(path, path.stat().st_mode)
        return path.read_bytes()
    except OSError as error:
        if isinstance(error, ReadError):
            raise
        what = f"{path} cannot be read ({error.strerror or error})"
        raise ReadError("io", what, do="check the path and its rights") from error


def inside(name: str) -> str | None:
    """Return a relative path with forward slashes, or None where it leaves its folder or is no path at all."""
    if _SIMPLE.fullmatch(name):
        return name
    text = posixpath.normpath(name.strip().replace("\\", "/")) if name.strip() else "."
    if text in (".", "..") or text.startswith(("/", "../")) or re.match(r"[A-Za-z]:", text) or "\0" in text:
        return None
    return text


def harmless(name: str) -> str:
    """Return what is left of a refused path, so that the row has a name and opens nothing."""
    parts = [part for part in re.split(r"[\\/]+", name.replace("\0", "")) if part not in ("", ".", "..")]
    return "refused/" + "/".join(part.rstrip(":") for part in parts)


class Locator:
    """Finds the files that a format names: in the folders where such formats keep them, else by their names.

    Args:
        base: the folder that uris are relative to.
    """

    def __init__(self, base: Path) -> None:
        self.base = base
        self.repaired = 0
        self._finder = Finder(base)
        self._known: dict[str, str | None] | None = None

    def find(self, name: str, folders: Sequence[str] = ("",)) -> tuple[str, str | None]:
        """Return the uri of a file, and why it cannot be used (None = it can).

        Args:
            name: as the format gives it.
            folders: below the base, looked into in this order.
        """
        text = inside(name)
        if text is None:
            return harmless(name), OUTSIDE
        if self._known is None:
            self._known = {file.uri: file.reason for file in walk(self.base).files}
        for folder in folders:
            uri = f"{folder}/{text}" if folder else text
            if uri in self._known:
                return uri, self._known[uri]
        found = self._finder.search(text)
        if found is None:
            hidden = text.startswith(".") or "/." in text
            return text, trouble(f"{self.base}/{text}") if hidden else MISSING
        self.repaired += 1
        return found, self._known.get(found)


def repaired_note(locator: Locator, album: Album) -> None:
    """Say how many files were found by their names only."""
    if locator.repaired:
        album.note(f"{locator.repaired} files lie elsewhere than named and were found by their names")


def picture_size(path: Path) -> tuple[int, int] | None:
    """Return width and height of a picture's file as it is shown, from its header; None where it has none."""
    try:
        with path.open("rb") as file:
            found = read_header(file.read(HEAD_BYTES))
        if found is None:
            found = read_header(read_bytes(path))
    except (OSError, ValueError):
        return None
    return found.shown if found else None


def sure_size(width: Any, height: Any) -> tuple[int, int] | None:
    """Return width and height as whole pixels, or None where they are none."""
    try:
        wide, high = int(float(width)), int(float(height))
    except (TypeError, ValueError, OverflowError):
        return None
    return (wide, high) if wide > 0 and high > 0 else None


def finite(values: Iterable[Any]) -> list[float]:
    """Return numbers as floats.

    Raises:
        ValueError: one is no finite number.
    """
    found = [float(value) for value in values]
    if not all(map(math.isfinite, found)):
        raise ValueError("a coordinate is no finite number")
    return found


def split_of(name: str) -> str | None:
    """Return the split that a file's or folder's name speaks of: ``instances_train2017`` gives train."""
    words = re.split(r"[^A-Za-z]+", name)
    return next((split for word in words if (split := split_name(word))), None)


def several_notes(album: Album, counts: Mapping[str, int], score: float = WARN) -> None:
    """Add one remark for each thing that was counted."""
    for why, count in counts.items():
        if count:
            album.notes.append(Note("data", f"{count} {why}", score))


__all__ = [
    "BAD", "INFO", "OUTSIDE", "WARN", "Album", "Locator", "Picture", "finite", "harmless", "inside", "picture_size",
    "read_file", "repaired_note", "several_notes", "split_of", "sure_size",
]  # fmt: skip
