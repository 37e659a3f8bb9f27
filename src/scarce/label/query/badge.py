"""BADGE: diverse gradients, by k-means++ on factors that are never multiplied out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.dataset import Array, Floats, Ints
from scarce.errors import DataError
from scarce.execute.local import single_threaded_algebra
from scarce.label.query._arrays import checked_count, checked_features
from scarce.label.query._base import AbstractQuery, Picks, Pool
from scarce.label.query._uncertainty import checked_probs, uncertainty

BLOCK = 4096


def select_badge(embeddings: Array, pred_probs: Array, n: int, *, seed: int | Any) -> Ints:
    """Return (n,) row numbers by k-means++ on gradient embeddings, the longest gradient first.

    The gradient of the last layer, if the likeliest class were right, is ``g = (p - onehot) x e``. Its distances need
    ``<p, p'>`` and ``<e, e'>`` only, so the (N, K D) matrix is never built; a pick costs O(N (K + D)).

    Args:
        embeddings: (N, D) finite features of the pool.
        pred_probs: (N, K) their out-of-sample probabilities.
        n: how many; all if it is larger.
        seed: of the draws; or anything with ``random()``, such as a generator.

    Raises:
        DataError: shapes do not fit, values are not finite, or there is no row.

    Source: Ash et al. 2020.
    """
    rows, probs = checked_features(embeddings), checked_probs(pred_probs)
    if len(rows) != len(probs):
        raise DataError("label.query.badge", f"{len(rows)} embeddings and {len(probs)} rows of pred_probs")
    bad = np.isnan(uncertainty(probs, entropy=False)[2])
    if bad.any():
        raise DataError(
            "label.query.badge", f"row {int(bad.argmax())} of pred_probs is not finite",
            f"{int(bad.sum())} rows are so",
            "leave such rows out",
        )  # fmt: skip
    n = checked_count(n, len(rows))
    return drawn(rows, gradient_factor(probs), n, seed=seed)[0]


def gradient_factor(pred_probs: Array) -> Floats:
    """Return (N, K) float32 probabilities minus one at the likeliest class."""
    out = np.array(pred_probs, np.float32)
    out[np.arange(len(out)), out.argmax(axis=1)] -= 1
    return out


@dataclass(eq=False)
class _Spread:
    """Squared distances of gradients to the nearest chosen one; no gradient at all (no doubt) counts as chosen."""

    rows: Array
    factor: Floats

    def __post_init__(self) -> None:
        length = np.empty(len(self.rows))
        for start in range(0, len(self.rows), BLOCK):
            part = self.rows[start : start + BLOCK]
            length[start : start + BLOCK] = np.einsum("nd,nd->n", part, part, dtype=np.float64)
        self.length = length * np.einsum("nk,nk->n", self.factor, self.factor, dtype=np.float64)
        self.nearest = self.length.copy()

    def choose(self, row: Array, factor: Floats) -> None:
        """Take one gradient as a center."""
        own = float(np.dot(row, row) * np.dot(factor, factor))
        far = np.asarray(self.rows @ row, np.float64)
        far *= self.factor @ factor
        far *= -2
        far += self.length
        far += own
        far[far < 4e-6 * (self.length + own)] = 0
        np.minimum(self.nearest, far, out=self.nearest)


def drawn(
    rows: Array, factor: Floats, n: int, *, seed: Any, centers: tuple[Array, Floats] | None = None,
    cost: Floats | None = None,
) -> tuple[Ints, Floats]:  # fmt: skip
    """Return (n,) places and the share of the squared distance that each had when it was drawn.

    Args:
        rows: (M, D) features.
        factor: (M, K) of :func:`gradient_factor`.
        n: how many, at most M.
        seed: see :func:`select_badge`.
        centers: features and factors that are chosen already.
        cost: (M,) what a pick costs; the chance is divided by it.
    """
    rng = seed if hasattr(seed, "random") else np.random.default_rng(seed)
    order: list[int] = []
    shares: list[float] = []
    free = np.ones(len(rows)) if cost is None else 1 / np.asarray(cost, np.float64)
    with single_threaded_algebra():
        spread = _Spread(rows, factor)
        for row, part in zip(*centers, strict=True) if centers else ():
            spread.choose(row, part)
        begun = bool(centers and len(centers[0]))
        while len(order) < n:
            chance = spread.nearest * free
            total = chance.sum()
            if not total > 0:
                chance, total = free.copy(), free.sum()
            if order or begun:
                cumulated = np.cumsum(chance / total)
                pick = int(np.searchsorted(cumulated / cumulated[-1], rng.random(), side="right"))
            else:
                pick = int(chance.argmax())
            order.append(pick)
            shares.append(float(chance[pick] / total))
            spread.choose(rows[pick], factor[pick])
            free[pick] = 0.0
    return np.array(order, np.int64), np.array(shares)


@final
@dataclass(frozen=True, kw_only=True)
class Badge(AbstractQuery):
    """Ask about samples in doubt that differ: k-means++ on the gradients that their labels would cause.

    Use for batches: doubt makes gradients long, and k-means++ spreads them.
    Do not use before a model exists: take typi_clust or prob_cover for the first labels.
    Needs: embedding (N, D) and pred_probs (N, K) of the same model, out-of-sample.
    Source: Ash et al. 2020.

    Args:
        seed: of the draws.
    """

    needs: ClassVar[tuple[str, ...]] = ("embedding", "pred_probs")
    seed: int = 0

    def utility(self, pool: Pool) -> Floats:
        """Return (M,) share of the squared distance to the nearest gradient that was asked about."""
        rows, factor, centers = self._parts(pool)
        spread = _Spread(rows, factor)
        for row, part in zip(*centers, strict=True) if centers else ():
            spread.choose(row, part)
        return np.asarray(spread.nearest / (spread.nearest.sum() or 1.0))

    def rank(self, pool: Pool, n: int) -> Picks:
        """Return the draws."""
        rows, factor, centers = self._parts(pool)
        n = min(n, len(rows))
        places, shares = drawn(rows, factor, n, seed=self.seed, centers=centers, cost=pool.costs)
        return self.picks(pool, pool.candidates[places], shares)

    def _parts(self, pool: Pool) -> tuple[Array, Floats, tuple[Array, Floats] | None]:
        rows = pool.features if len(pool.candidates) == len(pool.labels) else pool.features[pool.candidates]
        factor = gradient_factor(pool.probs)
        if pool.pred_probs is None or not len(pool.asked):
            return rows, factor, None
        known = pool.asked[np.isfinite(pool.pred_probs[pool.asked]).all(axis=1)]
        return rows, factor, (pool.features[known], gradient_factor(pool.pred_probs[known]))

    def say(self, pool: Pool, rows: Ints, value: Floats) -> list[str]:  # noqa: ARG002  the shape of the base class
        """Return the reasons."""
        return [f"in doubt, {pool.likely(row)}, in another way than the samples chosen before it" for row in rows]
