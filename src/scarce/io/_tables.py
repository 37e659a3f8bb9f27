"""Finding the table files at a path, and reading several as one."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from scarce.dataset import Ints
from scarce.errors import ReadError
from scarce.io import boxes
from scarce.io._base import Options
from scarce.io._listing import INFO, WARN, Listing, Note, joined, label_text
from scarce.io._roles import IDS, Kind, Roles, chosen, listed, plain, roles
from scarce.io._several import Vote, gathered, majority
from scarce.io._times import moments
from scarce.io._tree import only_train, split_name
from scarce.io._walk import IMAGES, SOUNDS, is_hidden, walk
from scarce.lineage import digest
from scarce.modality import table
from scarce.modality.table import Loaded

MANIFESTS = ((("index", "metadata", "manifest"), 0.99), (("labels", "annotations", "data"), 0.9))
BESIDE_FILES = 0.4
"""How sure we may be that a table of numbers or texts is meant where pictures or sounds lie beside it."""
_SHARD = re.compile(r"^(?P<split>[A-Za-z]+?)([-_.]?\d+([-_]of[-_]\d+)?([-_][0-9a-f]+)?)?$")
_ARCHIVE = re.compile(r"_(?P<split>train|test|val|valid|validation|dev)$", re.IGNORECASE)
_SKIPPED = (".txt", ".json")


@dataclass(frozen=True)
class Part:
    """One table file and the split that its name says."""

    file: Path
    split: str | None = None


@dataclass(frozen=True)
class Opened:
    """A part with its table and the meaning of its columns.

    Args:
        rows: (N,) each row's place in the file's table, where rows were left out; None = 0, 1, 2 ...
        votes: what each of several people said about the rows.
    """

    part: Part
    loaded: Loaded
    roles: Roles
    rows: Ints | None = None
    votes: tuple[Vote, ...] = ()


def find_parts(path: Path) -> tuple[list[Part], float]:
    """Return the table files at a path and how sure we are that they are what is meant.

    A folder is read through its only ``index``, ``metadata`` or ``manifest`` file, through files called after splits
    (``train.csv``, ``test-00000-of-00002.parquet``, ``NAME_TRAIN.tsv``), or through its only table.
    """
    if path.is_file():
        return ([Part(path)], 0.9) if path.suffix.lower() in table.SUFFIXES else ([], 0.0)
    if not path.is_dir():
        return [], 0.0
    files = _table_files(path) or _table_files(path / "data")
    if not files and (inner := split_tables(path)):
        return inner, 0.98
    for stems, sure in MANIFESTS:
        named = [file for file in files if file.stem.lower() in stems]
        if len(named) == 1:
            return [Part(named[0])], sure
    parts = [Part(file, _split_of(file)) for file in files]
    if len(parts) > 1 and all(part.split for part in parts) and len({part.file.suffix for part in parts}) == 1:
        return parts, 0.8
    return ([Part(files[0])], 0.5) if len(files) == 1 else ([], 0.0)


def split_tables(path: Path) -> list[Part]:
    """Return the ``metadata`` tables of the folders that are called after splits."""
    folders = sorted(item for item in path.iterdir() if split_name(item.name) and item.is_dir())
    pairs = [(file, split_name(folder.name)) for folder in folders for file in _table_files(folder)]
    parts = [Part(file, split) for file, split in pairs if file.stem.lower() == "metadata"]
    return parts if len(parts) == len({part.file.parent for part in parts}) else []


def _table_files(folder: Path) -> list[Path]:
    try:
        return sorted(
            item for item in folder.iterdir()
            if item.suffix.lower() in table.SUFFIXES and item.suffix.lower() not in _SKIPPED
            and not is_hidden(item.name) and item.is_file()
        )  # fmt: skip
    except OSError:
        return []


def _split_of(file: Path) -> str | None:
    shard = _SHARD.match(file.stem)
    if shard and split_name(shard["split"]):
        return split_name(shard["split"])
    archive = _ARCHIVE.search(file.stem)
    return split_name(archive["split"]) if archive else None


def sniff(path: Path, kinds: tuple[Kind, ...], suffixes: tuple[str, ...]) -> float:
    """Return how sure we are that a path holds tables of some kinds and endings."""
    parts, sure = find_parts(path)
    if not parts or parts[0].file.suffix.lower() not in suffixes or parts[0].file.suffix.lower() in table.ARRAYS:
        return 0.0
    try:
        loaded = table.load(parts[0].file)
    except ReadError:
        return 0.0
    if roles(loaded, parts[0].file, Options()).kind not in kinds:
        return 0.0
    beside = path.is_dir() and kinds[0] not in ("manifest", "embedded") and bool(walk(path).of(IMAGES | SOUNDS))
    return min(sure, BESIDE_FILES) if beside else sure


def open_parts(path: Path, options: Options) -> list[Opened]:
    """Return the tables at a path with the meaning of their columns.

    Raises:
        ReadError: one cannot be read.
        DataError: an option names a column that is not there.
    """
    found = []
    for part in find_parts(path)[0]:
        loaded = table.load(part.file)
        found.append(_with_votes(Opened(part, loaded, roles(loaded, part.file, options))))
    return found


def _with_votes(one: Opened) -> Opened:
    """Return a table with one row a sample, and what each person said about it."""
    data, its = one.loaded.table, one.roles
    if its.votes:
        columns = [data[name].to_pylist() for name in its.votes]
        votes = [
            Vote(row, name, label_text(value))
            for name, values in zip(its.votes, columns, strict=True) for row, value in enumerate(values)
            if label_text(value) is not None
        ]  # fmt: skip
        return replace(one, votes=tuple(votes))
    if not its.voter or not its.item or not its.label:
        return one
    first, place = gathered(data, its.item)
    when = moments(data[its.time])[0] if its.time else None
    times = [None] * data.num_rows if when is None else when.to_pylist()
    cells = zip(place.tolist(), data[its.voter].to_pylist(), data[its.label].to_pylist(), times, strict=True)
    votes = [Vote(row, str(who), label_text(said), at) for row, who, said, at in cells if row >= 0 and who is not None]
    loaded = replace(one.loaded, table=data.take(pa.array(first)))
    return replace(one, loaded=loaded, rows=first, votes=tuple(votes), roles=replace(its, time=None))


def listing_of(path: Path, opened: list[Opened], options: Options, *, modality: str) -> Listing:
    """Return a listing without samples: where it is, notes about the files, hashes of the manifests."""
    base = path if path.is_dir() else path.parent
    found = Listing(base=base.resolve(), source=options.name_for(path), modality=modality, uris=[])
    for one in opened:
        found.notes += [Note("data", note, WARN) for note in one.loaded.notes]
        found.inputs[_below(one.part.file, found.base)] = digest(one.part.file.read_bytes())
        found.classes = tuple(dict.fromkeys((*found.classes, *one.loaded.levels.get(one.roles.label or "", ()))))
    return found


def _below(file: Path, base: Path) -> str:
    return file.resolve().relative_to(base).as_posix()


def row_listing(path: Path, opened: list[Opened], options: Options, *, modality: str, what: list[str]) -> Listing:
    """Return a listing whose samples are the rows of tables.

    Args:
        path: what was asked for.
        opened: its tables.
        options: what the user said.
        modality: kind of data.
        what: for each table the part of the uri that follows the row's number.
    """
    found = listing_of(path, opened, options, modality=modality)
    sizes = [one.loaded.table.num_rows for one in opened]
    for one, spec in zip(opened, what, strict=True):
        name = _below(one.part.file, found.base)
        rows = range(one.loaded.table.num_rows) if one.rows is None else one.rows.tolist()
        found.uris += [f"{name}#{row}:{spec}" for row in rows]
    found.columns = joined([standard_columns(one, found, options) for one in opened], sizes)
    return found


def standard_columns(one: Opened, found: Listing, options: Options) -> dict[str, Any]:
    """Return label, split, group, time and all other columns of one table; remarks go to the listing."""
    data, its = one.loaded.table, one.roles
    columns: dict[str, Any] = {}
    columns |= _decided(one, found) if one.votes else _label(one, found)
    if its.split:
        columns["split"] = _splits(data[its.split], its.split, found)
    elif one.part.split:
        columns["split"] = pa.array([one.part.split] * data.num_rows, pa.string())
    if its.group:
        columns["group"] = pa.array([label_text(value) for value in data[its.group].to_pylist()], pa.string())
        if options.group is None:
            why = f"column {its.group!r} is taken as the group: its samples stay together"
            found.notes.append(Note("data", why, INFO))
    shut = set(its.used)
    if its.time and (when := _times(data[its.time], its.time, found)) is not None:
        columns["captured_at"] = when
    elif its.time:
        shut.discard(its.time)
    for name in data.column_names:
        if name not in shut and name not in its.values and not name.startswith("_row"):
            objects = as_objects(name, data[name], one.loaded.levels.get(name, ()))
            own = "boxes" if objects is not None and name in boxes.BOXES else " ".join(name.split())
            columns[f"meta.{own}"] = data[name].combine_chunks() if objects is None else objects
    found.described += data.num_rows
    return columns


def as_objects(name: str, column: pa.ChunkedArray, names: Sequence[str]) -> pa.Array | None:
    """Return a column of objects as ``datasets`` keeps them in the one shape; None where it is anything else."""
    if name not in (*boxes.BOXES, *boxes.PREDICTED) or not pa.types.is_string(column.type):
        return None
    cells = column.to_pylist()
    first = next((cell for cell in cells if cell), "")
    if not first.startswith("{") and not names:
        return None
    try:
        return pa.array([cell and boxes.to_cell(boxes.from_lists(json.loads(cell), names)) for cell in cells])
    except (ValueError, TypeError, AttributeError):
        return None


def _times(column: pa.ChunkedArray, name: str, found: Listing) -> pa.Array | None:
    when, form = moments(column)
    if when is None:
        found.notes.append(Note("data", f"column {name!r} holds no times that can be read: kept as meta", WARN))
    else:
        found.notes.append(Note("data", f"column {name!r} is taken as the time, read as {form}", INFO))
    return when


def _label(one: Opened, found: Listing) -> dict[str, Any]:
    if not one.roles.label:
        return {}
    labels = [label_text(value) for value in one.loaded.table[one.roles.label].to_pylist()]
    return {"label": pa.array(_named(labels, one.part.file, found), pa.string())}


def _decided(one: Opened, found: Listing) -> dict[str, Any]:
    """Hand the votes to the listing; return the given label, or what the majority says."""
    data, its = one.loaded.table, one.roles
    start = found.described
    labels = _named([vote.label for vote in one.votes], one.part.file, found)
    votes = [replace(vote, label=label) for vote, label in zip(one.votes, labels, strict=True)]
    found.votes += [replace(vote, row=vote.row + start) for vote in votes]
    people = len({vote.voter for vote in votes})
    if its.label and not its.voter:
        told = f"the label is column {its.label!r}"
        columns = _label(one, found)
    else:
        given = majority(votes, data.num_rows)
        open_ = sum(label is None for label in given)
        told = f"the label is the majority's, {open_} samples without one have none"
        sources = [None if label is None else "vote" for label in given]
        columns = {"label": pa.array(given, pa.string()), "label_source": pa.array(sources, pa.string())}
    where = f"columns {listed(its.votes, 6)}" if its.votes else f"column {its.voter!r}"
    found.notes.append(Note("data", f"{len(votes)} votes of {people} annotators ({where}): {told}", INFO))
    return columns


def no_label(one: Opened, why: str = "no column looks like a label") -> Note:
    """Return the note that a table was read without labels, with the columns that may hold them."""
    there = f"it has {listed(one.loaded.table.column_names)}"
    return Note("data", f"{why} in {one.part.file.name} ({there}): name one with --label COLUMN", WARN)


def _splits(column: pa.ChunkedArray, name: str, found: Listing) -> pa.Array:
    values = column.to_pylist()
    splits = [None if value is None else split_name(value) for value in values]
    pairs = zip(values, splits, strict=True)
    strange = sorted({str(value) for value, split in pairs if value is not None and not split})
    if strange:
        why = f"column {name!r} has {', '.join(strange[:5])}, which is no split: ignored there"
        found.notes.append(Note("data", why, INFO))
    if None not in splits and only_train(splits):
        found.notes.append(Note("data", f"column {name!r} says train everywhere: a new split will be made", INFO))
        return pa.nulls(len(values), pa.string())
    return pa.array(splits, pa.string())


def _named(labels: list[str | None], file: Path, found: Listing) -> list[str | None]:
    """Replace class numbers by the names that a ``label.json`` beside the table gives them."""
    for name in ("label.json", "labels.json", "classes.json"):
        try:
            book = json.loads((file.parent / name).read_text("utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(book, list):
            book = {str(index): value for index, value in enumerate(book)}
        known = {label for label in labels if label}
        if isinstance(book, dict) and known and known <= set(book) and len(set(map(str, book.values()))) == len(book):
            note = Note("data", f"class names come from {name}", INFO)
            if note not in found.notes:
                found.notes.append(note)
            return [None if label is None else str(book[label]) for label in labels]
    return labels


def is_id(name: str, column: pa.ChunkedArray) -> bool:
    """Return whether a column only numbers the rows."""
    return plain(name) in IDS and len(np.unique(np.array(column.to_pylist(), dtype=str))) == len(column)


def escape(names: list[str]) -> str:
    """Return column names as one text for a uri."""
    return "|".join(name.replace("%", "%25").replace("|", "%7C") for name in names)


__all__ = ["Opened", "Part", "chosen", "escape", "find_parts", "is_id", "open_parts", "row_listing", "sniff"]
