"""Columns that lie beside a version: those of the table that the samples are rows of, and what the scan measured.

In a contract they are ``feature.<column>`` and ``scan.<property>``. They stand in the user's files, not in the version,
so the gate looks at them and a commit does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scarce.dataset import Dataset, Floats
from scarce.modality import raw

FEATURE, SCAN = "feature.", "scan."
MEASURED: Final[Mapping[str, tuple[str, ...]]] = {
    "text": ("length",), "audio": ("rate", "seconds", "channels"), "time_series": ("length", "channels"),
}  # fmt: skip
"""Kind of data to what a contract promises of its measurements."""
ROOM: Final = 0.2
"""Share of a column's span by which a learned range is wider at each end; see :func:`learned_range`."""
DIGITS: Final = 4


def with_columns_beside(ds: Dataset, promised: Iterable[str] = ()) -> Dataset:
    """Return a version with ``feature.*`` and ``scan.*`` in its table; NaN and blank texts become nulls.

    Measurements are taken from ``ds.wide``: scan the dataset first. What is more than one number a sample stays there.

    Args:
        ds: a version.
        promised: further measurements that are wanted, beside those that every contract promises.

    Raises:
        ReadError: a table of features cannot be read any more.
    """
    table = ds.table
    found = {FEATURE + name: column for name, column in raw.feature_columns(ds).items()}
    usual = (SCAN + name for name in MEASURED.get(ds.schema.modality, ()))
    for name in {*usual, *promised}:
        if name.startswith(SCAN) and name in ds.wide and ds.wide[name].ndim == 1:
            found[name] = pa.array(ds.wide[name])
    for name in sorted(found):
        table = table.append_column(name, without_blanks(found[name]))
    return replace(ds, table=table)


def without_blanks(column: pa.Array) -> pa.Array:
    """Return a column with nulls in place of NaN and of texts that are blank."""
    if pa.types.is_floating(column.type):
        return pc.if_else(pc.is_nan(column), None, column)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return pc.if_else(pc.equal(pc.utf8_trim_whitespace(column), ""), None, column)
    return column


def named(ds: Dataset, name: str) -> str:
    """Return the column that a name in a contract means: itself, else the one of the table, else of the manifest.

    A column of numbers with a word among them is no feature any more and is found in the manifest.
    """
    bare = name.removeprefix(FEATURE).removeprefix("meta.")
    return next((full for full in (name, FEATURE + bare, f"meta.{bare}") if full in ds.table.column_names), name)


def unseen(ds: Dataset, name: str) -> bool:
    """Return whether a column of a version without the columns beside it may yet be there."""
    if name.startswith((FEATURE, SCAN)):
        return True
    return ds.schema.modality == "tabular" and named(ds, name) not in ds.table.column_names


def unmeasured(ds: Dataset, names: Iterable[str]) -> list[str]:
    """Return the measurements among some names that the dataset lacks: it was not scanned."""
    return [name for name in names if name.startswith(SCAN) and name not in ds.wide]


def own_columns(ds: Dataset) -> tuple[str, ...]:
    """Return the user's own columns: those of the table, and those of the manifest that are not among them."""
    names = ds.table.column_names
    return tuple(
        name for name in names
        if name.startswith(FEATURE)
        or (name.startswith("meta.") and FEATURE + name.removeprefix("meta.") not in names)
    )  # fmt: skip


def learned_range(column: pa.ChunkedArray) -> tuple[float, float] | None:
    """Return the least and greatest value that a column of numbers may have from now on; None = any.

    The range that was seen, wider by :data:`ROOM` of its span at each end. The span is counted in steps that grow with
    the distance from the median (inverse hyperbolic sine of that distance over the median absolute deviation), so that
    long tails get more room. A column without negative values is promised to stay so, one with a single value to keep
    it, whole numbers to be whole. Whole numbers that are all different name rows and get no range, nor do yes and no.
    """
    whole = pa.types.is_integer(column.type)
    if not (whole or pa.types.is_floating(column.type)):
        return None
    values: Floats = np.asarray(pc.cast(column.drop_null(), pa.float64(), safe=False).to_numpy(), np.float64)
    values = values[np.isfinite(values)]
    if not len(values) or (whole and len(values) > 2 and len(np.unique(values)) == len(values)):
        return None
    low, high = float(values.min()), float(values.max())
    if low == high:
        return low, high
    middle = float(np.median(values))
    unit = float(np.median(np.abs(values - middle))) or float(values.std())
    ends = np.arcsinh((np.array([low, high]) - middle) / unit)
    room = ROOM * (ends[1] - ends[0])
    below, above = np.sinh(ends + np.array([-room, room])) * unit + middle
    least = max(float(below), 0.0) if low >= 0 else float(below)
    if whole:
        return float(np.floor(least)), float(np.ceil(above))
    return _rounded(least, down=True), _rounded(float(above), down=False)


def _rounded(value: float, *, down: bool) -> float:
    """Return a number with four digits, rounded outward."""
    if value == 0 or not np.isfinite(value):
        return value
    step = 10.0 ** (np.floor(np.log10(abs(value))) - DIGITS + 1)
    return float(f"{(np.floor if down else np.ceil)(value / step) * step:.{DIGITS}g}")
