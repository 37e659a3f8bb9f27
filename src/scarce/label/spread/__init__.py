"""Spread a few labels over many samples, along a graph of nearest neighbors; any modality that has features.

One to fifty labels of every class are enough to name most of a pool. :func:`run` writes only confident ones (source
``model``, with soft labels) and says, by labels that it held out, how many of these are right; with too few labels to
hold any out it says that nothing was checked. For arrays: :func:`neighbor_graph`, then :func:`fit_spectral`,
:func:`fit_poisson` or :func:`fit_laplace`.
"""

from __future__ import annotations

from scarce.label.spread._base import AbstractSpread, balanced
from scarce.label.spread._graph import Graph, neighbor_graph
from scarce.label.spread._run import Checked, Options, plugin_of, run
from scarce.label.spread.laplace import fit_laplace
from scarce.label.spread.poisson import fit_poisson
from scarce.label.spread.spectral import fit_spectral

__all__ = [
    "AbstractSpread", "Checked", "Graph", "Options", "balanced", "fit_laplace", "fit_poisson", "fit_spectral",
    "neighbor_graph", "plugin_of", "run",
]  # fmt: skip
