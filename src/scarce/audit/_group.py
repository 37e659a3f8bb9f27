"""Groups of duplicates: stars that never chain, forests that cut no pair, and how both are told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from scarce.audit._base import Finding, finding
from scarce.dataset import Dataset, Floats, Ints
from scarce.kin import COPIES, pairs_of


@dataclass(frozen=True)
class Star:
    """A center and the rows that are near to it; every member is near to the center itself."""

    center: int
    members: Ints
    similarity: Floats


def stars(n: int, pairs: Ints, similarity: Floats) -> list[Star]:
    """Return groups in which every member is near to the center: no chains.

    The row with most neighbors that are still free becomes the next center. Costs the number of pairs.
    """
    if not len(pairs):
        return []
    both = np.concatenate([pairs, pairs[:, ::-1]])
    order = np.lexsort((both[:, 1], both[:, 0]))
    tail, value = both[order, 1], np.concatenate([similarity, similarity])[order]
    degree = np.bincount(both[:, 0], minlength=n)
    starts = np.r_[0, np.cumsum(degree)]
    free = np.ones(n, bool)
    found = []
    for center in np.argsort(-degree, kind="stable"):
        if degree[center] == 0:
            break
        if not free[center]:
            continue
        span = slice(starts[center], starts[center + 1])
        open_ = free[tail[span]]
        if open_.any():
            members = tail[span][open_]
            free[members] = False
            free[center] = False
            found.append(Star(int(center), members, value[span][open_]))
    return found


def forest(n: int, pairs: Ints, similarity: Floats) -> Ints:
    """Return the row numbers of pairs that span every component with the fewest pairs, most similar first."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import minimum_spanning_tree

    if not len(pairs):
        return np.zeros(0, np.int64)
    length = 2.0 - np.clip(similarity.astype(np.float64), -1, 1) + np.arange(len(pairs)) * 1e-13
    tree = minimum_spanning_tree(coo_array((length, (pairs[:, 0], pairs[:, 1])), shape=(n, n)).tocsr()).tocoo()
    kept = set(zip(tree.row.tolist(), tree.col.tolist(), strict=True))
    return np.array([row for row, pair in enumerate(map(tuple, pairs.tolist())) if pair in kept], np.int64)


def components(n: int, pairs: Ints) -> Ints:
    """Return (N,) the number of the connected component of each row."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def equal_stars(keys: Sequence[object]) -> tuple[list[Star], Ints]:
    """Return stars and forest pairs of rows with equal keys; None is equal to nothing. Linear in N."""
    place: dict[object, list[int]] = {}
    for row, key in enumerate(keys):
        if key is not None:
            place.setdefault(key, []).append(row)
    found = [rows for rows in place.values() if len(rows) > 1]
    groups = [Star(rows[0], np.array(rows[1:], np.int64), np.ones(len(rows) - 1, np.float32)) for rows in found]
    pairs = [(rows[0], other) for rows in found for other in rows[1:]]
    return groups, np.array(pairs, np.int64).reshape(-1, 2)


def told(  # noqa: PLR0913  what is told, and how
    ds: Dataset,
    groups: Sequence[Star],
    pairs: Ints,
    similarity: Floats,
    say: Callable[[float], str],
    *,
    what: str = "copies",
    notes: Sequence[str] = (),
) -> list[Finding]:
    """Return group findings (center first, label conflicts named) and pair findings.

    Args:
        ds: the rows that the numbers mean.
        groups: stars.
        pairs: (P, 2) forest.
        similarity: (P,) of the forest.
        say: turns a similarity into the reason.
        what: what the members of a group are.
        notes: (P,) how the two of each pair differ, said after the reason.
    """
    found: list[Finding] = []
    for star in sorted(groups, key=lambda star: (-len(star.members), star.center)):
        rows = np.r_[star.center, star.members]
        worst = float(star.similarity.min())
        conflict = label_conflict(ds, rows)
        why = f"{len(rows)} {what}: {say(worst)}" + (f"; {conflict}" if conflict else "")
        found.append(finding("group", ds.ids[rows], 1.0 if conflict else 0.5 + 0.5 * max(worst, 0.0) * 0.9, why))
    for (i, j), value, note in zip(pairs.tolist(), similarity.tolist(), notes or [""] * len(pairs), strict=True):
        why = say(float(value)) + (f": {note}" if note else "")
        found.append(finding("pair", (ds.ids[i], ds.ids[j]), max(float(value), 0.0), why))
    return found


def tied(ds: Dataset) -> Ints:
    """Return (N,) group numbers: groups of the user and of the split, copies and pictures of one object, tied together.

    Rows that nothing ties are groups of one.
    """
    pairs = [known_pairs(ds, COPIES)]
    for name in ("split_group", "group"):
        if name in ds:
            named = np.array(["" if value is None else str(value) for value in ds[name]])
            order = np.argsort(named, kind="stable")
            same = (named[order][1:] == named[order][:-1]) & (named[order][1:] != "")
            pairs.append(np.stack([order[:-1][same], order[1:][same]], axis=1))
    return components(len(ds), np.concatenate(pairs))


COPY = 0.5
"""Pairs of near_duplicate below this score are other exposures of one thing: kept together, but no copies."""


def known_pairs(ds: Dataset, checks: Sequence[str], *, least: float = 0.0, below: float = np.inf) -> Ints:
    """Return (P, 2) the rows of the pair findings of some checks whose score is in [least, below).

    Samples that are not here are left out.
    """
    found = [pairs_of(ds, check) for check in checks]
    return np.concatenate([pairs[(least <= score) & (score < below)] for pairs, score in found])


def label_conflict(ds: Dataset, rows: Ints) -> str:
    """Return a phrase that names the different labels of equal samples; empty if they agree."""
    codes = ds["label"][rows]
    known, counts = np.unique(codes[codes >= 0], return_counts=True)
    if len(known) < 2:
        return ""
    return "conflicting labels " + ", ".join(
        f"{ds.schema.classes[k]} ({c})" for k, c in zip(known, counts, strict=True)
    )
