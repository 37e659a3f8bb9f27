"""Which samples show the same thing, so that one batch asks about it once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from scarce.dataset import Array, Dataset, Floats, Ints, Mask
from scarce.kin import COPIES

BLOCK: Final = 512
"""Rows whose features are compared in one product."""


def copy_groups(ds: Dataset) -> Ints:
    """Return (N,) a number for each sample; copies share one: the same bytes, or linked by a finding of the audit."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    n = len(ds)
    links: list[tuple[int, int]] = []
    place = {str(name): row for row, name in enumerate(ds.ids)}
    for row in ds.findings.to_pylist():
        if row["check"] in COPIES and row["level"] in ("pair", "group"):
            members = [place[item] for item in row["members"] or () if item in place]
            links += [(members[0], other) for other in members[1:]]
    first: dict[str, int] = {}
    hashes = ds["content_hash"] if "content_hash" in ds.table.column_names else np.full(n, None)
    for row, value in enumerate(hashes):
        if value is not None and first.setdefault(str(value), row) != row:
            links.append((first[str(value)], row))
    one, two = np.array(links, np.int64).reshape(-1, 2).T
    graph = coo_matrix((np.ones(len(one), np.int8), (one, two)), shape=(n, n))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


@dataclass(eq=False)
class Sieve:
    """Lets through what is no copy of what went through before.

    Args:
        groups: (N,) copies share a number.
        kin: (N,) samples of one split group share a number; one of them a batch, as long as others are left.
        embeddings: (N, D) features, or None.
        threshold: features whose cosine about the mean reaches it are copies; above 1 = not looked at.
    """

    groups: Ints
    kin: Ints
    embeddings: Array | None
    threshold: float
    mean: Floats = field(init=False)
    seen: Floats = field(init=False)
    count: int = 0
    used: set[int] = field(default_factory=set)
    met: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Find the middle of the features, without which all cosines of most encoders are large."""
        if self.embeddings is None or self.threshold > 1 or not len(self.embeddings):
            self.embeddings = None
            return
        sample = np.asarray(self.embeddings[:: max(1, len(self.embeddings) // 8192)], np.float64)
        sample = sample[np.isfinite(sample).all(axis=1)]
        self.seen = np.empty((16, self.embeddings.shape[1]), np.float32)
        self.mean = (sample.mean(axis=0) if len(sample) else np.zeros(self.embeddings.shape[1])).astype(np.float32)

    def unit(self, rows: Ints) -> Floats:
        """Return (m, D) features about the mean, of length 1."""
        assert self.embeddings is not None
        out = np.asarray(self.embeddings[rows], np.float32) - self.mean
        out /= np.maximum(np.sqrt(np.einsum("nd,nd->n", out, out)), 1e-12)[:, None]
        return out

    def passes(self, row: int, *, kin: bool) -> bool:
        """Return whether a row is no copy of what passed, and remember it; ``kin`` = and of another split group."""
        if int(self.groups[row]) in self.used or (kin and int(self.kin[row]) in self.met):
            return False
        if self.embeddings is not None:
            own = self.unit(np.array([row]))[0]
            if float((self.seen[: self.count] @ own).max(initial=-1.0)) >= self.threshold:
                return False
            self._remember(own[None])
        self.used.add(int(self.groups[row]))
        self.met.add(int(self.kin[row]))
        return True

    def cover(self, rows: Ints, entrants: Ints) -> Ints:
        """Remember rows that have a label or were asked about; return the entrants that are no copies of them."""
        self.used.update(self.groups[rows].tolist())
        if self.embeddings is not None and len(rows):
            self._remember(self.unit(rows))
        return self.left(entrants, len(rows))

    def through(self, rows: Ints, *, kin: bool) -> Mask:
        """Return which rows pass one after another, as :meth:`passes` says, by products of whole blocks."""
        out = np.zeros(len(rows), np.bool_)
        for start in range(0, len(rows), BLOCK):
            part = rows[start : start + BLOCK]
            far, alike, own = np.ones(len(part), np.bool_), None, None
            if self.embeddings is not None:
                own = self.unit(part)
                far = ~((own @ self.seen[: self.count].T).max(axis=1, initial=-1.0) >= self.threshold)
                alike = own @ own.T >= self.threshold
            taken: list[int] = []
            for place, row in enumerate(part.tolist()):
                group, own_kin = int(self.groups[row]), int(self.kin[row])
                if not far[place] or group in self.used or (kin and own_kin in self.met):
                    continue
                if alike is not None and alike[place, taken].any():
                    continue
                taken.append(place)
                self.used.add(group)
                self.met.add(own_kin)
            out[start + np.array(taken, np.int64)] = True
            if own is not None:
                self._remember(own[taken])
        return out

    def _remember(self, units: Floats) -> None:
        wanted = self.count + len(units)
        if wanted > len(self.seen):
            grown = np.empty((max(wanted, 2 * len(self.seen)), self.seen.shape[1]), self.seen.dtype)
            grown[: self.count] = self.seen[: self.count]
            self.seen = grown
        self.seen[self.count : wanted] = units
        self.count = wanted

    def left(self, rows: Ints, new: int) -> Ints:
        """Return the rows that are no copies of the ``new`` ones that passed last, nor of a group that did."""
        rows = rows[~np.isin(self.groups[rows], list(self.used))]
        if self.embeddings is None or not new:
            return rows
        recent = self.seen[self.count - new : self.count]
        keep = np.ones(len(rows), np.bool_)
        for start in range(0, len(rows), 4096):
            near = self.unit(rows[start : start + 4096]) @ recent.T
            keep[start : start + 4096] = near.max(axis=1) < self.threshold
        return rows[keep]
