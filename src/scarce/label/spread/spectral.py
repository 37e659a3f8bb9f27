"""Poisson learning in the slow modes of the graph, with the classes' shares: our default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from scarce.dataset import Floats, Ints
from scarce.label.spread._base import AbstractSpread, balanced, keep_known, one_hot, seeds_of
from scarce.label.spread._graph import Graph


@final
@dataclass(frozen=True, kw_only=True)
class Spectral(AbstractSpread):
    """Spread labels through the slow modes of the graph and give every class its share.

    Use first: with one to fifty labels of every class, and when labels are drawn or asked for again and again (the
    modes are found once; one set of labels over 70,000 samples then takes a fraction of a second).
    Do not use when the shares of the classes are quite unknown: ``poisson`` with ``use_shares = false`` needs none.
    Needs: a label of every class. Writes: probabilities.
    Source: the potential is that of Calder, Cook, Thorpe and Slepcev 2020 (``poisson``), here without the graph's fast
    modes, which carry no class; the shares are set as in entropic optimal transport (Cuturi 2013) instead of by
    thresholds.

    Args:
        damping: modes much slower than this share of the fastest kept one weigh no more than that, >= 0.
        sharpness: how steeply the potential becomes a probability, > 0.
    """

    damping: float = 0.03
    sharpness: float = 4.0

    def spread(self, graph: Graph, labels: Ints, shares: Floats) -> Floats:
        """Return (N, K) probabilities; see the base."""
        return fit_spectral(graph, labels, shares, damping=self.damping, sharpness=self.sharpness)


def fit_spectral(
    graph: Graph, labels: Ints, shares: Floats, *, damping: float = 0.03, sharpness: float = 4.0
) -> Floats:
    """Return (N, K) probabilities whose columns have the wanted shares.

    Args:
        graph: N samples.
        labels: (N,) codes, -1 = not labelled.
        shares: (K,) wanted shares of the classes; they sum to 1.
        damping: see :class:`Spectral`.
        sharpness: see :class:`Spectral`.

    Raises:
        DataError: no label, or one out of range.
    """
    potential = slow_potential(graph, labels, len(shares), damping=damping)
    return shared_probs(potential, labels, np.asarray(shares, np.float64), sharpness=sharpness)


def shared_probs(potential: Floats, labels: Ints, shares: Floats, *, sharpness: float = 4.0) -> Floats:
    """Return (N, K) probabilities of potentials whose columns have the wanted shares; labelled samples keep theirs.

    Args:
        potential: (N, K); the higher, the likelier.
        labels: (N,) codes, -1 = not labelled.
        shares: (K,) that sum to 1.
        sharpness: how steeply the potential becomes a probability, > 0.
    """
    scores = sharpness * potential / max(float(potential.std()), 1e-12)
    return keep_known(balanced(scores, shares), labels)


def slow_potential(graph: Graph, labels: Ints, n_classes: int, *, damping: float = 0.03) -> Floats:
    """Return (N, K) potentials of Poisson learning without the graph's fast modes; the highest is the class.

    Args:
        graph: N samples.
        labels: (N,) codes, -1 = not labelled.
        n_classes: K.
        damping: see :class:`Spectral`.

    Raises:
        DataError: no label, or one out of range.
    """
    seeds = seeds_of(labels, len(graph), n_classes)
    source = one_hot(labels[seeds], n_classes)
    source -= source.mean(axis=0)
    speed, modes = graph.slow
    scale = 1.0 / np.sqrt(np.maximum(graph.degree, 1e-12))
    response = 1.0 / (speed[1:] + damping * speed[-1] + 1e-12)
    amount = (modes[seeds, 1:] * scale[seeds, None]).T @ source
    return np.asarray(scale[:, None] * (modes[:, 1:] @ (response[:, None] * amount)))
