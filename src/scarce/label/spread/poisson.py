"""Poisson learning: labels are sources and sinks of a flow over the graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from scarce.dataset import Floats, Ints
from scarce.label.spread._base import AbstractSpread, balanced, keep_known, one_hot, seeds_of, solve
from scarce.label.spread._graph import Graph


@final
@dataclass(frozen=True, kw_only=True)
class Poisson(AbstractSpread):
    """Poisson learning: labels are sources and sinks of a flow over the graph.

    Use when one to ten samples of every class are labelled.
    Needs: a label of every class. Writes: probabilities.
    Source: Calder, Cook, Thorpe and Slepcev 2020; the answer of the class with the highest potential is theirs, the
    shares of the classes (``use_shares``) are set by one constant a class, where they scale the columns.

    Args:
        use_shares: let every class have its share of the samples.
        sharpness: how steeply the potential becomes a probability, > 0.
    """

    use_shares: bool = True
    sharpness: float = 4.0

    def spread(self, graph: Graph, labels: Ints, shares: Floats) -> Floats:
        """Return (N, K) probabilities; see the base."""
        potential = fit_poisson(graph, labels, len(shares))
        scores = self.sharpness * potential / max(float(potential.std()), 1e-12)
        return keep_known(balanced(scores, shares, rounds=25 if self.use_shares else 0), labels)


def fit_poisson(graph: Graph, labels: Ints, n_classes: int, *, start: Floats | None = None) -> Floats:
    """Return (N, K) potentials; the highest is the class.

    Args:
        graph: N samples.
        labels: (N,) codes, -1 = not labelled.
        n_classes: K.
        start: (N, K) first guess; that of ``slow_potential`` with no damping spares most of the steps.

    Raises:
        DataError: no label, or one out of range.
    """
    from scipy import sparse
    from scipy.sparse.csgraph import connected_components

    seeds = seeds_of(labels, len(graph), n_classes)
    source = np.zeros((len(labels), n_classes))
    source[seeds] = one_hot(labels, n_classes)[seeds]
    source[seeds] -= source[seeds].mean(axis=0)
    parts, part = connected_components(graph.weights, directed=False)
    size = np.bincount(part, graph.degree, parts)
    inflow = np.stack([np.bincount(part, column, parts) for column in source.T], axis=1)
    source -= graph.degree[:, None] * (inflow / np.maximum(size, 1e-12)[:, None])[part]
    laplacian = (sparse.diags(graph.degree) - graph.weights).tocsr()
    found = solve(laplacian, source, start=start)
    mean = np.stack([np.bincount(part, graph.degree * column, parts) for column in found.T], axis=1)
    return np.asarray(found - (mean / np.maximum(size, 1e-12)[:, None])[part])
