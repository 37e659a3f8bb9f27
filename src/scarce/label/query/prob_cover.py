"""ProbCover: samples whose neighborhoods cover the most of what is not covered yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.dataset import Array, Floats, Ints
from scarce.errors import DataError
from scarce.label.query import _cover
from scarce.label.query._arrays import checked_count, checked_features, row_numbers
from scarce.label.query._base import AbstractQuery, Picks, Pool
from scarce.label.query.core_set import picked

MOST = 100_000
"""Rows that are compared all with all; of larger pools so many are drawn."""
SAMPLE = 10_000
"""Rows from which the radius is told."""


def select_prob_cover(embeddings: Array, labeled: Any, n: int, *, seed: int, radius: float = 0.0) -> Ints:
    """Return (n,) row numbers, each the one whose ball covers the most rows that no ball covers yet.

    Neighbors are found block by block and kept as lists; there is no (N, N) matrix. When all is covered the rest are
    the farthest ones.

    Args:
        embeddings: (N, D) finite features.
        labeled: (N,) bool, or row numbers; may be empty.
        n: how many; all that are left if it is larger.
        seed: of the clustering that chooses the radius.
        radius: of the balls, Euclidean; 0 = the largest whose balls are pure, see :func:`pure_radius`.

    Raises:
        DataError: features that are not finite, rows that do not exist, nothing is left, or the radius holds so many
            pairs that they do not fit into memory.

    Source: Yehuda et al. 2022.
    """
    rows = checked_features(embeddings)
    known = row_numbers(labeled, len(rows))
    left = np.setdiff1d(np.arange(len(rows)), known)
    n = checked_count(n, len(left))
    return covering(rows, known, left, n, radius=radius or pure_radius(rows, clusters=_clusters(known, n), seed=seed))[
        0
    ]


def _clusters(known: Ints, n: int) -> int:
    return int(np.clip(len(known) + n, 10, 100))


def pure_radius(embeddings: Array, *, clusters: int, seed: int, pure: float = 0.95) -> float:
    """Return the largest radius at which a share of the balls holds one cluster only.

    Clusters of k-means stand in for the classes that nobody knows yet. A ball stays pure up to the distance to the
    nearest row of another cluster, so the answer is a quantile of those distances, estimated on a sample.

    Args:
        embeddings: (N, D) finite features.
        clusters: how many clusters.
        seed: of the clustering and the draw.
        pure: wanted share of pure balls.
    """
    from scarce.label.query.typi_clust import clustered

    rows = np.asarray(embeddings, np.float32)
    rng = np.random.default_rng(seed)
    if len(rows) > SAMPLE:
        rows = rows[np.sort(rng.choice(len(rows), SAMPLE, replace=False))]
    member = clustered(rows, min(clusters, len(rows)), seed=seed)
    probes = np.sort(rng.choice(len(rows), min(2000, len(rows)), replace=False))
    edge = _cover.nearest_stranger(rows, member, probes)
    edge = edge[np.isfinite(edge) & (edge > 0)]
    return float(np.quantile(edge, 1 - pure)) if len(edge) else 1.0


def covering(
    rows: Array, known: Ints, left: Ints, n: int, *, radius: float, cost: Floats | None = None
) -> tuple[Ints, Floats]:
    """Return (n,) picks among the rows that are left and how many rows each covers anew."""
    if not radius > 0:
        raise DataError(
            "label.query.prob_cover", f"radius = {radius}", do="give a radius above 0, or 0 in the settings"
        )
    here = np.concatenate([known, left])
    graph = _cover.neighbors(rows, here, radius)
    places, gains = _cover.cover(graph, len(known), n, cost=None if cost is None else cost[here])
    found = here[places]
    if len(found) < n:
        rest = np.setdiff1d(left, found)
        more, _ = picked(rows, np.concatenate([known, found]), rest, n - len(found))
        found, gains = np.concatenate([found, more]), np.concatenate([gains, np.zeros(len(more))])
    return found, gains


@final
@dataclass(frozen=True, kw_only=True)
class ProbCover(AbstractQuery):
    """Ask about the sample whose neighborhood covers the most samples that no labeled one covers yet.

    Use for the first labels, when there are too few for a model; with very few it beats typi_clust on good features.
    Do not use when many labels are there: all is covered then.
    Needs: embedding (N, D).
    Source: Yehuda et al. 2022.

    Args:
        radius: of a neighborhood, Euclidean; 0 = the largest that is pure.
        pure: share of neighborhoods that must hold one cluster only when the radius is chosen.
        seed: of the clustering, and of the draw from pools above 100,000.
    """

    needs: ClassVar[tuple[str, ...]] = ("embedding",)
    radius: float = 0.0
    pure: float = 0.95
    seed: int = 0

    def utility(self, pool: Pool) -> Floats:
        """Return (M,) how many uncovered samples each candidate would cover."""
        here = np.concatenate([pool.covered, pool.candidates])
        graph = _cover.neighbors(pool.features, here, self._radius(pool, 1))
        return _cover.degrees(graph, len(pool.covered))[len(pool.covered) :].astype(np.float64)

    def rank(self, pool: Pool, n: int) -> Picks:
        """Return the picks of the greedy cover."""
        left = pool.candidates
        if not len(left):
            return self.picks(pool, left, np.zeros(0))
        if len(left) > MOST:
            left = np.sort(np.random.default_rng(self.seed).choice(left, MOST, replace=False))
        rows, gains = covering(
            pool.features, pool.covered, left, min(n, len(left)), radius=self._radius(pool, n), cost=pool.cost
        )
        return self.picks(pool, rows, gains)

    def _radius(self, pool: Pool, n: int) -> float:
        if self.radius:
            return self.radius
        here = np.concatenate([pool.labeled, pool.asked, pool.candidates])
        clusters = max(_clusters(pool.labeled, n), len(pool.classes))
        return pure_radius(pool.features[here], clusters=clusters, seed=self.seed, pure=self.pure)

    def say(self, pool: Pool, rows: Ints, value: Floats) -> list[str]:  # noqa: ARG002  the shape of the base class
        """Return the reasons."""
        return [
            f"like {int(gain) - 1} samples that are like no labeled one" if gain > 1
            else "like no other sample that is labeled or asked" if gain else "all is covered; the farthest of the rest"
            for gain in value
        ]  # fmt: skip
