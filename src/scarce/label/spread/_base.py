"""The base class of methods that spread a few labels over a graph, and what they share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from scarce.dataset import Floats, Ints
from scarce.errors import DataError
from scarce.label.spread._graph import Graph
from scarce.registry import Plugin

SAMPLE: Final = 8192
"""Rows on which shares are set first."""
TOLERANCE: Final = 0.003
"""Shares of classes are met to this part of themselves."""


@dataclass(frozen=True, kw_only=True)
class AbstractSpread(Plugin, ABC):
    """Base of the methods: a graph and a few labels in, probabilities of every sample out."""

    @abstractmethod
    def spread(self, graph: Graph, labels: Ints, shares: Floats) -> Floats:
        """Return (N, K) probabilities that sum to 1; a labelled sample keeps its label.

        Args:
            graph: the samples and their neighbors.
            labels: (N,) codes, -1 = not labelled; at least one of every class with a share.
            shares: (K,) wanted shares of the classes among all samples; they sum to 1.
        """


def seeds_of(labels: Ints, n: int, classes: int) -> Ints:
    """Return the rows that have a label.

    Raises:
        DataError: no label, a code out of range, or as many labels as there are no samples.
    """
    labels = np.asarray(labels)
    if labels.shape != (n,):
        raise DataError("label.spread", f"labels have shape {labels.shape}", f"the graph has {n} samples")
    rows = np.flatnonzero(labels >= 0)
    if not len(rows):
        raise DataError("label.spread", "no sample has a label", do="label at least one sample of every class")
    if labels.max() >= classes:
        raise DataError("label.spread", f"a label has code {labels.max()}", f"there are {classes} classes")
    return rows


def one_hot(labels: Ints, classes: int) -> Floats:
    """Return (N, K) 0 and 1; rows without a label are all 0."""
    out = np.zeros((len(labels), classes))
    known = np.flatnonzero(labels >= 0)
    out[known, labels[known]] = 1.0
    return out


def balanced(scores: Floats, shares: Floats, *, rounds: int = 25) -> Floats:
    """Return (N, K) softmax of scores plus one constant a class, chosen so that every class has its share of the mass.

    Args:
        scores: (N, K) finite; log-odds in their own scale.
        shares: (K,) wanted means of the columns; a class with share 0 gets probability 0.
        rounds: how often the constants are corrected.
    """
    wanted = np.log(np.maximum(shares, 1e-300))
    bias = np.where(shares > 0, 0.0, -np.inf)
    if rounds and len(scores) > 2 * SAMPLE:
        # most of the way on a part of the rows
        bias = _biases(scores[:: -(-len(scores) // SAMPLE)], bias, wanted, rounds)
    if rounds:
        bias = _biases(scores, bias, wanted, rounds)
    return _softmax(scores + bias)


def _biases(scores: Floats, bias: Floats, wanted: Floats, rounds: int) -> Floats:
    alive, bias = np.isfinite(bias), bias.copy()
    for _ in range(rounds):
        off = wanted - np.log(np.maximum(_softmax(scores + bias).mean(axis=0), 1e-12))
        if np.abs(off[alive]).max() < TOLERANCE:
            break
        bias[alive] += off[alive]
    return bias


def keep_known(probs: Floats, labels: Ints) -> Floats:
    """Return probabilities in which every labelled sample has its label for certain."""
    known = np.flatnonzero(labels >= 0)
    out = probs.copy()
    out[known] = 0.0
    out[known, labels[known]] = 1.0
    return out


def solve(matrix: Any, right: Floats, *, start: Floats | None = None, tolerance: float = 1e-5) -> Floats:
    """Return the (N, K) solution of a symmetric positive (semi-)definite system, all columns at once.

    Conjugate gradients with the diagonal as preconditioner; the columns share every product with the matrix, which a
    solver for one column reads K times.

    Args:
        matrix: (N, N) sparse.
        right: (N, K); for a singular matrix it must lie in its range.
        start: first guess.
        tolerance: wanted size of the residue, relative to the right side.
    """
    diagonal = np.maximum(np.asarray(matrix.diagonal()), 1e-12)[:, None]
    found = np.zeros_like(right) if start is None else start.copy()
    rest = right - matrix @ found
    size = np.maximum(np.linalg.norm(right, axis=0), 1e-300)
    ready = rest / diagonal
    direction = ready.copy()
    power = np.einsum("nk,nk->k", rest, ready)
    for _ in range(2000):
        if (np.linalg.norm(rest, axis=0) <= tolerance * size).all():
            break
        moved = matrix @ direction
        bend = np.einsum("nk,nk->k", direction, moved)
        step = np.where(bend > 1e-300, power / np.maximum(bend, 1e-300), 0.0)
        found += step * direction
        rest -= step * moved
        ready = rest / diagonal
        new = np.einsum("nk,nk->k", rest, ready)
        direction = ready + np.where(power > 1e-300, new / np.maximum(power, 1e-300), 0.0) * direction
        power = new
    return found


def _softmax(scores: Floats) -> Floats:
    power = np.exp(scores - scores.max(axis=1, keepdims=True))
    out: Floats = power / power.sum(axis=1, keepdims=True)
    return out
