"""What is left out again after interpolation: pairs at a border, and samples among strangers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scarce.dataset import Array, Ints, Mask
from scarce.rebalance import _nearest
from scarce.rebalance._resample import Resampled


def surroundings(found: Resampled, neighbors: int) -> tuple[Ints, Ints]:
    """Return (n, m) nearest others of every sample there is now, and (n,) class of each."""
    X, labels = found.arrays()
    points = X.reshape(len(X), -1)
    points = points if points.dtype.kind == "f" else points.astype(np.float64)
    codes = np.unique(labels, return_inverse=True)[1]
    return _nearest.nearest(points, points, min(neighbors, len(points) - 1), own=np.arange(len(points))), codes


def tomek_links(nearest: Array, codes: Ints) -> Mask:
    """Return (n,) whether a sample and one of another class are each other's nearest.

    Args:
        nearest: (n,) nearest other of every sample.
        codes: (n,) classes.
    """
    return np.asarray((nearest[nearest] == np.arange(len(nearest))) & (codes[nearest] != codes))


def among_strangers(around: Ints, codes: Ints) -> Mask:
    """Return (n,) whether any neighbor of a sample is of another class (edited nearest neighbors, Wilson 1972).

    Args:
        around: (n, m) nearest others of every sample.
        codes: (n,) classes.
    """
    return np.asarray((codes[around] != codes[:, None]).any(axis=1))


def without(found: Resampled, gone: Mask, names: Array) -> Resampled:
    """Return the samples that are not gone; a class that would lose all of its samples keeps them, with a note."""
    labels, notes = found.labels, list(found.notes)
    for name in names:
        own = labels == name
        if gone[own].all():
            notes.append(f"cleaning would have left no sample of {name!s}: it was not cleaned")
            gone = gone & ~own
    return replace(found.only(~gone), notes=tuple(notes))
