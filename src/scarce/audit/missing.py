"""Values that are missing, and whether their absence tells the class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, final

import numpy as np
import pyarrow as pa

from scarce.audit import _columns as col
from scarce.audit._base import AbstractCheck, Finding, Measurement, finding, percent
from scarce.dataset import Array, Dataset, Floats, Ints, Mask
from scarce.metric.interval import holm

LEVEL = 0.01


class Holes(NamedTuple):
    """What is missing in one column.

    Attributes:
        mask: (N,) where.
        written: how missing values are written where they are disguised; empty = they are plain holes.
        by_class: (K,) share of each class; NaN where it has no sample.
        strength: Cramer's V between absence and class, 0 to 1.
        p: of no association; not yet adjusted for the number of columns.
    """

    mask: Mask
    written: str
    by_class: Floats
    strength: float
    p: float


def missing_values(column: pa.Array | Array, labels: Array, k: int) -> Holes:
    """Return where a column's values are missing and whether that depends on the class.

    Args:
        column: N values; nulls, NaN, blanks, ``?``, ``n/a`` and stand-ins such as -999 count as missing.
        labels: (N,) class codes, -1 = unknown.
        k: number of classes.

    Source: Little and Rubin 2002, on what is missing not at random.
    """
    array = column if isinstance(column, pa.Array) else pa.array(column, from_pandas=True)
    mask, written = col.holes(array)
    codes: Ints = np.asarray(labels, np.int64)
    hits, sizes = col.by_class(mask, codes, k)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = hits / sizes
    return Holes(mask, written, share, *col.association(mask, codes, k))


@final
@dataclass(frozen=True, kw_only=True)
class Missing(AbstractCheck):
    """Count missing values by column and class, and tell where their absence gives the class away.

    Use on tables, and on manifests with columns beside the files.
    Do not use as a reason to drop rows: where absence depends on the class, dropping them drops the rare class first.
    Needs: columns of a table or manifest.
    Writes: score (N,) = share of the sample's columns without a value. Where values are missing: a data finding with
    their share, one for each column with holes (per class, and how they are written), one with a score of 0.5 and more
    for each column whose absence depends on the class (exact test, Holm over the columns, 1 %).
    Source: Little and Rubin 2002; Holm 1979.

    Args:
        least: share of missing values from which a column is named.
        strength: Cramer's V from which a dependence on the class is worth a word.
        most: columns that are named, the worst first.
    """

    least: float = 0.0
    strength: float = 0.1
    most: int = 50

    def unmet(self, ds: Dataset) -> str:
        """Return why it cannot run: there are no columns beside the samples."""
        return "" if col.columns_of(ds)[0] else "there are no columns beside the samples"

    def measure(self, ds: Dataset) -> Measurement:
        """Look at every column."""
        columns, _ = col.columns_of(ds)
        k = len(ds.schema.classes)
        found = {name: missing_values(column, ds["label"], k) for name, column in columns.items()}
        grid = np.stack([one.mask for one in found.values()])
        told = [self._overall(grid, list(found))] if grid.any() else []
        adjusted = dict(zip(found, holm([one.p for one in found.values()]), strict=True))
        rows: list[Finding] = []
        for name, one in found.items():
            share = float(one.mask.mean())
            depends = adjusted[name] < LEVEL and one.strength >= self.strength
            if share > self.least or depends:
                rows.append(self._column(ds, name, one, depends=depends))
        rows.sort(key=lambda item: (-item["score"], item["why"]))
        return Measurement(grid.mean(axis=0), [*told, *rows[: self.most]])

    def _overall(self, grid: Mask, names: list[str]) -> Finding:
        share, full = float(grid.mean()), int((~grid.any(axis=0)).sum())
        with_holes = int(grid.any(axis=1).sum())
        why = (
            f"{percent(share)} of the values are missing: {with_holes} of {len(names)} columns have holes, "
            f"{full} of {grid.shape[1]} samples are complete"
        )
        return finding("data", (), share, why)

    def _column(self, ds: Dataset, name: str, one: Holes, *, depends: bool) -> Finding:
        share = float(one.mask.mean())
        why = f"column {name!r}: {int(one.mask.sum())} of {len(one.mask)} values are missing ({percent(share)})"
        if one.written:
            why += f", some written as {one.written}"
        known = np.flatnonzero(np.isfinite(one.by_class))
        if len(known) > 1:
            ranked = known[np.argsort(-one.by_class[known], kind="stable")][:6]
            why += "; " + ", ".join(f"{ds.schema.classes[code]} {100 * one.by_class[code]:.1f} %" for code in ranked)
        if not depends:
            return finding("data", (), min(share, 0.49) if share < 1 else 0.6, why)
        why += f"; whether it is missing tells the class (Cramer's V {one.strength:.2f}): a model may learn the gap"
        return finding("data", (), 0.5 + 0.5 * one.strength, why)
