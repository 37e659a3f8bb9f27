"""A sparse graph of nearest neighbors, and its slow modes; exact, in blocks, never an (N, N) matrix."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np

from scarce.dataset import Array, Floats, Ints
from scarce.errors import DataError
from scarce.execute.local import single_threaded_algebra, spread

BLOCK_BYTES: Final = 32 << 20
"""Distances of one block of rows may take this much memory."""


@dataclass(frozen=True, eq=False)
class Graph:
    """A weighted, symmetric graph of N samples.

    Attributes:
        weights: (N, N) sparse matrix in CSR form, symmetric, >= 0, without self loops.
        modes: how many slow modes are computed when they are asked for.
        seed: start of that search.
    """

    weights: Any
    modes: int = 200
    seed: int = 0

    def __len__(self) -> int:
        """Return N."""
        return int(self.weights.shape[0])

    @cached_property
    def degree(self) -> Floats:
        """(N,) sum of each sample's weights."""
        return np.asarray(self.weights.sum(axis=1), np.float64).ravel()

    @cached_property
    def slow(self) -> tuple[Floats, Floats]:
        """(P,) eigenvalues in [0, 2], rising, and (N, P) eigenvectors of the normalized Laplacian."""
        return slow_modes(self.weights, self.modes, seed=self.seed)


def nearest(features: Array, neighbors: int, *, workers: int | None = None) -> tuple[Ints, Floats]:
    """Return (N, neighbors) rows and distances of each sample's nearest others, near ones first; exact.

    Args:
        features: (N, D) float32, finite.
        neighbors: 1 to N - 1.
        workers: threads; None = all cores.
    """
    n = len(features)
    features = np.ascontiguousarray(features, np.float32)
    square = np.einsum("nd,nd->n", features, features)
    rows, far = np.empty((n, neighbors), np.int32), np.empty((n, neighbors), np.float32)
    step = max(1, BLOCK_BYTES // (4 * n))

    def measure(start: int) -> None:
        here = slice(start, min(start + step, n))
        found = features[here] @ features.T
        found *= -2.0
        found += square
        own = np.arange(here.start, here.stop)
        found[own - start, own] = np.inf
        places = np.argpartition(found, neighbors - 1, axis=1)[:, :neighbors]
        values = np.take_along_axis(found, places, 1)
        order = np.argsort(values, axis=1, kind="stable")
        rows[here] = np.take_along_axis(places, order, 1)
        far[here] = np.take_along_axis(values, order, 1) + square[here, None]

    spread(measure, list(range(0, n, step)), workers=workers)
    return rows, np.sqrt(np.maximum(far, 0.0))


def neighbor_graph(
    features: Array, *, neighbors: int = 10, modes: int = 200, seed: int = 0, workers: int | None = None
) -> Graph:
    """Return the graph in which every sample is tied to its nearest ones, the nearer the stronger.

    The weight of an edge is ``exp(-4 d^2 / r^2)``, ``r`` the distance of the farthest of the neighbors (Calder and
    others 2020); edges of the two directions are averaged.

    Args:
        features: (N, D), finite.
        neighbors: edges of a sample, 1 to N - 1; fewer where there are fewer samples.
        modes: slow modes that methods may ask for.
        seed: of the search for these.
        workers: threads; None = all cores.

    Raises:
        DataError: fewer than three samples, or features that are not finite.
    """
    features = np.asarray(features)
    if features.ndim != 2 or len(features) < 3:
        raise DataError("label.spread", f"features have shape {features.shape}", do="give at least three rows")
    if not np.isfinite(features).all():
        bad = int((~np.isfinite(features)).any(axis=1).sum())
        raise DataError("label.spread", f"{bad} of {len(features)} rows have features that are not finite")
    from scipy import sparse

    n = len(features)
    rows, far = nearest(features, min(neighbors, n - 1), workers=workers)
    reach = np.maximum(far[:, -1:].astype(np.float64), 1e-12)
    weights = np.exp(-4.0 * (far / reach) ** 2)
    ends = np.repeat(np.arange(n), rows.shape[1])
    one_way = sparse.csr_matrix((weights.ravel(), (ends, rows.ravel())), shape=(n, n))
    return Graph(connected((one_way + one_way.T) / 2.0, features), modes, seed)


def connected(weights: Any, features: Array) -> Any:
    """Return the graph with an edge from every part that hangs on nothing to the nearest sample outside it.

    Args:
        weights: (N, N) sparse, symmetric.
        features: (N, D), in which nearness is measured; of a part of more than 256 samples 256 are asked.
    """
    from scipy import sparse
    from scipy.sparse.csgraph import connected_components

    while True:
        parts, part = connected_components(weights, directed=False)
        if parts == 1:
            return weights.tocsr()
        size = np.bincount(part)
        ends = []
        for lone in np.flatnonzero(np.arange(parts) != size.argmax()):
            own = np.flatnonzero(part == lone)
            own = own[:: -(-len(own) // 256)]
            others = np.flatnonzero(part != lone)
            ends.append(_nearest_pair(features, own, others))
        tied = sparse.csr_matrix((np.full(len(ends), np.exp(-4.0)), np.array(ends).T), shape=weights.shape)
        weights = weights.maximum(tied).maximum(tied.T)


def _nearest_pair(features: Array, own: Ints, others: Ints) -> tuple[int, int]:
    rows = features[own].astype(np.float32)
    square = np.einsum("nd,nd->n", rows, rows)
    best, pair = np.inf, (int(own[0]), int(others[0]))
    for start in range(0, len(others), 8192):
        block = features[others[start : start + 8192]].astype(np.float32)
        far = square[:, None] - 2.0 * (rows @ block.T) + np.einsum("nd,nd->n", block, block)
        place = int(far.argmin())
        if far.flat[place] < best:
            own_place, other_place = divmod(place, len(block))
            best, pair = float(far.flat[place]), (int(own[own_place]), int(others[start + other_place]))
    return pair


def slow_modes(weights: Any, modes: int, *, seed: int = 0) -> tuple[Floats, Floats]:
    """Return the smallest eigenvalues (P,) and the eigenvectors (N, P) of the normalized Laplacian.

    Args:
        weights: (N, N) symmetric, sparse.
        modes: P; fewer where the graph is small.
        seed: of the start.
    """
    from scipy import sparse
    from scipy.sparse.linalg import eigsh

    n = weights.shape[0]
    root = 1.0 / np.sqrt(np.maximum(np.asarray(weights.sum(axis=1)).ravel(), 1e-12))
    scale = sparse.diags(root)
    walk = (scale @ weights @ scale).tocsr()
    wanted = min(modes, n - 1)
    if n <= 4 * wanted:
        values, vectors = np.linalg.eigh(walk.toarray())
        values, vectors = values[::-1][:wanted], vectors[:, ::-1][:, :wanted]
    else:
        start = np.random.default_rng(seed).standard_normal(n)
        with single_threaded_algebra():  # many small products: waiting threads cost ten times more
            values, vectors = eigsh(walk, k=wanted, which="LA", v0=start, tol=1e-4, ncv=min(n, 2 * wanted + 20))
        order = np.argsort(-values)
        values, vectors = values[order], vectors[:, order]
    return np.clip(1.0 - values, 0.0, 2.0), vectors
