"""What a table's columns are for, and what kind of data the table therefore holds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from scarce.errors import DataError, closest
from scarce.io._base import Options
from scarce.io._several import item_and_voter, vote_columns
from scarce.io._tree import split_name
from scarce.io._walk import IMAGES, SOUNDS, walk
from scarce.modality.table import Loaded

Kind = Literal["manifest", "embedded", "text", "table", "series", "unknown"]
LABELS = (
    "label", "class", "category", "target", "y", "labels", "class_name", "label_name", "category_name", "classname",
    "defect", "defect_type", "sentiment", "topic", "intent", "diagnosis",
)  # fmt: skip
PATHS = frozenset(
    "path image file filename file_name filepath file_path image_path img img_path image_file uri image_name audio "
    "audio_path audio_file wav wav_path sound picture photo image_id img_id name".split()
)
TEXTS = (
    "text", "sentence", "review", "comment", "content", "body", "message", "tweet", "utterance", "document", "question",
    "headline", "title", "description",
)  # fmt: skip
GROUPS = ("group", "groups", "group_id", "lot", "lot_id", "patient", "patient_id", "subject_id", "video_id")
SPLITS = ("split", "subset", "partition", "set", "fold_name", "usage")
TIMES = ("captured_at", "timestamp", "datetime", "date", "time", "taken_at", "created_at", "captured")
IDS = frozenset("id index idx uuid guid key row row_id rowid sample_id image_id record_id unnamed:_0 c0_id".split())
ABOUT_VOTES = frozenset("time when timestamp date seconds duration confidence prob probability kind comment".split())
SERIES_IDS = (
    "series_id", "series", "sequence_id", "sequence", "unit", "unit_id", "sample_id", "sample", "id", "case_id",
)  # fmt: skip
SERIES_TIMES = ("time", "t", "timestamp", "step", "cycle", "tick", "index", "date", "datetime", "position")
_WIDE = re.compile(r"^(t|time|ts|step|s|tick|lag|time_|step_|t_)?(\d+)$", re.IGNORECASE)
_MASK = re.compile(r"(^|_)(mask|masks|ground_truth|segmentation|seg)(_|$)")
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{2,5}$")


@dataclass(frozen=True, kw_only=True)
class Roles:
    """Which column is which; None or empty = there is none."""

    kind: Kind
    path: str | None = None
    cell: str | None = None
    text: str | None = None
    label: str | None = None
    split: str | None = None
    group: str | None = None
    time: str | None = None
    mask: str | None = None
    key: str | None = None
    step: str | None = None
    values: tuple[str, ...] = ()
    votes: tuple[str, ...] = ()
    item: str | None = None
    voter: str | None = None

    @property
    def used(self) -> frozenset[str]:
        """Names that are no ``meta`` columns."""
        own = (self.path, self.cell, self.text, self.label, self.split, self.group, self.time, self.mask, self.voter)
        return frozenset(name for name in (*own, *self.votes) if name)


def plain(name: str) -> str:
    """Return a column name in small letters with underscores."""
    return re.sub(r"[\s\-.]+", "_", name.strip().lower())


def roles(loaded: Loaded, file: Path, options: Options) -> Roles:
    """Return what the columns of a table are for.

    Raises:
        DataError: an option names a column that is not there; the message lists the closest ones.
    """
    table = loaded.table
    names = [*table.column_names, *loaded.binary]
    found = Roles(
        kind="unknown",
        path=_path(table, file), cell=next(iter(loaded.binary), None), mask=_by(table.column_names, _MASK),
        label=chosen(options.label, names, LABELS, "label", file),
        group=chosen(options.group, names, GROUPS, "group", file),
        split=chosen(options.split, names, (), "split", file) or _split(table),
        time=chosen(options.time, names, (), "time", file) or _time(table),
        text=chosen(options.text, names, (), "text", file),
    )  # fmt: skip
    found = _with_voters(table, found)
    if found.path and found.text is None and not found.cell:
        label = found.label if found.label or options.label == "" else _named_like_folders(table, found.path)
        return replace(found, kind="manifest", label=label)
    found = replace(found, path=None, mask=None)
    if found.cell:
        return replace(found, kind="embedded")
    long = None if found.text or found.voter else _long(table, found)
    if long:
        return long
    wide = () if found.text else _wide(table, found, loaded, file)
    if wide:
        label = found.label or _first_column(table, loaded, wide, options)
        return replace(found, kind="series", values=wide, label=label)
    text = found.text or _text(table, found) or _only_votes(table, found)
    if text:
        label = (
            found.label
            if found.label or found.votes or options.label == ""
            else _few_valued(table, {text, *found.used})
        )
        return replace(found, kind="text", text=text, label=label)
    return replace(found, kind="table" if _has_numbers(table) else "unknown")


def _with_voters(table: pa.Table, found: Roles) -> Roles:
    """Return the roles with the columns of several people's labels, or of who said what about which sample."""
    plainly = {name: plain(name) for name in table.column_names}
    shut = set(found.used)
    text = found.text or (None if found.path else _text(table, found))
    pair = item_and_voter(table, plainly, (found.path or text,), found.label) or item_and_voter(
        table, plainly, (), found.label
    )
    if pair:
        return replace(found, item=pair[0], voter=pair[1])
    return replace(found, votes=vote_columns(table, plainly, shut))


