"""How strange a sample is among the others: neighbor distance, Isolation Forest, local outlier factor."""

from __future__ import annotations

import warnings

import numpy as np

from scarce.audit._base import unit_rows
from scarce.dataset import Array, Floats, Mask
from scarce.errors import DataError

ROWS = 1024
MOST_REFERENCES = 20_000
FOREST_COMPONENTS = 64


def neighbor_distance(embeddings: Array, *, neighbors: int = 5) -> Floats:
    """Return (N,) cosine distance to the k-th nearest other row, in [0, 2]; NaN for rows with NaN.

    Above 20,000 rows neighbors are sought among 20,000 of them.

    Args:
        embeddings: (N, D).
        neighbors: k, at most N - 1 is used.
    """
    source = np.asarray(embeddings)
    valid = np.isfinite(source).all(axis=1)
    out = np.full(len(source), np.nan)
    rows = unit_rows(source[valid])
    n = len(rows)
    if n < 2:
        out[valid] = 0.0
        return out
    picked = _references(n, neighbors)
    reference = np.ascontiguousarray(rows[picked].T)
    own = np.full(n, -1)
    own[picked] = np.arange(len(picked))
    k = min(neighbors, len(picked) - 1)
    distance = np.empty(n)
    for a in range(0, n, ROWS):
        near = rows[a : a + ROWS] @ reference
        mine = own[a : a + ROWS]
        there = np.flatnonzero(mine >= 0)
        near[there, mine[there]] = -np.inf
        distance[a : a + ROWS] = 1 - np.partition(near, near.shape[1] - k, axis=1)[:, near.shape[1] - k]
    out[valid] = np.maximum(distance, 0)
    return out


def isolation_score(
    embeddings: Array, *, contamination: float = 0.1, folds: int = 3, seed: int = 0
) -> tuple[Floats, Mask]:
    """Return (N,) strangeness in (0, 1) and (N,) flags by scikit-learn's Isolation Forest, 1 = isolated at once.

    Cross-fitted: the forest that judges a row has not seen it. Rows are standardized and projected on at most 64
    principal components, by the rows that the forest is fitted on. Rows with NaN get NaN and no flag.

    Args:
        embeddings: (N, D).
        contamination: share of the rows that is flagged, in (0, 0.5].
        folds: forests.
        seed: of the folds and the forests. Both follow the order of the rows: sort them for an equal result.

    Raises:
        DataError: contamination is outside (0, 0.5].
    """
    from sklearn.ensemble import IsolationForest

    from scarce.probe import Projection

    source, valid = _finite(embeddings, contamination)
    rows, score = source[valid], np.zeros(int(valid.sum()))
    if len(rows) >= 2 * folds:
        place = np.random.default_rng([seed, folds]).permutation(len(rows)) % folds
        for fold in range(folds):
            judged = place == fold
            projection = Projection.fit(rows[~judged], components=FOREST_COMPONENTS)
            forest = IsolationForest(n_estimators=100, random_state=seed + fold).fit(projection(rows[~judged]))
            score[judged] = -forest.score_samples(projection(rows[judged]))
    return _spread_out(score, valid, contamination)


def local_outlier_factor(embeddings: Array, *, neighbors: int = 20, contamination: float = 0.1) -> tuple[Floats, Mask]:
    """Return (N,) local outlier factors and (N,) flags by scikit-learn; about 1 = usual, more = stranger.

    No row is its own neighbor; equal rows count once. Above 20,000 rows the density is that of 20,000 of them. Rows
    with NaN get NaN and no flag.

    Args:
        embeddings: (N, D).
        neighbors: k, at most N - 1 is used.
        contamination: share of the rows that is flagged, in (0, 0.5].

    Raises:
        DataError: contamination is outside (0, 0.5].
    """
    from sklearn.neighbors import LocalOutlierFactor

    source, valid = _finite(embeddings, contamination)
    rows, copy = np.unique(unit_rows(source[valid]), axis=0, return_inverse=True)
    n, factor = len(rows), np.ones(len(rows))
    if n >= 3:
        picked = _references(n, neighbors)
        k = min(neighbors, len(picked) - 1)
        model = LocalOutlierFactor(n_neighbors=k, algorithm="brute", novelty=len(picked) < n)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Duplicate values", UserWarning)  # copies are judged once
            model.fit(rows[picked])
        factor[picked] = -model.negative_outlier_factor_
        if len(picked) < n:
            others = np.setdiff1d(np.arange(n), picked)
            factor[others] = -model.score_samples(rows[others])
    factor = factor[copy.ravel()]
    return _spread_out(factor, valid, contamination)


def _references(n: int, neighbors: int) -> Array:
    if n <= MOST_REFERENCES:
        return np.arange(n)
    return np.sort(np.random.default_rng([n, neighbors]).choice(n, MOST_REFERENCES, replace=False))


def _finite(embeddings: Array, contamination: float) -> tuple[Floats, Mask]:
    if not 0 < contamination <= 0.5:
        raise DataError("audit.outlier", f"contamination is {contamination}", do="use a share in (0, 0.5]")
    source = np.asarray(embeddings, np.float32)
    return source, np.asarray(np.isfinite(source).all(axis=1))


def _spread_out(score: Floats, valid: Mask, contamination: float) -> tuple[Floats, Mask]:
    out, flagged = np.full(len(valid), np.nan), np.zeros(len(valid), bool)
    out[valid] = score
    most = round(contamination * len(score))
    flagged[np.flatnonzero(valid)[np.argsort(-score, kind="stable")[:most]]] = True
    return out, flagged
