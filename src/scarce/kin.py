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


def chain(names: Array) -> Ints:
    """Return (P, 2) pairs that tie together the rows of the same name; None ties nothing."""
    known = np.flatnonzero(np.array([name is not None for name in names.tolist()], bool))
    if not len(known):
        return np.zeros((0, 2), np.int64)
    codes = np.unique(names[known].astype(str), return_inverse=True)[1]
    order = known[np.argsort(codes, kind="stable")]
    ranked = np.sort(codes)
    same = ranked[1:] == ranked[:-1]
    return np.stack([order[:-1][same], order[1:][same]], axis=1)


def component_codes(n: int, pairs: Ints) -> Ints:
    """Return (N,) component of each row after joining (P, 2) pairs, numbered by their first row."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    codes = np.asarray(connected_components(graph, directed=False)[1], np.int64)
    first = np.unique(codes, return_index=True)[1]
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    return rank[codes]


def families(ds: Dataset) -> Array:
    """Return (N,) the name of what each row must stay together with; None = it stands alone.

    That is its split group, which the split made of the user's groups and of copies. A row without one, since nothing
    was split yet, goes with its user's group and its copies, and is named like the first of them.

    Args:
        ds: N samples.
    """
    names = ds["split_group"] if "split_group" in ds else np.full(len(ds), None, object)
    loose = np.array([name is None for name in names.tolist()], bool)
    if not loose.any():
        return names
    ties = [chain(ds["group"])] if "group" in ds else []
    ties += [pairs_of(ds, check)[0] for check in COPIES]
    pairs = np.concatenate([np.zeros((0, 2), np.int64), *ties])
    pairs = np.concatenate([pairs[loose[pairs].any(axis=1)], chain(names)])
    codes = component_codes(len(ds), pairs)
    _, first, sizes = np.unique(codes, return_index=True, return_counts=True)
    called = [ds.ids[row] if names[row] is None else names[row] for row in first]
    alone = sizes[codes] == 1
    return np.array([name if lone else called[code] for name, lone, code in
                     zip(names, alone, codes, strict=True)], object)  # fmt: skip


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
