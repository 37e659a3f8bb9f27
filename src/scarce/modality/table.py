"""Tables from files: CSV and its cousins, JSON lines, Parquet, NPZ; typed by what the values are, not by hope."""

from __future__ import annotations

import csv
import io
import json
import re
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from scarce.dataset import Array
from scarce.errors import ReadError

DELIMITED = (".csv", ".tsv", ".tab", ".txt")
LINES = (".jsonl", ".ndjson", ".json")
PARQUET = (".parquet", ".pq")
ARRAYS = (".npz",)
HELD_BYTES = 128 * 2**20
SUFFIXES = (*DELIMITED, *LINES, *PARQUET, *ARRAYS)
_MISSING = ("", "NA", "N/A", "na", "n/a", "NaN", "nan", "NULL", "null", "None", "?", "-")
_LEADING_ZERO = r"^[+-]?0\d"
_DECIMAL_COMMA = r"^\s*[+-]?\d*,\d+\s*$"
_NUMBER = re.compile(r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$")
_FILE_NAME = re.compile(r"\.(jpe?g|png|webp|bmp|tiff?|gif|wav|flac|ogg)\s*$", re.IGNORECASE)


@dataclass(frozen=True)
class Loaded:
    """A table and what was noticed while it was read.

    Args:
        table: typed columns; binary cells of a Parquet file are left out (see ``binary``).
        notes: one line each, for people.
        binary: names of columns that hold bytes, read cell by cell.
        named: whether the file itself names its columns.
        rows: each row's number in the file, where lines were skipped; None = 0, 1, 2 ...
        levels: class names that the file's schema keeps, by column; numbers were replaced by them.
    """

    table: pa.Table
    notes: tuple[str, ...] = ()
    binary: tuple[str, ...] = ()
    named: bool = True
    levels: Mapping[str, Sequence[str]] = field(default_factory=dict)


_lock = Lock()


def load(path: str | Path) -> Loaded:
    """Return a file's table; the last few are remembered until the file changes.

    Raises:
        ReadError: it cannot be opened or understood.
    """
    path = Path(path)
    try:
        state = path.stat()
        refuse_special(path, state.st_mode)
        with _lock:
            return _load(str(path), state.st_size, state.st_mtime_ns)
    except OSError as error:
        if isinstance(error, ReadError):
            raise
        what = f"{path} cannot be read ({error.strerror or error})"
        raise ReadError("io", what, do="check the path and its rights") from error


def refuse_special(path: Path, mode: int) -> None:
    """Refuse what is no regular file: a pipe that nobody writes to would hold the reader for ever.

    Raises:
        ReadError: it is a pipe, a device or a folder.
    """
    if not stat.S_ISREG(mode):
        raise ReadError("io", f"{path} is no regular file", do="pass a file, or take it out of the folder")


@lru_cache(maxsize=4)
def _load(name: str, size: int, mtime: int) -> Loaded:
    del size, mtime
    path = Path(name)
    suffix = path.suffix.lower()
    try:
        if suffix in PARQUET:
            return _parquet(path)
        data = path.read_bytes()
        if suffix in LINES:
            return _lines(data, path.name)
        return _delimited(data, path.name)
    except (pa.ArrowException, csv.Error, json.JSONDecodeError, UnicodeError) as error:
        what = f"{path} is no readable {suffix.lstrip('.').upper() or 'table'} ({str(error).splitlines()[0][:160]})"
        raise ReadError("io", what, do="open it in a text editor: is it what its name says?") from error


def arrays(path: str | Path) -> dict[str, Array]:
    """Return the arrays of an NPZ file; the last two files are remembered.

    Raises:
        ReadError: it cannot be opened, or holds Python objects.
    """
    path = Path(path)
    try:
        state = path.stat()
        refuse_special(path, state.st_mode)
        with _lock:
            return _arrays(str(path), state.st_size, state.st_mtime_ns)
    except (OSError, ValueError, EOFError, KeyError) as error:
        what = f"{path} cannot be read as NPZ ({str(error).splitlines()[0][:160]})"
        raise ReadError("io", what, do="save plain number or text arrays with numpy.savez") from error
    except Exception as error:
        if type(error).__name__ != "BadZipFile":
            raise
        raise ReadError("io", f"{path} is no NPZ file ({error})", do="save it with numpy.savez") from error


@lru_cache(maxsize=2)
def _arrays(name: str, size: int, mtime: int) -> dict[str, Array]:
    del size, mtime
    with np.load(name, allow_pickle=False) as opened:
        return {key: opened[key] for key in opened.files}


def decode_text(data: bytes) -> tuple[str, str]:
    """Return a file's text and the encoding it was read with: UTF-8, UTF-16 (by its mark), Korean, else Latin-1."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16"), "utf-16"
    try:
        return data.decode("utf-8-sig"), "utf-8"
    except UnicodeDecodeError:
        pass
    try:
        data.decode("euc_kr")
        return data.decode("cp949"), "cp949"
    except UnicodeDecodeError:
        return data.decode("latin-1"), "latin-1"


def delimiter_of(lines: Sequence[str]) -> str:
    """Return the delimiter that splits the first lines most evenly: comma, semicolon, tab or bar."""
    best, top = ",", (0, 0)
    for mark in (",", ";", "\t", "|"):
        widths = [len(row) for row in csv.reader(lines, delimiter=mark) if row]
        if not widths or widths[0] < 2:
            continue
        even = sum(width == widths[0] for width in widths) * 100 // len(widths)
        if (even, widths[0]) > top:
            best, top = mark, (even, widths[0])
    return best


def _delimited(data: bytes, name: str) -> Loaded:
    text, encoding = decode_text(data)
    notes = [] if encoding == "utf-8" else [f"{name} is not UTF-8: read as {encoding}"]
    head = text[:65536].splitlines()[:50]
    if not text.strip():
        return Loaded(pa.table({}), (f"{name} is empty",))
    mark = "\t" if name.lower().endswith((".tsv", ".tab")) else delimiter_of(head)
    first = next(csv.reader(head, delimiter=mark), [])
    named = not (all(_NUMBER.match(cell) for cell in first) or any(_FILE_NAME.search(cell) for cell in first))
    names = unique_names(first if named else [f"c{index}" for index in range(len(first))])
    skipped: list[int] = []

    def skip(row: Any) -> str:
        skipped.append(row.number or 0)
        return "skip"

    table = pyarrow.csv.read_csv(
        io.BytesIO(text.encode()),
        read_options=pyarrow.csv.ReadOptions(
            column_names=names, skip_rows=0, skip_rows_after_names=int(named),
            use_threads=False,  # a thread that lets go of the bytes while Python ends aborts the process
        ),
        parse_options=pyarrow.csv.ParseOptions(delimiter=mark, newlines_in_values=True, invalid_row_handler=skip),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True, null_values=[""],
            quoted_strings_can_be_null=True,
        ),
    )  # fmt: skip
    if skipped:
        notes.append(f"{name}: {len(skipped)} lines do not have {len(names)} cells and were left out")
    columns = {column: infer(table[column].combine_chunks(), comma=mark == ";") for column in names}
    return Loaded(pa.table(columns), tuple(notes), (), named)


def _lines(data: bytes, name: str) -> Loaded:
    text, encoding = decode_text(data)
    notes = [] if encoding == "utf-8" else [f"{name} is not UTF-8: read as {encoding}"]
    rows: list[dict[str, Any]] = []
    bad = 0
    if name.lower().endswith(".json"):
        body = json.loads(text)
        found = body if isinstance(body, list) else next((item for item in body.values() if isinstance(item, list)), [])
        rows = [_flat(row) for row in found if isinstance(row, dict)]
        bad = len(found) - len(rows)
    else:
        for line in text.split("\n"):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                bad += 1
                continue
            if isinstance(row, dict):
                rows.append(row)
            else:
                bad += 1
    if bad:
        notes.append(f"{name}: {bad} lines are no JSON objects and were left out")
    names = list(dict.fromkeys(str(key) for row in rows for key in row))
    return Loaded(pa.table({key: _column([row.get(key) for row in rows]) for key in names}), tuple(notes))


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with the members of its ``data`` as columns of their own, as tasks of Label Studio have them."""
    inner = row.get("data")
    return {**row, **{f"data.{key}": value for key, value in inner.items()}} if isinstance(inner, dict) else row


def _column(values: list[Any]) -> pa.Array:
    if any(isinstance(value, dict | list) for value in values):
        values = [None if value is None else json.dumps(value, ensure_ascii=False) for value in values]
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if value is None else str(value) for value in values], pa.string())


