"""Where a sample's bytes lie and how to get them: files, rows of tables, cells of Parquet, arrays of NPZ.

A uri is relative to its source:

- ``a/b.jpg`` is a file;
- ``table.csv#17:text`` is the text in row 17;
- ``table.csv#17:!target|id`` are all feature columns but the named ones;
- ``wide.csv#17:~t0|t99`` are the columns from t0 to t99, a series;
- ``long.csv#17:@id|time|value`` is the 18th series of a long table;
- ``images.parquet#17:image`` are the bytes of a cell;
- ``sets.npz#17:x_train`` is a row of an array.
"""

from __future__ import annotations

import os
import stat
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scarce.columns import split_uri
from scarce.dataset import Array, Dataset
from scarce.errors import ReadError
from scarce.modality import table
from scarce.modality._base import BrokenSampleError, Raw

MISSING, FORBIDDEN = "missing: no such file", "unreadable: no permission"
BAD_LINK, SPECIAL = "missing: a broken link", "broken: not a regular file"
HELD = "/held:"
"""Beginning of the names of what is held in memory; a random token behind it keeps them apart from files."""
_lock = Lock()
_held: dict[str, bytes] = {}


@dataclass(frozen=True)
class Address:
    """A parsed uri.

    Args:
        path: the file.
        row: row in it, or None for the whole file.
        what: the column or array, ``!`` and all columns but these, or ``@`` and a long table's columns.
    """

    path: Path
    row: int | None = None
    what: str = ""


def address(base: str | Path, uri: str) -> Address:
    """Return where a uri points."""
    file, row, what = split_uri(uri)
    return Address(Path(base) / file, row, what)


def addresses(ds: Dataset, rows: Sequence[int] | Array) -> list[Address]:
    """Return where the samples of some rows lie."""
    part = ds.table.select(["uri", "source"]).take(pa.array(np.asarray(rows, np.int64)))
    bases = {name: str(folder) for name, folder in ds.sources.items()}
    pairs = zip(part["uri"].to_pylist(), part["source"].to_pylist(), strict=True)
    return [address(bases.get(source or "", ""), uri or "") for uri, source in pairs]


def fetch(ds: Dataset, rows: Sequence[int] | Array) -> list[Raw]:
    """Return the undecoded content of some rows: file bytes, text, feature row (F,), or series (T,) or (C, T).

    Raises:
        ReadError: a file is missing or cannot be read.
    """
    places = addresses(ds, rows)
    found: dict[int, Raw] = {}
    for index in as_on_disk(places):
        try:
            found[index] = content(places[index], ds.schema.modality)
        except BrokenSampleError as error:
            what = f"{places[index].path} is {error}"
            raise ReadError("io.fetch", what, do="scan the dataset first: it sets such samples aside") from error
    return [found[index] for index in range(len(places))]


def as_on_disk(places: Sequence[Address]) -> list[int]:
    """Return the numbers of some places in the order in which their bytes lie on disk."""
    return sorted(range(len(places)), key=lambda index: (str(places[index].path), places[index].row or 0))


def content(place: Address, modality: str) -> Raw:
    """Return the undecoded content at an address.

    Raises:
        BrokenSampleError: it is not there; the text is the reason to set the sample aside.
    """
    if place.row is None:
        data = read_bytes(place.path)
        return table.decode_text(data)[0] if modality == "text" else data
    try:
        return _row(place, place.row, modality)
    except ReadError as error:
        raise BrokenSampleError(f"unreadable: {error.what}") from None
    except (IndexError, KeyError, pa.ArrowException):
        raise BrokenSampleError("missing: the table has no such row or column any more") from None


def told(place: Address, *, most: int = 24) -> str:
    """Return a row of a table of features for people, ``name: value`` a line; empty where it is none."""
    if place.row is None or not place.what.startswith("!"):
        return ""
    try:
        row = table.load(place.path).table.slice(place.row, 1).to_pylist()[0]
    except (ReadError, OSError, IndexError):
        return ""
    shut = set(_names(place.what))
    names = [name for name in row if name not in shut]
    lines = [f"{name}: {row[name]:.6g}" if isinstance(row[name], float) else f"{name}: {row[name]}" for name in names]
    return "\n".join(lines[:most] + [f"and {len(lines) - most} more"] * (len(lines) > most))


@contextmanager
def held(contents: Sequence[bytes]) -> Iterator[list[Path]]:
    """Let the contents of files that were never written be read under the paths that this gives, inside of it.

    Only this process sees them.
    """
    token = uuid.uuid4().hex
    names = [f"{HELD}{token}-{number}" for number in range(len(contents))]
    _held.update(zip(names, contents, strict=True))
    try:
        yield [Path(name) for name in names]
    finally:
        for name in names:
            del _held[name]


