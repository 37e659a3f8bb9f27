"""Time series."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import pyarrow as pa

from scarce.dataset import Array
from scarce.errors import DataError
from scarce.io._base import AbstractReader, Options
from scarce.io._listing import INFO, WARN, Listing, Note, joined, label_text
from scarce.io._tables import Opened, escape, find_parts, listing_of, open_parts, row_listing, sniff
from scarce.io._tree import only_train, split_name
from scarce.lineage import digest
from scarce.modality import table

_X, _Y = ("x", "data", "series", "images"), ("y", "label", "labels", "target", "targets", "class")
_KEY = re.compile(r"^(?P<name>.+?)(_(?P<split>train|test|val|valid|validation|dev))?$", re.IGNORECASE)


@final
@dataclass(frozen=True, kw_only=True)
class Series(AbstractReader):
    """Series: wide tables (t0, t1 ...), long tables (series, time, value), NPZ arrays (x_train, y_train ... or x, y).

    Use when the order of the values matters. NPZ arrays of bytes with two or three axes a sample are read as pictures.
    Writes: label, split, group; every other column (or array with one value a sample) as meta.<name>.
    """

    def accepts(self, path: Path) -> float:
        """Return how sure it is that a table or NPZ holds series."""
        parts, sure = find_parts(path)
        if parts and parts[0].file.suffix.lower() in table.ARRAYS:
            return sure
        return sniff(path, ("series",), table.SUFFIXES)

    def listing(self, path: Path, options: Options) -> Listing:
        """Return the series at a path."""
        parts = find_parts(path)[0]
        if parts and parts[0].file.suffix.lower() in table.ARRAYS:
            return _from_arrays(path, parts[0].file, options)
        opened = open_parts(path, options)
        if opened[0].roles.key:
            return _long(path, opened, options)
        if not opened[0].roles.values:
            raise DataError("io.series", f"{path} holds no columns of a series", do="call them t0, t1, t2 ...")
        specs = ["~" + escape(list(_ends(one.roles.values))) for one in opened]
        return row_listing(path, opened, options, modality="time_series", what=specs)


def _ends(values: tuple[str, ...]) -> tuple[str, str]:
    return values[0], values[-1]


def _long(path: Path, opened: list[Opened], options: Options) -> Listing:
    found = listing_of(path, opened, options, modality="time_series")
    parts, sizes = [], []
    for one in opened:
        its, data = one.roles, one.loaded.table
        ids = data[its.key].to_pylist()
        first: dict[Any, int] = {}
        for row, value in enumerate(ids):
            first.setdefault(value, row)
        name = one.part.file.resolve().relative_to(found.base).as_posix()
        spec = "@" + escape([its.key or "", its.step or "", *its.values])
        found.uris += [f"{name}#{index}:{spec}" for index in range(len(first))]
        columns: dict[str, Any] = {f"meta.{its.key}": pa.array([str(value) for value in first])}
        heads = data.take(pa.array(list(first.values())))
        for role in ("label", "group", "split"):
            column = getattr(its, role)
            if column:
                values = [label_text(value) for value in heads[column].to_pylist()]
                columns[role] = pa.array([split_name(v) for v in values] if role == "split" else values, pa.string())
        if one.part.split and "split" not in columns:
            columns["split"] = pa.array([one.part.split] * len(first))
        parts.append(columns)
        sizes.append(len(first))
        if its.label and _varies(ids, data[its.label].to_pylist()):
            found.notes.append(Note("data", "the label changes within a series: the first one is taken", WARN))
    found.columns = joined(parts, sizes)
    return found


def _varies(ids: list[Any], labels: list[Any]) -> bool:
    first: dict[Any, Any] = {}
    return any(first.setdefault(key, label) != label for key, label in zip(ids, labels, strict=True))


def _from_arrays(path: Path, file: Path, options: Options) -> Listing:
    """Return the rows of the arrays in an NPZ file."""
    arrays = table.arrays(file)
    sets = list(_sets(arrays, options))
    if not sets:
        there = ", ".join(f"{name} {array.shape}" for name, array in list(arrays.items())[:12])
        what = f"{file.name} holds no arrays called x and y, or x_train, y_train and so on"
        do = "save the samples as x (N, length) and the labels as y (N,)"
        raise DataError("io.series", what, f"it holds {there}", do)
    base = file.resolve().parent
    picture = all(array.dtype == np.uint8 and array.ndim in (3, 4) for _, array, _, _ in sets)
    modality = "image" if picture else "time_series"
    found = Listing(base=base, source=options.name_for(path), modality=modality, uris=[])
    found.inputs[file.name] = digest(file.read_bytes())
    several = any(split for _, _, split, _ in sets) and not only_train(split for _, _, split, _ in sets)
    parts, sizes = [], []
    for name, samples, split, columns in sets:
        found.uris += [f"{file.name}#{row}:{name}" for row in range(len(samples))]
        own = dict(columns)
        if split and several:
            own["split"] = pa.array([split] * len(samples))
        parts.append(own)
        sizes.append(len(samples))
    found.columns = joined(parts, sizes)
    if not several and sets[0][2]:
        found.notes.append(Note("data", "there is only a train part: a new split will be made", INFO))
    if "label" not in found.columns:
        found.notes.append(Note("data", "there is no array of labels (y)", WARN))
    return found


def _sets(arrays: dict[str, Array], options: Options) -> Iterator[tuple[str, Array, str | None, dict[str, Any]]]:
    """Yield name, samples, split and columns of each pair of arrays."""
    for name, samples in arrays.items():
        match = _KEY.match(name)
        if match is None or match["name"].lower() not in _X or samples.ndim < 2 or samples.dtype.kind not in "fiub":
            continue
        ending = (match["split"] or "").lower()
        columns: dict[str, Any] = {}
        for other, array in arrays.items():
            its = _KEY.match(other)
            if other == name or its is None or (its["split"] or "").lower() != ending:
                continue
            if array.shape != samples.shape[:1]:
                continue
            role = its["name"]
            wanted = {options.label} if options.label else set(_Y)
            if role.lower() in wanted and "label" not in columns and options.label != "":
                columns["label"] = pa.array([label_text(value) for value in array.tolist()], pa.string())
            elif role.lower() in ("group", "groups") if options.group is None else role == options.group:
                columns["group"] = pa.array([label_text(value) for value in array.tolist()], pa.string())
            else:
                columns[f"meta.{role}"] = pa.array(array.tolist())
        yield name, samples, split_name(ending) if ending else None, columns
