"""How varied each class is, and whether it falls into clusters that could be classes of their own."""

from __future__ import annotations

from typing import Any

import numpy as np

from scarce.dataset import Array, Ints
from scarce.evaluate._base import Judged

MOST = 500
FEWEST = 30
APART = 0.25
"""Silhouette from which on clusters are proposed as subclasses."""
COLUMNS = 32
CLUSTERS = (2, 3, 4)


def subclasses(judged: Judged) -> dict[str, Any]:
    """Return for each class the spread of its samples, and clusters that could be subclasses.

    Returns:
        Class to ``spread`` (root mean square distance from its center, 1 = the mean over classes), ``silhouette`` of
        the best clustering (1 = far apart, 0 = none) and ``subclasses``: where clusters lie apart, each with ``n``,
        ``recall`` and ``ids``, its most typical samples. Empty without features.
    """
    if judged.features is None:
        return {}
    good = np.isfinite(judged.features).all(1)
    rows = _projected(judged.features[good])
    y, places = judged.y[good], np.flatnonzero(good)
    found: dict[str, Any] = {}
    spreads = {}
    for code in np.unique(y):
        own = rows[y == code]
        spreads[int(code)] = float(np.sqrt(((own - own.mean(0)) ** 2).sum(1).mean()))
    typical = max(float(np.mean(list(spreads.values()))), 1e-12)
    for code, spread in spreads.items():
        mine = y == code
        apart, parts = _clusters(rows[mine], judged.seed)
        groups = [_described(judged, places[mine][part], rows[mine][part]) for part in parts] if apart >= APART else []
        found[judged.classes[code]] = {"spread": spread / typical, "silhouette": apart, "subclasses": groups}
    return found


def _projected(features: Array) -> Array:
    """Return (n, <=32) principal components of features with unit deviation."""
    rows = np.asarray(features, np.float64)
    scale = rows.std(0)
    rows = (rows - rows.mean(0)) / np.where(scale > 1e-9, scale, 1.0)
    vectors = np.linalg.eigh(rows.T @ rows)[1]
    return np.asarray(rows @ vectors[:, ::-1][:, :COLUMNS])


def _clusters(rows: Array, seed: int) -> tuple[float, list[Ints]]:
    """Return the best silhouette and the row numbers of its clusters, none smaller than a tenth of the class."""
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    if len(rows) < FEWEST:
        return float("nan"), []
    some = rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST)).round().astype(int)]
    best: tuple[float, list[Ints]] = (float("nan"), [])
    for count in CLUSTERS:
        model = KMeans(count, n_init=3, random_state=seed).fit(some)
        sizes = np.bincount(model.labels_, minlength=count)
        if sizes.min() < max(3, len(some) / 10):
            continue
        apart = float(silhouette_score(some, model.labels_))
        if not apart <= best[0]:
            told = model.predict(rows)
            best = apart, [np.flatnonzero(told == number) for number in range(count)]
    return best


def _described(judged: Judged, places: Ints, rows: Array) -> dict[str, Any]:
    order = np.argsort(((rows - rows.mean(0)) ** 2).sum(1), kind="stable")[:9]
    return {
        "n": len(places), "recall": float((judged.pred[places] == judged.y[places]).mean()),
        "ids": judged.ids[places[order]].tolist(),
    }  # fmt: skip
