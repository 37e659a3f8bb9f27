"""What a study may use of a dataset: labels of people outside the test split, and a part of them to judge on."""

from __future__ import annotations

from typing import Final

import numpy as np

from scarce.dataset import Dataset, Floats, Ints, Mask
from scarce.errors import DataError
from scarce.kin import families

FEWEST: Final = 40
PARTS: Final = 4
"""One of so many parts is held out to judge on."""


def parts_of(ds: Dataset, seed: int) -> tuple[Ints, Mask, Floats]:
    """Return (R,) rows that people labelled outside test, (R,) which are held out, and (R, D) their features.

    Held out is a grouped, stratified quarter.

    Args:
        ds: has features.
        seed: of the held-out part.

    Raises:
        DataError: no features, or too few labels.
    """
    found = [column for column in ds.wide if column.startswith("embedding.")]
    if not found:
        raise DataError("study", "there are no features", do="run scarce encode")
    features = np.asarray(ds.wide[found[-1]], np.float32)
    rows = np.flatnonzero(_spoken(ds, features) & (ds["split"] != "test"))
    if len(rows) < FEWEST or len(np.unique(ds["label"][rows])) < 2:
        what = f"{len(rows)} samples outside test have features and a label that a person gave"
        raise DataError("study", what, f"{FEWEST} of at least two classes are needed", "label more")
    return rows, held_out(ds, rows, PARTS, seed), features[rows]


def held_out(ds: Dataset, rows: Ints, parts: int, seed: int) -> Mask:
    """Return (R,) which of some rows judge: one of so many parts, grouped and stratified."""
    from scarce.probe import fold_of

    return np.asarray(fold_of(ds["label"][rows], families(ds)[rows], parts, seed=seed) == 0)


def ties(ds: Dataset) -> list[str]:
    """Return what results depend on beside split groups: which other rows stay together; nothing after a split."""
    known = ds["split_group"] if "split_group" in ds else np.full(len(ds), None, object)
    return [f"{sample} {name}" for sample, name, group in zip(ds.ids, families(ds), known, strict=True)
            if name != group]  # fmt: skip


def test_of(ds: Dataset) -> tuple[Ints, Floats]:
    """Return (T,) rows of the test split that people labelled, and (T, D) their features; none where there are none.

    Args:
        ds: has features.
    """
    found = [column for column in ds.wide if column.startswith("embedding.")]
    features = np.asarray(ds.wide[found[-1]], np.float32)
    rows = np.flatnonzero(_spoken(ds, features) & (ds["split"] == "test"))
    return rows, features[rows]


def _spoken(ds: Dataset, features: Floats) -> Mask:
    """Return (N,) which real rows have features and a label that a person gave."""
    from scarce.label._write import spoken

    use: Mask = ds["keep"].astype(bool) & (ds["origin"] == "real") & spoken(ds)
    return use & np.isfinite(features).all(axis=1)


def scores(truth: Ints, answers: Ints) -> dict[str, float]:
    """Return accuracy and balanced accuracy of (M,) answers."""
    right = answers == truth
    present = [right[truth == code].mean() for code in np.unique(truth)]
    return {"accuracy": float(right.mean()), "balanced_accuracy": float(np.mean(present))}