def _parquet(path: Path) -> Loaded:
    schema = pq.read_schema(path)
    binary = tuple(field.name for field in schema if _holds_bytes(field.type))
    table = pq.read_table(path, columns=[name for name in schema.names if name not in binary], partitioning=None)
    levels = _class_labels(schema.metadata or {})
    for index, entry in enumerate(table.schema):
        column = table[entry.name]
        if entry.name in levels and pa.types.is_integer(entry.type):
            taken = pc.if_else(pc.less(column, 0), None, column)
            column = pa.array(levels[entry.name], pa.string()).take(taken.combine_chunks())
        elif pa.types.is_dictionary(entry.type):
            column = column.cast(entry.type.value_type)
        elif pa.types.is_nested(entry.type):
            column = _column(column.to_pylist())
        table = table.set_column(index, entry.name, column)
    if not table.column_names:
        table = pa.table({"_row": pa.array(range(pq.read_metadata(path).num_rows))})
    return Loaded(table, (), binary, levels=levels)


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return any(field.name == "bytes" and _holds_bytes(field.type) for field in kind)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _class_labels(metadata: dict[bytes, bytes]) -> dict[str, list[str]]:
    """Return the class names that the ``datasets`` library leaves in a Parquet schema."""
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        return {name: names for name, body in features.items() if (names := _names_below(body))}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _names_below(body: Any) -> list[str] | None:
    """Return the class names of a feature, or of one inside it."""
    if isinstance(body, dict):
        if isinstance(body.get("names"), list):
            return [str(name) for name in body["names"]]
        return next((names for inner in body.values() if (names := _names_below(inner))), None)
    return next((names for inner in body if (names := _names_below(inner))), None) if isinstance(body, list) else None