def _only_votes(table: pa.Table, found: Roles) -> str | None:
    """Return the column of the samples' names where a table holds votes about them and nothing else."""
    rest = set(table.column_names) - found.used - {found.item}
    return found.item if found.voter and all(plain(name) in ABOUT_VOTES for name in rest) else None


def chosen(asked: str | None, names: Sequence[str], known: Iterable[str], what: str, file: Path) -> str | None:
    """Return the column that the user named, or the first one with a known name."""
    if asked == "":
        return None
    if asked is not None:
        for name in names:
            if name == asked or plain(name) == plain(asked):
                return name
        near = closest(asked, names)
        do = near if near.startswith("did you mean") else "name one of its columns"
        raise DataError("io", f"{file.name} has no column {asked!r} for {what}", f"it has {listed(names)}", do)
    lowered = {plain(name): name for name in reversed(names)}
    return next((lowered[name] for name in known if name in lowered), None)


def listed(names: Sequence[str], most: int = 20) -> str:
    """Return column names for people, the first few of many."""
    return ", ".join(map(repr, names[:most])) + f" and {len(names) - most} more" * (len(names) > most)


def _texts(table: pa.Table) -> list[str]:
    kinds = {field.name: field.type for field in table.schema}
    return [name for name, kind in kinds.items() if pa.types.is_string(kind) or pa.types.is_large_string(kind)]


def _sample(column: pa.ChunkedArray, most: int = 50) -> list[Any]:
    return list(column.slice(0, 2000).drop_null().to_pylist()[:most])


def _path(table: pa.Table, file: Path) -> str | None:
    """Return the column of file names: named so and looking so, else looking so, else files' names without ending."""
    looks = [name for name in _texts(table) if _like_files(_sample(table[name])) and not _MASK.search(plain(name))]
    named = [name for name in looks if plain(name) in PATHS]
    if named or looks:
        return (named or looks)[0]
    bare = [name for name in table.column_names if plain(name) in PATHS and not pa.types.is_floating(table[name].type)]
    if not bare:
        return None
    stems = {found.stem for found in walk(file.parent).of(IMAGES | SOUNDS)}
    for name in bare:
        values = [str(value) for value in _sample(table[name])]
        if values and sum(value in stems for value in values) >= len(values) / 2:
            return str(name)
    return None


def _like_files(values: Sequence[str]) -> bool:
    endings = [_SUFFIX.search(value.strip()) for value in values]
    hits = sum(bool(end) and end[0].lower() in IMAGES | SOUNDS for end in endings if end)
    return bool(values) and hits >= 0.5 * len(values)


def _by(names: Sequence[str], pattern: re.Pattern[str]) -> str | None:
    fitting = (name for name in names if pattern.search(plain(name)) and not plain(name).endswith(("_id", "_area")))
    return next(fitting, None)


