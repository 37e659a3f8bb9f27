"""TypiClust: typical samples of clusters that have no label yet."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.dataset import Array, Floats, Ints
from scarce.execute.local import single_threaded_algebra
from scarce.label.query._arrays import checked_count, checked_features, row_numbers
from scarce.label.query._base import AbstractQuery, Picks, Pool, best

CLUSTERS, SMALL = 500, 5
"""Clusters at most; clusters with fewer samples come last."""
NEIGHBORS = 20
EXACT = 50
"""Up to so many clusters plain k-means is used, beyond it its mini-batch form."""


def select_typi_clust(embeddings: Array, labeled: Any, n: int, *, seed: int, clusters: int = 0) -> Ints:
    """Return (n,) row numbers: the most typical sample of the largest cluster without a label, again and again.

    Args:
        embeddings: (N, D) finite features.
        labeled: (N,) bool, or row numbers; may be empty.
        n: how many; all that are left if it is larger.
        seed: of the clustering.
        clusters: how many; 0 = labeled plus wanted ones, at most 500.

    Raises:
        DataError: features that are not finite, rows that do not exist, or nothing is left.

    Source: Hacohen, Dekel and Weinshall 2022.
    """
    rows = checked_features(embeddings)
    known = row_numbers(labeled, len(rows))
    left = np.setdiff1d(np.arange(len(rows)), known)
    plan = Plan.of(rows, known, left, checked_count(n, len(left)), seed=seed, clusters=clusters)
    return plan.run(n)[0]


@dataclass(eq=False)
class Plan:
    """Clusters of all rows, and who of each is left to ask about.

    Args:
        rows: (N, D) features.
        member: (N,) cluster of each row; -1 = neither labeled nor a candidate.
        free: (N,) whether a row may be asked about.
        count: (C,) labeled or asked rows of each cluster.
        cost: (N,) cost of a label, or None.
    """

    rows: Array
    member: Ints
    free: Array
    count: Ints
    cost: Floats | None = None

    @classmethod
    def of(  # noqa: PLR0913  one knob each
        cls, rows: Array, known: Ints, left: Ints, n: int, *, seed: int, clusters: int = 0, cost: Floats | None = None
    ) -> Plan:  # fmt: skip
        """Cluster the labeled rows and the candidates."""
        here = np.sort(np.concatenate([known, left]))
        wanted = min(clusters or min(len(known) + n, CLUSTERS), len(here))
        member = np.full(len(rows), -1, np.int64)
        member[here] = clustered(rows if len(here) == len(rows) else rows[here], wanted, seed=seed)
        free = np.zeros(len(rows), np.bool_)
        free[left] = True
        return cls(rows, member, free, np.bincount(member[known], minlength=wanted), cost)

    def order(self) -> Ints:
        """Return the clusters with somebody left: fewest labels first, small ones last, then the largest."""
        sizes = np.bincount(self.member[self.member >= 0], minlength=len(self.count))
        open_ = np.unique(self.member[self.free])
        return open_[np.lexsort((open_, -sizes[open_], self.count[open_], sizes[open_] < SMALL))]

    def run(self, n: int) -> tuple[Ints, Floats, list[int]]:
        """Return the picks, how typical each is, and the sizes of their clusters."""
        rows: list[int] = []
        value: list[float] = []
        sizes: list[int] = []
        with single_threaded_algebra():
            typical: dict[int, tuple[Ints, Floats]] = {}
            n = min(n, int(self.free.sum()))
            while len(rows) < n:
                for cluster in self.order()[: n - len(rows)]:
                    code = int(cluster)
                    if code not in typical:
                        members = np.flatnonzero(self.member == code)
                        typical[code] = members, typicality(self.rows[members])
                    inside, score = typical[code]
                    open_ = np.flatnonzero(self.free[inside])
                    cost = None if self.cost is None else self.cost[inside[open_]]
                    place = open_[best(score[open_], cost, 1)[0]]
                    rows.append(int(inside[place]))
                    value.append(float(score[place]))
                    sizes.append(len(inside))
                    self.free[inside[place]] = False
                    self.count[code] += 1
        return np.array(rows, np.int64), np.array(value), sizes


def clustered(rows: Array, clusters: int, *, seed: int) -> Ints:
    """Return (N,) cluster of each row by k-means."""
    from sklearn.cluster import KMeans, MiniBatchKMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    if clusters >= len(rows):
        return np.arange(len(rows))
    kind: Any = (
        KMeans(clusters, random_state=seed, n_init=1) if clusters <= EXACT and len(rows) <= 100_000
        else MiniBatchKMeans(clusters, random_state=seed, n_init=1, batch_size=5000)
    )  # fmt: skip
    with threadpool_limits(limits=1), warnings.catch_warnings():  # idle threads that spin cost more than they help
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different rows than clusters: fewer clusters, fine
        return np.asarray(kind.fit(rows).labels_, np.int64)


def typicality(rows: Array, *, neighbors: int = NEIGHBORS) -> Floats:
    """Return (N,) one over the mean distance to the nearest neighbors among these rows.

    Args:
        rows: (N, D) features of one cluster.
        neighbors: how many; all others if there are fewer.
    """
    n = len(rows)
    k = min(neighbors, n - 1)
    if k < 1:
        return np.ones(n)
    rows = np.asarray(rows, np.float32) - rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    length = np.einsum("nd,nd->n", rows, rows)
    out = np.empty(n)
    for start in range(0, n, 512):
        part = rows[start : start + 512]
        far = length[start : start + 512, None] + length[None] - 2 * (part @ rows.T)
        far[np.arange(len(part)), start + np.arange(len(part))] = np.inf
        near = np.partition(far, k - 1, axis=1)[:, :k]
        out[start : start + 512] = np.sqrt(np.maximum(near, 0)).mean(axis=1)
    return 1 / np.maximum(out, 1e-9)


@final
@dataclass(frozen=True, kw_only=True)
class TypiClust(AbstractQuery):
    """Ask about the most typical sample of each large cluster that has no label yet.

    Use for the first labels, when there are too few for a model.
    Do not use when many labels are there: doubt then tells more.
    Needs: embedding (N, D).
    Source: Hacohen, Dekel and Weinshall 2022.

    Args:
        clusters: how many; 0 = labeled plus wanted ones, at most 500.
        seed: of the clustering.
    """

    needs: ClassVar[tuple[str, ...]] = ("embedding",)
    clusters: int = 0
    seed: int = 0

    def utility(self, pool: Pool) -> Floats:
        """Return (M,) how typical each candidate of the next cluster is; 0 in all others."""
        plan = self._plan(pool, 1)
        code = plan.order()[0]
        inside = np.flatnonzero(plan.member == code)
        score = np.zeros(len(pool.labels))
        score[inside] = typicality(pool.features[inside])
        return score[pool.candidates]

    def rank(self, pool: Pool, n: int) -> Picks:
        """Return one pick a cluster, and another round where more are wanted than there are clusters."""
        if not len(pool.candidates):
            return Picks(pool.candidates, np.zeros(0), ())
        rows, value, sizes = self._plan(pool, n).run(n)
        why = [f"typical of a group of {size} samples that has too few labels" if size >= SMALL
               else f"one of a group of only {size}" for size in sizes]  # fmt: skip
        return Picks(rows, value, tuple(why))

    def _plan(self, pool: Pool, n: int) -> Plan:
        return Plan.of(pool.features, pool.covered, pool.candidates, n, seed=self.seed, clusters=self.clusters,
                       cost=pool.cost)  # fmt: skip

    def say(self, pool: Pool, rows: Ints, value: Floats) -> list[str]:  # noqa: ARG002  the shape of the base class
        """Return the reasons."""
        return ["typical of a group of samples that has too few labels"] * len(rows)