def unique_names(names: Sequence[str]) -> list[str]:
    """Return column names without blanks or repeats: a second ``a`` becomes ``a_2``."""
    found: list[str] = []
    for index, name in enumerate(names):
        base = " ".join(name.split()) or f"c{index}"
        turn = 2
        unique = base
        while unique in found:
            unique, turn = f"{base}_{turn}", turn + 1
        found.append(unique)
    return found


def infer(column: pa.Array, *, comma: bool = False) -> pa.Array:
    """Return a text column as whole numbers, numbers, booleans or times where every value is one; else as it is.

    Numbers with leading zeros stay text ("007" is a name). Only ``""`` counts as missing in text; ``NA``, ``?`` and
    their like do in numbers.
    """
    plain = pc.utf8_trim_whitespace(column)
    plain = pc.if_else(pc.is_in(plain, value_set=pa.array(_MISSING)), None, plain)
    if plain.null_count == len(plain):
        return column
    if comma and pc.any(pc.match_substring_regex(plain, _DECIMAL_COMMA)).as_py():
        plain = pc.replace_substring(plain, ",", ".")
    if not pc.any(pc.match_substring_regex(plain, _LEADING_ZERO)).as_py():
        for kind in (pa.int64(), pa.float64()):
            try:
                return pc.cast(plain, kind)
            except pa.ArrowInvalid:
                continue
    lowered = pc.utf8_lower(plain)
    if pc.all(pc.is_in(lowered, value_set=pa.array(["true", "false"]))).as_py():
        return pc.if_else(pc.is_null(lowered), None, pc.equal(lowered, "true"))
    return column


def bytes_cell(path: str, column: str) -> Callable[[int], bytes | None]:
    """Return a reader of one Parquet column's cells by row; it keeps row groups up to :data:`HELD_BYTES` in memory."""
    opened = pq.ParquetFile(path)
    starts = np.cumsum([0] + [opened.metadata.row_group(group).num_rows for group in range(opened.num_row_groups)])
    held: dict[int, Any] = {}

    def cell(row: int) -> bytes | None:
        group = int(np.searchsorted(starts, row, side="right")) - 1
        if group not in held:
            fresh = opened.read_row_group(group, columns=[column])[column]
            while held and fresh.nbytes + sum(part.nbytes for part in held.values()) > HELD_BYTES:
                held.pop(next(iter(held)))
            held[group] = fresh
        value = held[group][row - int(starts[group])].as_py()
        return value.get("bytes") if isinstance(value, dict) else value

    return cell