def _split(table: pa.Table) -> str | None:
    names: list[str] = table.column_names
    for name in names:
        if plain(name) in SPLITS and any(split_name(value) for value in _sample(table[name])):
            return name
    return next((name for name in names if plain(name) == "split"), None)


def _time(table: pa.Table) -> str | None:
    from scarce.io._times import moments

    lowered: dict[str, str] = {plain(name): name for name in reversed(table.column_names)}
    for known in TIMES:
        if known in lowered and moments(table[lowered[known]].slice(0, 200))[0] is not None:
            return lowered[known]
    return None


def _named_like_folders(table: pa.Table, path: str) -> str | None:
    """Return the column whose values are the names of the files' folders."""
    parents = [re.split(r"[\\/]", str(value))[-2:-1] for value in table[path].to_pylist()]
    folders = [part[0] if part else None for part in parents]
    if len(set(folders)) < 2:
        return None
    names: list[str] = table.column_names
    for name in names:
        if name != path and [None if value is None else str(value) for value in table[name].to_pylist()] == folders:
            return name
    return None


def _long(table: pa.Table, found: Roles) -> Roles | None:
    lowered = {plain(name): name for name in reversed(table.column_names)}
    key = next((lowered[name] for name in SERIES_IDS if name in lowered), None)
    step = next((lowered[name] for name in SERIES_TIMES if name in lowered and lowered[name] != key), None)
    if not key or not step or table.num_rows < 8 or pc.count_distinct(table[key]).as_py() > table.num_rows / 4:
        return None
    shut = {key, step, found.label, found.split, found.group}
    values = tuple(name for name in table.column_names if name not in shut and _is_number(table[name].type))
    numeric_time = _is_number(table[step].type) or pa.types.is_temporal(table[step].type)
    if not values or not (numeric_time or found.time == step):
        return None
    time = None if found.time == step else found.time
    return replace(found, kind="series", key=key, step=step, values=values, time=time)


def _wide(table: pa.Table, found: Roles, loaded: Loaded, file: Path) -> tuple[str, ...]:
    numbers = [name for name in table.column_names if _is_number(table[name].type) and name not in found.used]
    if not loaded.named:
        archive = file.suffix.lower() in (".tsv", ".txt") or re.search(r"_(train|test)$", file.stem, re.IGNORECASE)
        return tuple(numbers[1:]) if archive and len(numbers) > 8 else ()
    fitting = [name for name in numbers if _WIDE.match(name)]
    steps = [int(match[2]) for name in fitting if (match := _WIDE.match(name))]
    even = len(fitting) >= 8 and steps == list(range(steps[0], steps[0] + len(steps)))
    return tuple(fitting) if even and len(fitting) >= 0.8 * len(numbers) else ()


def _first_column(table: pa.Table, loaded: Loaded, wide: Sequence[str], options: Options) -> str | None:
    if options.label == "" or loaded.named:
        return None
    first = table.column_names[0]
    return first if first not in wide else None


def _text(table: pa.Table, found: Roles) -> str | None:
    free = [name for name in _texts(table) if name not in found.used]
    lowered = {plain(name): name for name in reversed(free)}
    named = next((lowered[name] for name in TEXTS if name in lowered), None)
    if named:
        return named
    long = [(sum(map(len, values)) / len(values), name) for name in free if (values := _sample(table[name], 200))]
    many = 0.3 * table.num_rows
    words = [(size, name) for size, name in long if size > 20 and pc.count_distinct(table[name]).as_py() > many]
    return max(words)[1] if words else None


def _few_valued(table: pa.Table, shut: set[str]) -> str | None:
    """Return the only other column with few values."""
    few = [
        name for name in table.column_names
        if name not in shut and 1 < pc.count_distinct(table[name]).as_py() <= max(2, min(50, table.num_rows // 5))
    ]  # fmt: skip
    return few[0] if len(few) == 1 else None


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _has_numbers(table: pa.Table) -> bool:
    return any(_is_number(field.type) or pa.types.is_boolean(field.type) for field in table.schema) or (
        table.num_columns > 2 and table.num_rows > 1
    )
