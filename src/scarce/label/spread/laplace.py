"""Label propagation: every sample takes the mean of its neighbors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from scarce.dataset import Floats, Ints
from scarce.label.spread._base import AbstractSpread, keep_known, one_hot, seeds_of, solve
from scarce.label.spread._graph import Graph


@final
@dataclass(frozen=True, kw_only=True)
class Laplace(AbstractSpread):
    """Label propagation: each sample is the weighted mean of its neighbors.

    Use when at least some twenty samples of every class are labelled.
    Do not use with one to five a class: nearly all samples then get the same class; ``poisson`` was made for that.
    Needs: a label of every class. Writes: probabilities; the shares of the classes are not used.
    Source: Zhu, Ghahramani and Lafferty 2003.
    """

    def spread(self, graph: Graph, labels: Ints, shares: Floats) -> Floats:
        """Return (N, K) probabilities; see the base."""
        return fit_laplace(graph, labels, len(shares))


def fit_laplace(graph: Graph, labels: Ints, n_classes: int) -> Floats:
    """Return (N, K) probabilities: the harmonic extension of the labels.

    Samples that no path ties to a label get the share of the classes among the labels.

    Args:
        graph: N samples.
        labels: (N,) codes, -1 = not labelled.
        n_classes: K.

    Raises:
        DataError: no label, or one out of range.
    """
    from scipy import sparse

    seeds = seeds_of(labels, len(graph), n_classes)
    given = one_hot(labels, n_classes)
    free = np.flatnonzero(labels < 0)
    weights = graph.weights
    inside = sparse.diags(graph.degree[free]) - weights[free][:, free]
    found = np.zeros((len(labels), n_classes))
    found[free] = np.maximum(solve(inside.tocsr(), weights[free][:, seeds] @ given[seeds]), 0.0)
    mass = found.sum(axis=1, keepdims=True)
    share = given[seeds].mean(axis=0)
    return keep_known(np.where(mass > 1e-9, found / np.maximum(mass, 1e-9), share), labels)
