"""What must stay together: connected components of user groups and duplicate pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scarce.dataset import Dataset, Floats, Ints, Mask
from scarce.kin import chain, component_codes, pairs_of

LARGE_SHARE = 0.05
"""A component with more of all rows is reported."""
LARGE_CLASS_SHARE = 0.5
"""So is one with more of a class."""
SMALL_ROWS, SMALL_CLASS = 12, 24
"""Components of so few rows are left whole, and so are those that only fill a class of fewer rows: there, pairs that
look alike are more likely copies than strangers."""


@dataclass(frozen=True)
class Links:
    """Pairs of rows that belong together.

    Attributes:
        sure: (P, 2) chains of user groups and pairs of exact duplicates; never cut.
        near: (Q, 2) pairs of near-duplicates and of pictures of one object.
        similarity: (Q,) of the near ones, in [0, 1].
    """

    sure: Ints
    near: Ints
    similarity: Floats


def links(ds: Dataset) -> Links:
    """Return what the user's groups and the findings of the duplicate checks say."""
    groups = ds["group"] if "group" in ds else np.full(len(ds), None, object)
    exact, _ = pairs_of(ds, "exact_duplicate")
    parts = [pairs_of(ds, check) for check in ("near_duplicate", "same_object")]
    near, similarity = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Links(np.concatenate([chain(groups), exact]), near, similarity)


@dataclass(frozen=True)
class Components:
    """Components, and what is to be said about them.

    Attributes:
        code: (N,) component of each row.
        findings: rows of ``group`` level about large ones.
    """

    code: Ints
    findings: Sequence[Mapping[str, Any]]


def components(ds: Dataset, found: Links, *, labels: Ints, n_classes: int) -> Components:
    """Join everything, then loosen near-duplicates where a component has become too large.

    A component over 5 % of the rows or half of a class is reported; inside it, near pairs are joined again from the
    most similar down, and a pair that would make a part too large is left out. Groups and exact duplicates are never
    cut.
    """
    n = len(ds)
    code = component_codes(n, np.concatenate([found.sure, found.near]))
    limits = _Limits.of(labels, n_classes)
    large = limits.exceeded(code, labels)
    findings = []
    drop = np.zeros(len(found.near), bool)
    for which in large:
        edges = np.flatnonzero(code[found.near[:, 0]] == which) if len(found.near) else np.zeros(0, np.int64)
        rows = np.flatnonzero(code == which)
        cut = _loosen(rows, found, edges, labels, limits)
        drop[edges[cut]] = True
        findings.append(_report(ds, rows, found.similarity[edges[cut]]))
    if drop.any():
        code = component_codes(n, np.concatenate([found.sure, found.near[~drop]]))
    return Components(code, findings)


@dataclass(frozen=True)
class _Limits:
    rows: float
    of_class: Floats

    @classmethod
    def of(cls, labels: Ints, n_classes: int) -> _Limits:
        counts = np.bincount(labels[labels >= 0], minlength=n_classes)
        of_class = np.where(counts >= SMALL_CLASS, LARGE_CLASS_SHARE * counts, np.inf)
        return cls(max(LARGE_SHARE * len(labels), SMALL_ROWS), of_class)

    def exceeded(self, code: Ints, labels: Ints) -> Ints:
        """Return the components that are too large."""
        sizes = np.bincount(code)
        k = len(self.of_class)
        known = labels >= 0
        cells, counts = np.unique(code[known] * max(k, 1) + labels[known], return_counts=True)
        full = cells[counts > self.of_class[cells % k]] // k if k else np.zeros(0, np.int64)
        found = np.union1d(np.flatnonzero(sizes > self.rows), full)
        return np.asarray(found[sizes[found] > SMALL_ROWS], np.int64)

    def holds(self, size: int, counts: Ints) -> bool:
        return size <= SMALL_ROWS or bool(size <= self.rows and (counts <= self.of_class).all())


def _loosen(rows: Ints, found: Links, edges: Ints, labels: Ints, limits: _Limits) -> Mask:
    """Return which of the near edges of one component are cut: strongest first, none that makes a part too large."""
    place = {int(row): at for at, row in enumerate(rows)}
    inside = np.isin(found.sure[:, 0], rows) if len(found.sure) else np.zeros(0, bool)
    sure = np.array([[place[int(a)], place[int(b)]] for a, b in found.sure[inside]], np.int64).reshape(-1, 2)
    part = component_codes(len(rows), sure)
    k = len(limits.of_class)
    counts = np.zeros((int(part.max()) + 1, k), np.int64)
    known = labels[rows] >= 0
    np.add.at(counts, (part[known], labels[rows][known]), 1)
    sizes = np.bincount(part)
    parent = list(range(len(sizes)))

    def root(at: int) -> int:
        while parent[at] != at:
            parent[at] = parent[parent[at]]
            at = parent[at]
        return at

    cut = np.zeros(len(edges), bool)
    for at in np.argsort(-found.similarity[edges], kind="stable").tolist():
        a, b = (root(int(part[place[int(row)]])) for row in found.near[edges[at]])
        if a == b:
            continue
        if limits.holds(int(sizes[a] + sizes[b]), counts[a] + counts[b]):
            parent[b] = a
            sizes[a] += sizes[b]
            counts[a] += counts[b]
        else:
            cut[at] = True
    return cut


def _report(ds: Dataset, rows: Ints, lost: Floats) -> Mapping[str, Any]:
    share = len(rows) / max(len(ds), 1)
    why = f"{len(rows)} samples ({share:.1%}) hang together by groups and duplicates and must stay in one split"
    if len(lost):
        why = (
            f"{len(rows)} samples ({share:.1%}) hang together by chains of look-alikes; {len(lost)} of the weakest "
            f"links (similarity up to {lost.max():.3f}) were left out so that they can be split"
        )
    return {"level": "group", "members": ds.ids[rows].tolist(), "score": float(min(1.0, share * 2)), "why": why}
