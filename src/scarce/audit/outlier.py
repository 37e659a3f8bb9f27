"""Samples that are unlike all others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from scarce.audit._base import AbstractCheck, Measurement, ds_embedding, unit_rows
from scarce.audit._quality import reported
from scarce.dataset import Array, Dataset, Floats

ROWS = 1024
MOST_REFERENCES = 20_000


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
    picked = np.arange(n)
    if n > MOST_REFERENCES:
        picked = np.sort(np.random.default_rng([n, neighbors]).choice(n, MOST_REFERENCES, replace=False))
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


def outlier_score(distance: Floats) -> Floats:
    """Return (N,) scores in [0, 1]: a score of 0.999 is reached by about 1 ordinary sample in 1,000.

    The logarithm of the distance is taken as normal, with the median as center and the spread of the upper half (50th
    to 84th percentile), so that a minority of real outliers does not move it.

    Args:
        distance: (N,) distances; NaN = not known.
    """
    from scipy.special import ndtr

    log = np.log(np.maximum(distance, 1e-6))
    known = log[np.isfinite(log)]
    if len(known) < 8:
        return np.where(np.isfinite(log), 0.0, np.nan)
    center, upper = np.quantile(known, [0.5, 0.8413])
    return np.asarray(ndtr((log - center) / max(float(upper - center), 0.02)))


@final
@dataclass(frozen=True, kw_only=True)
class Outlier(AbstractCheck):
    """Find samples that resemble no other sample.

    Use when foreign pictures may have slipped in (another product, a hand, a test card).
    Do not use as a reason to drop rare defects: a defect seen once is an outlier, too. Nothing sets these aside by
    itself.
    Needs: embedding (N, D).
    Writes: score (N,) = 1 - share of ordinary samples that would be as far from their k-th neighbor.
    Source: k-th nearest neighbor distance, Ramaswamy et al. 2000; the calibration is ours.

    Args:
        neighbors: k.
        false_alarm_rate: share of ordinary samples that may be flagged.
        encoder: whose features; empty = the newest.
    """

    needs: ClassVar[tuple[str, ...]] = ("embedding",)
    neighbors: int = 10
    false_alarm_rate: float = 0.001
    encoder: str = ""

    def measure(self, ds: Dataset) -> Measurement:
        """Judge the distance to the k-th neighbor."""
        _, features = ds_embedding(ds, self.encoder)
        distance = neighbor_distance(features, neighbors=self.neighbors)
        score = outlier_score(distance)
        usual = float(np.nanmedian(distance)) if np.isfinite(distance).any() else 0.0
        shown = np.where(score >= 1 - self.false_alarm_rate, score, np.minimum(score, 0.499))
        result = reported(
            ds,
            shown,
            lambda row: f"unlike all others: distance {distance[row]:.3f} to its neighbors, usual {usual:.3f}",
        )
        return Measurement(np.clip(score, 0, 1), result.findings)
