"""Tables that list files: finding the files they mean."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter, defaultdict
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from scarce.errors import DataError
from scarce.io._base import Options
from scarce.io._listing import INFO, WARN, Listing, Note, joined
from scarce.io._tables import Opened, listing_of, no_label, open_parts, row_listing, standard_columns
from scarce.io._walk import SOUNDS, trouble, walk
from scarce.io.boxes import BOXES
from scarce.modality.raw import MISSING

_WEB = re.compile(r"^(https?|s3|gs|ftp)://", re.IGNORECASE)
WEB = "missing: a web address, not a file on this machine"


def list_manifest(path: Path, options: Options) -> Listing:
    """Return the samples that a table (or one table per split) names.

    Raises:
        DataError: no file of it can be found, or there is no column of files.
    """
    opened = open_parts(path, options)
    if opened[0].roles.kind == "embedded":
        return _embedded(path, opened, options)
    lost = next((one for one in opened if not one.roles.path), None)
    if lost:
        what = f"{lost.part.file.name} has no column of file names"
        raise DataError("io", what, f"it has {', '.join(lost.loaded.table.column_names[:20])}", "name the column path")
    sounds = sum(_ending(value) in SOUNDS for value in _paths(opened[0])[:200])
    modality = "audio" if sounds > len(_paths(opened[0])[:200]) / 2 else "image"
    found = listing_of(path, opened, options, modality=modality)
    parts = [standard_columns(one, found, options) for one in opened]
    finders = {one.part.file.parent: Finder(one.part.file.parent.resolve()) for one in opened}
    files: list[Path | str] = []
    masks: list[Path | str | None] = []
    for one in opened:
        finder = finders[one.part.file.parent]
        files += [finder.find(value) for value in _paths(one)]
        masks += _masks(one, finder)
    _check_any(files, opened[0])
    repaired = sum(finder.repaired for finder in finders.values())
    if repaired:
        why = f"{repaired} paths do not fit this machine: their files were found by their names"
        found.notes.append(Note("data", why, INFO))
    found.columns = joined(parts, [one.loaded.table.num_rows for one in opened])
    found.base = _common(found.base, [*files, *(mask for mask in masks if isinstance(mask, Path))])
    found.uris = [_relative(file, found.base) for file in files]
    found.reasons = [trouble(str(file)) if isinstance(file, Path) else _no_file(file) for file in files]
    if any(masks):
        known = [isinstance(mask, Path) for mask in masks]
        found.columns["mask_uri"] = [_relative(mask, found.base) if isinstance(mask, Path) else None for mask in masks]
        gone = sum(mask is not None and not ok for mask, ok in zip(masks, known, strict=True))
        if gone:
            found.notes.append(Note("data", f"{gone} masks are named but not there", WARN))
    _mention(opened[0], found)
    return found


class Finder:
    """Finds the file that a manifest means, also where its paths are from another machine.

    Args:
        base: the manifest's folder.
    """

    def __init__(self, base: Path) -> None:
        self.base = base
        self.repaired = 0
        self._by_name: dict[str, list[str]] | None = None

    def find(self, value: str | None) -> Path | str:
        """Return the file, or the text as it stands where there is none."""
        text = (value or "").strip()
        if not text or _WEB.match(text):
            return text
        text = text.removeprefix("file://").removeprefix("./")
        direct = self.base / text
        if direct.exists() or direct.is_symlink():
            return direct
        found = self.search(text.replace("\\", "/"))
        if found is None:
            return text.replace("\\", "/")
        self.repaired += 1
        return self.base / found

    def search(self, text: str) -> str | None:
        """Return the file below the base whose path shares most trailing parts, if there is exactly one."""
        if self._by_name is None:
            table: dict[str, list[str]] = defaultdict(list)
            for file in walk(self.base).files:
                name = _fold(PurePosixPath(file.uri).name)
                table[name].append(file.uri)
                table[PurePosixPath(name).stem].append(file.uri)
            self._by_name = dict(table)
        if _fold(text.rpartition("/")[2]) not in self._by_name:
            return None
        wanted = [_fold(part) for part in PurePosixPath(text).parts]
        ranked = Counter({uri: _shared(wanted, uri) for uri in self._by_name.get(wanted[-1], [])}).most_common(2)
        if not ranked or (len(ranked) == 2 and ranked[0][1] == ranked[1][1]):
            return None
        return ranked[0][0]


def _shared(wanted: list[str], uri: str) -> int:
    count = 0
    for ours, theirs in zip(reversed(wanted[:-1]), reversed(PurePosixPath(_fold(uri)).parts[:-1]), strict=False):
        if ours != theirs:
            break
        count += 1
    return count


def _fold(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


def _embedded(path: Path, opened: list[Opened], options: Options) -> Listing:
    """Return the rows of Parquet files whose cells hold the bytes."""
    from scarce.modality.table import bytes_cell

    cell = opened[0].roles.cell or ""
    first = bytes_cell(str(opened[0].part.file), cell)(0) if opened[0].loaded.table.num_rows else b""
    sound = (first or b"")[:4] in (b"RIFF", b"fLaC", b"OggS") and (first or b"")[8:12] != b"WEBP"
    modality = "audio" if sound else "image"
    return row_listing(path, opened, options, modality=modality, what=[one.roles.cell or "" for one in opened])


def _paths(one: Opened) -> list[str | None]:
    column: list[Any] = one.loaded.table[one.roles.path].to_pylist()
    return [None if value is None else str(value) for value in column]


def _masks(one: Opened, finder: Finder) -> list[Path | str | None]:
    if not one.roles.mask:
        return [None] * one.loaded.table.num_rows
    column = one.loaded.table[one.roles.mask]
    values = column.to_pylist() if pa.types.is_string(column.type) else [None] * len(column)
    return [finder.find(value) if value else None for value in values]


def _ending(value: str | None) -> str:
    return PurePosixPath((value or "").replace("\\", "/").strip()).suffix.lower()


def _check_any(files: list[Path | str], one: Opened) -> None:
    if files and not any(isinstance(file, Path) for file in files):
        what = f"not one of {len(files)} files in column {one.roles.path!r} of {one.part.file.name} exists"
        there = f"looked in {one.part.file.parent.resolve()}; the first is {str(files[0])!r}"
        raise DataError("io", what, there, "put the table beside the files, or mend its paths")


def _common(base: Path, files: list[Path | str]) -> Path:
    """Return the folder above all files: the manifest's own, unless files lie elsewhere."""
    known = {os.path.normpath(file.parent) for file in files if isinstance(file, Path)}
    if all(folder == str(base) or folder.startswith(str(base) + os.sep) for folder in known):
        return base
    return Path(os.path.commonpath([*known, *([str(base)] if any(isinstance(file, str) for file in files) else [])]))


def _relative(file: Path | str, base: Path) -> str:
    if isinstance(file, str):
        return file
    return Path(os.path.normpath(file)).relative_to(base).as_posix()


def _no_file(text: str) -> str:
    return "missing: the row names no file" if not text else WEB if _WEB.match(text) else MISSING


def _mention(one: Opened, found: Listing) -> None:
    boxed = any(f"meta.{name}" in found.columns for name in BOXES)
    if one.roles.label is None and not one.votes and not boxed:
        found.notes.append(no_label(one))
    elif one.roles.label and one.roles.label.lower() not in ("label", "class"):
        found.notes.append(Note("data", f"column {one.roles.label!r} is taken as the label", INFO))
