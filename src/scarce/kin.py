"""Which samples belong together: pairs that the checks for copies found, and groups that must not be cut."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scarce.dataset import Array, Dataset, Floats, Ints, Mask

COPIES: Final = ("exact_duplicate", "near_duplicate", "same_object")
"""The checks whose pairs show one thing: splits, folds and batches of questions keep them together."""


def pairs_of(ds: Dataset, check: str) -> tuple[Ints, Floats]:
    """Return the (P, 2) rows and (P,) scores of a check's pairs whose samples are here."""
    table = ds.findings
    table = table.filter(pc.and_(pc.equal(table["check"], check), pc.equal(table["level"], "pair")))
    table = table.filter(pc.equal(pc.list_value_length(table["members"]), 2))
    if not table.num_rows or not len(ds):
        return np.zeros((0, 2), np.int64), np.zeros(0, np.float32)
    flat = pc.list_flatten(table["members"])
    place = pc.fill_null(pc.index_in(flat, value_set=ds.table["id"].combine_chunks().cast(pa.string())), -1)
    rows = np.asarray(place.to_numpy(zero_copy_only=False), np.int64).reshape(-1, 2)
    score = np.asarray(table["score"].to_numpy(zero_copy_only=False), np.float32)
    here = (rows >= 0).all(axis=1)
    return rows[here], np.nan_to_num(score[here])


def related(ds: Dataset, rows: Array, among: Mask) -> Mask:
    """Return (N,) which rows are related to some, or are those.

    Related are rows of the same split group or user's group, and copies; what is related to a row of ``among`` that is
    related itself is related, too. A new row that would tie two splits together has a split group of its own, so its
    pairs say what the group cannot.

    Args:
        ds: N samples.
        rows: whose kin is looked for.
        among: (N,) rows that pass kinship on.
    """
    names = [ds[column] for column in ("split_group", "group") if column in ds]
    pairs = np.concatenate([pairs_of(ds, check)[0] for check in COPIES])
    found = np.zeros(len(ds), bool)
    found[rows] = True
    fresh = found
    while fresh.any():
        reached = found.copy()
        for groups in names:
            shared = {name for name in groups[fresh] if name is not None}
            reached |= np.array([name in shared for name in groups.tolist()], bool)
        for one, other in (pairs.T, pairs.T[::-1]):
            reached[other[fresh[one]]] = True
        fresh, found = reached & ~found & among, reached
    return found
