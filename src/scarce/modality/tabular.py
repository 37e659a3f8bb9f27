"""Rows of feature tables."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scarce.dataset import Array
from scarce.modality._base import AbstractModality, BrokenSampleError, Raw, curve

CODE_WIDTH = 16


@final
@dataclass(frozen=True, kw_only=True)
class Tabular(AbstractModality):
    """Feature tables: numbers, yes/no and categories.

    Use when a sample is one row of measurements.
    Needs: (F,) float32; NaN = missing.
    Writes: scan.* of shape (N,): length (features), missing (share), zeros (share), bytes.
    """

    encoders: ClassVar[tuple[str, ...]] = ("table",)
    properties: ClassVar[Mapping[str, Any]] = {
        "length": np.int32, "missing": np.float32, "zeros": np.float32, "bytes": np.int64,
    }  # fmt: skip

    def decode(self, raw: Raw) -> Array:
        """Return (F,) float32."""
        return numbers(raw)

    def thumbnail(self, sample: Array | str, size: int) -> Array:
        """Return the features in order as a curve."""
        return curve(np.asarray(sample, np.float32), size)

    def measure(self, raw: Raw) -> dict[str, Any]:
        """Count; see the class."""
        row = numbers(raw)
        missing = float(np.isnan(row).mean())
        if missing == 1.0:
            raise BrokenSampleError("empty: every feature is missing")
        return {"length": len(row), "missing": missing, "zeros": float((row == 0).mean()), "bytes": row.nbytes}


def numbers(raw: Raw) -> Array:
    """Return content as float32, or raise the reason why it is no array of numbers."""
    if not isinstance(raw, np.ndarray) or not raw.size:
        raise BrokenSampleError("broken: no numbers" if not isinstance(raw, np.ndarray) else "empty: no numbers")
    return np.asarray(raw, np.float32)


def category_code(column: str, value: str) -> Array:
    """Return (16,) float32: the fixed random signs, over 4, that stand for one category.

    They depend on nothing but the two names, so a later file, another order or a new category changes no other code;
    up to 16 categories a linear model can tell them apart as well as one-hot columns.
    """
    bits = np.frombuffer(hashlib.blake2b(f"{column}\0{value}".encode(), digest_size=2).digest(), np.uint8)
    return (np.unpackbits(bits).astype(np.float32) * 2 - 1) / 4


def feature_matrix(table: pa.Table) -> tuple[Array, list[str]]:
    """Return (N, F) float32 features and their names; columns sorted by name, missing numbers as NaN.

    Numbers and times (as days) keep one column, yes/no becomes 1 and 0, categories get :func:`category_code`
    (zeros where missing). A row without one filled cell is NaN throughout.
    """
    parts: list[Array] = []
    names: list[str] = []
    for name in sorted(table.column_names):
        column = table[name]
        kind = column.type
        if pa.types.is_temporal(kind):
            days = pc.cast(pc.cast(column, pa.timestamp("us")), pa.int64())
            parts.append(days.to_numpy(zero_copy_only=False).astype(np.float32)[:, None] / 86_400e6)
            names.append(name)
        elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
            encoded = column.combine_chunks().dictionary_encode()
            levels = [category_code(name, str(level)) for level in encoded.dictionary.to_pylist()]
            book = np.stack([*levels, np.zeros(CODE_WIDTH, np.float32)])
            parts.append(book[pc.fill_null(encoded.indices, len(levels)).to_numpy(zero_copy_only=False)])
            names += [f"{name}~{index}" for index in range(CODE_WIDTH)]
        else:
            parts.append(pc.cast(column, pa.float32(), safe=False).to_numpy(zero_copy_only=False)[:, None])
            names.append(name)
    if not parts:
        return np.zeros((table.num_rows, 0), np.float32), []
    matrix = np.concatenate(parts, axis=1).astype(np.float32, copy=False)
    filled = np.any([pc.is_valid(table[name]).to_numpy() for name in table.column_names], axis=0)
    return np.where(filled[:, None], matrix, np.float32(np.nan)), names
