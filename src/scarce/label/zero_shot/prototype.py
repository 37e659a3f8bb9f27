"""A few labelled examples per class as prototypes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import numpy as np

from scarce import encode
from scarce.dataset import Array, Dataset, Floats, Ints, Mask
from scarce.errors import DataError
from scarce.label.zero_shot._base import AbstractZeroShot, Judgement
from scarce.probe import Projection, fold_of

SCALE: Final = 10.0
"""Cosines times this are logits; the temperature is fitted afterwards."""
MOST_ROWS: Final = 4096
"""Rows that the axes are fitted on, and rows at once."""


@final
@dataclass(frozen=True, kw_only=True)
class Prototype(AbstractZeroShot):
    """Compare with the mean of a few labelled examples per class, on any features.

    Use when there is no image-text model, or no words for the classes: parts, sounds, series, tables.
    Do not use when a class has several quite different looks and few examples: one mean then lies between them.
    Needs: labelled rows (a few per class; about 60 in all before a precision of .95 can be proven).
    Writes: logits (N, K): 10 x the cosine to each class's prototype, on half-whitened principal components of all rows.
    Labelled rows are judged by prototypes of the other folds, whole groups together.
    Source: Snell, Swersky and Zemel 2017 (prototypes).

    Args:
        encoder: features to work on; ``auto`` = those that the dataset has, else the best encoder installed.
        components: principal components that are kept.
        folds: how many parts the labelled rows are cut into to be judged.
    """

    encoder: str = "auto"
    components: int = 256
    folds: int = 10

    def with_features(self, ds: Dataset, *, cache: str | Path | None, workers: int | None) -> Dataset:
        """Encode, unless the features are there."""
        present = [name for name in ds.wide if name.startswith("embedding.")]
        wanted = f"embedding.{encode.choose(ds, self.encoder)}"
        if wanted in present or (self.encoder == "auto" and present):
            return ds
        return encode.run(ds, self.encoder, cache=cache, workers=workers)

    def judge(self, ds: Dataset, known: Mask, *, seed: int) -> Judgement:
        """Compare every row with the prototypes."""
        features = ds[self._column(ds)]
        good = np.isfinite(features.sum(axis=1, dtype=np.float64))
        labels = np.where(known & good, ds["label"], -1)
        k = len(ds.schema.classes)
        if not (labels >= 0).any():
            raise DataError("label.zero_shot.prototype", "there is no labelled example", f"{len(ds)} rows are there",
                            "label a few rows of each class first: scarce query")  # fmt: skip
        logits = np.full((len(ds), k), np.nan)
        rows = np.flatnonzero(good)
        points = half_whitened(features, rows, components=self.components)
        groups = ds["split_group"][rows] if "split_group" in ds else None
        logits[rows] = SCALE * prototype_cosines(points, labels[rows], k, groups=groups, folds=self.folds, seed=seed)
        counts = np.bincount(labels[labels >= 0], minlength=k)
        notes = [
            f"{name} has {'no example: it is never proposed' if not n else 'one example: it cannot be checked on it'}"
            for name, n in zip(ds.schema.classes, counts, strict=True) if n < 2
        ]  # fmt: skip
        return Judgement(logits, tuple(notes), {"features": self._column(ds)})

    def _column(self, ds: Dataset) -> str:
        wanted = f"embedding.{encode.choose(ds, self.encoder)}"
        present = [name for name in ds.wide if name.startswith("embedding.")]
        if wanted not in present and not (self.encoder == "auto" and present):
            raise DataError("label.zero_shot.prototype", f"there are no features {wanted!r}",
                            f"there are {', '.join(present) or 'none'}", "encode the dataset first")  # fmt: skip
        return wanted if wanted in present else present[-1]


def half_whitened(features: Floats, rows: Ints | None = None, *, components: int = 256) -> Floats:
    """Return (M, P) unit vectors: principal components divided by the square root of their spread.

    Full whitening makes noise as loud as signal, none lets a few directions drown the rest.

    Args:
        features: (N, D).
        rows: (M,) the rows that are wanted, all finite; None = all.
        components: P at most.
    """
    rows = np.arange(len(features)) if rows is None else rows
    part = np.asarray(features[rows[:: -(-len(rows) // MOST_ROWS)]], np.float32)
    axes = Projection.fit(part, components=components)
    spread = axes(part).std(axis=0)
    root = np.sqrt(np.maximum(spread, 1e-3 * max(float(spread.max(initial=0.0)), 1e-9)))
    out = np.empty((len(rows), len(root)), np.float32)
    for start in range(0, len(rows), MOST_ROWS):
        block = axes(np.asarray(features[rows[start : start + MOST_ROWS]], np.float32)) / root
        out[start : start + MOST_ROWS] = block / np.maximum(np.linalg.norm(block, axis=1, keepdims=True), 1e-9)
    return out


def prototype_cosines(
    points: Floats, labels: Ints, n_classes: int, *, groups: Array | None = None, folds: int = 10, seed: int = 0
) -> Floats:
    """Return (N, K) cosines to the class means; labelled rows are held out of the means that judge them.

    Args:
        points: (N, P) unit vectors.
        labels: (N,) codes, -1 = unlabelled.
        n_classes: K; a class without an example (in the other folds) has -inf.
        groups: (N,) groups that stay together, or None.
        folds: parts of the labelled rows, at most one for each.
        seed: of the folds.
    """
    known = np.flatnonzero(labels >= 0)
    out = points @ _means(points[known], labels[known], n_classes).T
    out[:, np.bincount(labels[known], minlength=n_classes) == 0] = -np.inf
    part = None if groups is None else groups[known]
    place = fold_of(labels[known], part, max(2, min(folds, len(known))), seed=seed)
    for fold in np.unique(place):
        mine, rest = known[place == fold], known[place != fold]
        out[mine] = points[mine] @ _means(points[rest], labels[rest], n_classes).T
        out[np.ix_(mine, np.flatnonzero(np.bincount(labels[rest], minlength=n_classes) == 0))] = -np.inf
    return np.asarray(out)


def _means(points: Floats, labels: Ints, n_classes: int) -> Floats:
    """Return (K, P) unit class means; 0 for classes without a row."""
    sums = np.zeros((n_classes, points.shape[1]), points.dtype)
    np.add.at(sums, labels, points)
    return np.asarray(sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9))
