"""The one place that writes labels, so that no label is lost and none leaks into the evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from scarce.ballot import MACHINES
from scarce.columns import LABEL_SOURCES
from scarce.dataset import Array, Dataset, Ints, Mask
from scarce.errors import DataError, closest
from scarce.lineage import Step

SPOKEN: Final = tuple(name for name in LABEL_SOURCES if name not in (*MACHINES, "inherited"))
"""Sources of labels that people stand behind; models do not overrule them."""
EVALUATED: Final = ("val", "test")


@dataclass(frozen=True, eq=False)
class Labels:
    """New labels of M rows.

    Attributes:
        rows: (M,) row numbers, each once.
        codes: (M,) class codes; -1 = takes the label away.
        source: who said so, one of ``columns.LABEL_SOURCES``.
        probs: (M, K) soft labels that sum to 1, or None.
    """

    rows: Ints
    codes: Ints
    source: str
    probs: Array | None = None


def spoken(ds: Dataset) -> Mask:
    """Return (N,) bool: the rows whose label people are known to stand behind."""
    return np.asarray(np.isin(ds["label_source"].astype(str), SPOKEN) & (ds["label"] >= 0))


def free_rows(ds: Dataset, source: str) -> Mask:
    """Return (N,) bool: the rows whose label this source may write.

    People (``human``, and ``vote``, which is people too) may write any kept real row. All other sources write only rows
    that are not evaluated on and whose label, if any, no person stands behind.

    Raises:
        DataError: there is no such source.
    """
    if source not in LABEL_SOURCES:
        raise DataError("label", f"there is no source {source!r}", closest(source, LABEL_SOURCES))
    real = ds["keep"].astype(bool) & (ds["origin"] == "real")
    if source in ("human", "vote"):
        return np.asarray(real)
    return np.asarray(real & ~spoken(ds) & ~np.isin(ds["split"].astype(str), EVALUATED))


def with_labels(ds: Dataset, new: Labels, step: Step) -> Dataset:
    """Return the dataset with labels written, as one step of its lineage.

    Args:
        ds: N rows.
        new: what is written; rows that the source may not write are left as they are.
        step: how it came about.

    Raises:
        DataError: a row twice, a code out of range, or probabilities of another shape.
    """
    classes = len(ds.schema.classes)
    rows, codes = np.asarray(new.rows, np.int64), np.asarray(new.codes, np.int64)
    if rows.shape != codes.shape or len(np.unique(rows)) < len(rows):
        raise DataError("label", f"{len(rows)} rows and {len(codes)} labels", do="give each row once, with one label")
    if len(codes) and (codes.min() < -1 or codes.max() >= classes):
        raise DataError("label", f"codes reach from {codes.min()} to {codes.max()}", f"there are {classes} classes")
    if new.probs is not None and np.shape(new.probs) != (len(rows), classes):
        raise DataError("label", f"soft labels have shape {np.shape(new.probs)}", f"wanted is {(len(rows), classes)}")
    may = free_rows(ds, new.source)[rows]
    place, codes = rows[may], codes[may]
    soft = np.zeros((len(place), classes)) if new.probs is None else np.asarray(new.probs, np.float64)[may]
    known = (codes >= 0) & (new.probs is not None) & np.isfinite(soft).all(axis=1)
    said = pa.array(ds.schema.classes, pa.string()).take(pa.array(codes, mask=codes < 0))
    source = pa.array([new.source, None], pa.string()).take(pa.array((codes < 0).astype(np.int64)))
    offsets = pa.array(np.arange(0, soft.size + 1, max(classes, 1), dtype=np.int32))
    probs = pa.ListArray.from_arrays(offsets, pa.array(soft.ravel()), mask=pa.array(~known))
    index = np.arange(len(ds))
    index[place] = len(ds) + np.arange(len(place))
    written = {"label": said, "label_source": source, "label_probs": probs}
    columns = {}
    for name, fresh in written.items():
        old = ds.table[name]
        both = pa.chunked_array([*old.chunks, fresh.cast(old.type)], old.type)
        columns[name] = both.take(pa.array(index)).combine_chunks()
    return ds.with_columns(columns).with_step(step)