def read_bytes(path: Path) -> bytes:
    """Return a file's bytes, or raise the reason why not."""
    if _held and (kept := _held.get(str(path))) is not None:
        return kept
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a socket or a device is not even opened
            raise BrokenSampleError(SPECIAL)
        with open(path, "rb", opener=_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise BrokenSampleError(SPECIAL)
            return file.read()
    except FileNotFoundError:
        raise BrokenSampleError(MISSING) from None
    except PermissionError:
        raise BrokenSampleError(FORBIDDEN) from None
    except OSError as error:
        raise BrokenSampleError(f"unreadable: {error.strerror or 'the file cannot be read'}") from None


def _without_waiting(path: str, flags: int) -> int:
    """Open a file; a pipe that nobody writes to would hold the reader for ever."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _row(place: Address, row: int, modality: str) -> Raw:
    suffix, path = place.path.suffix.lower(), str(place.path)
    if suffix in table.ARRAYS:
        array = table.arrays(path)[place.what][row]
        return np.asarray(array) if modality == "image" else np.asarray(array, np.float32)
    if place.what.startswith("!"):
        return np.asarray(features(path, place.what, _mtime(path))[row])
    if place.what.startswith("~"):
        series = wide_series(path, place.what, _mtime(path))[row]
        known = np.flatnonzero(~np.isnan(series))
        return np.asarray(series[: known[-1] + 1] if len(known) else series)
    if place.what.startswith("@"):
        return long_series(path, place.what, _mtime(path))[row]
    if suffix in table.PARQUET and modality in ("image", "audio"):
        with _lock:
            value = _cell(path, place.what, _mtime(path))(row)
        if not value:
            raise BrokenSampleError("empty: 0 bytes")
        return value
    cell = table.load(path).table[place.what][row].as_py()
    return "" if cell is None else str(cell)


def _mtime(path: str) -> int:
    try:
        return Path(path).stat().st_mtime_ns
    except OSError as error:
        raise ReadError("io", f"{path} cannot be read ({error.strerror})") from error


@lru_cache(maxsize=4)
def _cell(path: str, column: str, mtime: int) -> Callable[[int], bytes | None]:
    del mtime
    return table.bytes_cell(path, column)


@lru_cache(maxsize=4)
def features(path: str, spec: str, mtime: int) -> Array:
    """Return (N, F) float32 features of a table: all columns but those named in the spec, sorted by name."""
    del mtime
    from scarce.modality.tabular import feature_matrix

    loaded = table.load(path).table
    shut = set(_names(spec))
    return feature_matrix(loaded.select([name for name in loaded.column_names if name not in shut]))[0]


def feature_columns(ds: Dataset, *, wanted: Sequence[str] = ()) -> dict[str, pa.Array]:
    """Return the columns of the tables whose rows are the samples, typed, by name, in the samples' order.

    Empty where samples are no rows of a table of features. Of several tables, the columns that all of them have. A
    column without one value is none, unless it is among the wanted ones.

    Raises:
        ReadError: a table cannot be read, or has fewer rows than it had.
    """
    if ds.schema.modality != "tabular" or not len(ds):
        return {}
    places = addresses(ds, range(len(ds)))
    files = sorted({place.path for place in places})
    which = {path: number for number, path in enumerate(files)}
    owner = np.array([which[place.path] for place in places], np.int64)
    rows = np.array([place.row or 0 for place in places], np.int64)
    parts: list[pa.Table] = []
    shut: set[str] = set()
    for number, path in enumerate(files):
        if path.suffix.lower() in table.ARRAYS:
            return {}
        loaded, mine = table.load(path).table, rows[owner == number]
        if mine.max() >= loaded.num_rows:
            do = "restore the file, or read it anew"
            raise ReadError("io", f"{path} has {loaded.num_rows} rows", f"sample #{mine.max()} comes from it", do)
        parts.append(loaded.take(pa.array(mine)))
        shut |= set(_names(next(place.what for place in places if which[place.path] == number)))
    there = set.intersection(*(set(part.column_names) for part in parts))
    names = (there - shut) | {name for name in there & set(wanted) if all(_is_empty(part[name]) for part in parts)}
    back = pa.array(np.argsort(np.argsort(owner, kind="stable"), kind="stable"))
    found = {}
    for name in names:
        kinds = {part[name].type for part in parts}
        chunks = [pc.cast(part[name], pa.string()) if len(kinds) > 1 else part[name] for part in parts]
        found[name] = pa.concat_arrays([chunk for one in chunks for chunk in one.chunks]).take(back)
    return found


def _is_empty(column: pa.ChunkedArray) -> bool:
    return bool(column.null_count == len(column))


@lru_cache(maxsize=4)
def wide_series(path: str, spec: str, mtime: int) -> Array:
    """Return (N, T) float32: the number columns from the first to the last named one, in the file's order."""
    del mtime
    loaded = table.load(path).table
    first, last = (loaded.column_names.index(name) for name in _names(spec))
    names = [loaded.column_names[index] for index in range(first, last + 1)]
    columns = [pc.cast(loaded[name], pa.float32(), safe=False) for name in names if not _is_text(loaded[name].type)]
    return np.stack([column.to_numpy(zero_copy_only=False) for column in columns], axis=1)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _names(spec: str) -> list[str]:
    return [name.replace("%7C", "|").replace("%25", "%") for name in spec[1:].split("|")]


@lru_cache(maxsize=2)
def long_series(path: str, spec: str, mtime: int) -> list[Array]:
    """Return the series of a long table in order of first appearance, each (T,) or (C, T) float32, sorted by time."""
    del mtime
    loaded = table.load(path).table
    key, time, *values = _names(spec)
    ids = loaded[key].to_pylist()
    first: dict[object, int] = {}
    codes = np.array([first.setdefault(value, len(first)) for value in ids], np.int64)
    when = loaded[time].to_numpy(zero_copy_only=False) if time else np.arange(len(ids))
    ranked = np.lexsort((when, codes))
    matrix = np.stack([loaded[name].to_numpy(zero_copy_only=False).astype(np.float32) for name in values])[:, ranked]
    parts = np.split(matrix, np.flatnonzero(np.diff(codes[ranked])) + 1, axis=1)
    return [part[0] if len(values) == 1 else part for part in parts]
