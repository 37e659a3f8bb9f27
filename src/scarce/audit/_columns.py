"""The table beside the samples: every column of the manifest, and the features where a sample is a row of a table."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scarce.dataset import Dataset, Floats, Ints, Mask
from scarce.errors import ReadError
from scarce.modality.raw import feature_columns

TOKENS: Final = frozenset(
    ". .. ? ?? - -- / # #n/a n/a na n.a. n.a nan null none nil missing unknown undefined not_available tbd tba".split()
)
"""Words that stand for a missing value, in small letters."""
_NUMBER = re.compile(r"^\s*[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?\s*%?\s*$")
FEWEST: Final = 3
DRAWN: Final = ("meta.inclusion", "meta.worth")
"""Columns that production samples have and others cannot: a hole in them is none."""


def columns_of(ds: Dataset) -> tuple[dict[str, pa.Array], frozenset[str]]:
    """Return the columns beside the samples, by name without ``meta.``, and which of them are features.

    Empty for samples without a table. Features of rows are read from the files, in the rows' order.
    """
    found: dict[str, pa.Array] = {}
    if ds.schema.modality == "tabular":
        with suppress(ReadError):
            found = feature_columns(ds)
    features = frozenset(found)
    for name in ds.table.column_names:
        if name.startswith("meta.") and name[5:] not in found and name not in DRAWN:
            found[name[5:]] = ds.table[name].combine_chunks()
    return dict(sorted(found.items())), features


def is_text(column: pa.Array) -> bool:
    """Return whether a column holds text."""
    return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))


def is_number(column: pa.Array) -> bool:
    """Return whether a column holds numbers."""
    return bool(pa.types.is_integer(column.type) or pa.types.is_floating(column.type))


def numbers(column: pa.Array) -> Floats:
    """Return (N,) float64; NaN where a number is missing."""
    return np.asarray(pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False), np.float64)


def number_like(column: pa.Array) -> Mask:
    """Return (N,) whether a text reads as a number."""
    values = pc.dictionary_encode(column)
    fits = np.array([bool(_NUMBER.match(str(value))) for value in values.dictionary.to_pylist()] + [False])
    return np.asarray(fits[pc.fill_null(values.indices, len(fits) - 1).to_numpy(zero_copy_only=False)])


def holes(column: pa.Array) -> tuple[Mask, str]:
    """Return (N,) where a value is missing, and how missing values are written in disguise.

    Missing are nulls, NaN, blanks, words such as ``?`` and ``n/a`` in texts, and a stand-in number such as -999: one
    extreme value, at least three times, farther from the others than they are from each other.
    """
    if is_text(column):
        encoded = pc.dictionary_encode(column)
        levels = [str(value).strip() for value in encoded.dictionary.to_pylist()]
        bad = np.array([not level or level.lower() in TOKENS for level in levels] + [True])
        index = pc.fill_null(encoded.indices, len(levels)).to_numpy(zero_copy_only=False)
        words = sorted({level for level in levels if level.lower() in TOKENS})
        return np.asarray(bad[index]), ", ".join(map(repr, words[:3]))
    if not is_number(column):
        return np.asarray(pc.is_null(column).to_numpy(zero_copy_only=False)), ""
    values = numbers(column)
    gone = ~np.isfinite(values)
    stand_in = _stand_in(values[~gone])
    if stand_in is None:
        return gone, ""
    return gone | (values == stand_in), f"{stand_in:g}"


def _stand_in(values: Floats) -> float | None:
    known, counts = np.unique(values, return_counts=True)
    if len(known) < FEWEST:
        return None
    for edge, rest in ((0, known[1:]), (-1, known[:-1])):
        value, gap = float(known[edge]), float(abs(known[edge] - rest[0 if edge == 0 else -1]))
        coded = re.fullmatch(r"-?(9+|99*8|1)", f"{value:g}") is not None and value != 1
        if coded and counts[edge] >= FEWEST and gap > float(rest[-1] - rest[0]):
            return value
    return None


def by_class(mask: Mask, labels: Ints, k: int) -> tuple[Ints, Ints]:
    """Return (K,) how many of each class are marked, and (K,) how many there are."""
    known = labels >= 0
    return np.bincount(labels[known & mask], minlength=k), np.bincount(labels[known], minlength=k)


def association(mask: Mask, labels: Ints, k: int) -> tuple[float, float]:
    """Return Cramer's V between a mark and the class, and the p-value of no association (1 where nothing is known).

    Fisher's exact test for two classes, the chi-square test for more.
    """
    from scipy.stats import chi2_contingency, fisher_exact

    hits, sizes = by_class(mask, labels, k)
    table = np.stack([hits, sizes - hits])[:, sizes > 0]
    if table.shape[1] < 2 or not table.sum(axis=1).all():
        return 0.0, 1.0
    chi, p, _, _ = chi2_contingency(table, correction=False)
    if table.shape[1] == 2:
        p = fisher_exact(table)[1]
    return float(np.sqrt(chi / table.sum())), float(p)


def quoted(values: Any, most: int = 3) -> str:
    """Return a few values for people."""
    shown = [str(value)[:40] for value in list(values)[:most]]
    return ", ".join(map(repr, shown))
