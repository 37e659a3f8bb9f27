"""Pictures that have boxes and no label of their own: what stands in for the label while they are divided."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from scarce.dataset import Dataset, Mask
from scarce.errors import DataError
from scarce.io.boxes import BOXES, classes_in

EMPTY: Final = "(no box)"
"""What pictures are called on which somebody looked and found nothing."""


def marks_of(ds: Dataset) -> Mask | None:
    """Return (N, K + 1) which classes have a box on each picture, the last column where somebody looked and found none.

    Rows of False: nobody looked. None: some picture has a label of its own, or none has boxes.

    Raises:
        DataError: a cell is no list of boxes.
    """
    name = next((f"meta.{one}" for one in BOXES if f"meta.{one}" in ds), None)
    if name is None or bool((ds["label"] >= 0).any()):
        return None
    index = {one: code for code, one in enumerate(ds.schema.classes)}
    marks = np.zeros((len(ds), len(index) + 1), bool)
    for row, cell in enumerate(ds[name].tolist()):
        if not isinstance(cell, str | list):
            continue
        try:
            labels = classes_in(cell) or set()
        except ValueError as error:
            raise DataError("split", f"the boxes of {ds['uri'][row]} cannot be read ({error})",
                            do="give a JSON list of objects with label and bbox") from error  # fmt: skip
        marks[row, [index[one] for one in labels if one in index] if labels else [len(index)]] = True
    return marks if marks.any() else None


def labelled(ds: Dataset, marks: Mask) -> Dataset:
    """Return the rows with the rarest class on them in place of a label."""
    names = (*ds.schema.classes, EMPTY)
    order = np.argsort(marks.sum(0), kind="stable")
    first = order[marks[:, order].argmax(1)].tolist()
    labels = [names[code] if marks[row].any() else None for row, code in enumerate(first)]
    known = replace(ds.schema, classes=names)
    return replace(ds, schema=known).with_columns({"label": labels, "label_source": ["given"] * len(ds)})
