"""Samples of the class that we lack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from scarce.dataset import Array, Floats, Ints
from scarce.errors import unknown_name
from scarce.execute.local import single_threaded_algebra
from scarce.label.query._base import AbstractQuery, Pool
from scarce.label.query._farthest import Race

TRUST = 5.0
"""With so many labels of the class the model counts as much as the neighborhood."""
SAMPLE, NEIGHBORS = 2000, 10


def distance_to(rows: Array, candidates: Ints, centers: Ints) -> tuple[Floats, Ints]:
    """Return (M,) distance of the candidates to the nearest center, and which that is; inf and -1 without one."""
    with single_threaded_algebra():
        race = Race(rows=rows, entrants=candidates, centers=centers.tolist())
    return np.sqrt(np.asarray(race.square, np.float64)), np.asarray(race.nearest, np.int64)


def rare_class_utility(
    embeddings: Array, labels: Ints, candidates: Ints, rare: Ints, *, pred_probs: Array | None = None
) -> Floats:
    """Return (M,) how likely each candidate shows a class that we lack, in [0, 1]: 1 = ask first.

    With n labels of such classes the model counts n / (n + 5) and the neighborhood the rest: the distance to the
    nearest other label over the sum of it and the distance to the nearest rare one. Without any label of them, what is
    unlike everything labeled comes first; without any label at all, what is unlike its neighbors.

    Args:
        embeddings: (N, D) finite features.
        labels: (N,) class codes; -1 = no label.
        candidates: (M,) row numbers.
        rare: codes of the classes that are sought.
        pred_probs: (M, K) of the candidates, or None.
    """
    sought = np.isin(labels, rare)
    few, others = np.flatnonzero(sought), np.flatnonzero((labels >= 0) & ~sought)
    if not len(candidates):
        return np.zeros(0)
    if not len(few):
        unlike = distance_to(embeddings, candidates, others)[0] if len(others) else _alone(embeddings, candidates)
        return _shares(unlike)
    near = distance_to(embeddings, candidates, few)[0]
    far = distance_to(embeddings, candidates, others)[0] if len(others) else np.full(len(near), np.median(near))
    together = near + far
    close = np.divide(far, together, out=np.full(len(near), 0.5), where=together > 0)
    if pred_probs is None:
        return np.asarray(close)
    trust = len(few) / (len(few) + TRUST)
    probs: Floats = np.nan_to_num(pred_probs[:, np.asarray(rare, np.int64)].sum(axis=1))
    return np.asarray(np.clip(trust * probs + (1 - trust) * close, 0, 1))


def _shares(far: Floats) -> Floats:
    top = float(far.max(initial=0))
    return np.asarray(far / top) if top > 0 else np.zeros(len(far))


def _alone(rows: Array, candidates: Ints) -> Floats:
    """Return (M,) distance to the tenth neighbor among a sample of the candidates."""
    sample = np.asarray(rows[candidates[:: max(1, len(candidates) // SAMPLE)]], np.float32)
    length = np.einsum("nd,nd->n", sample, sample)
    k = min(NEIGHBORS, len(sample) - 1)
    out = np.zeros(len(candidates))
    for start in range(0, len(candidates), 1024):
        part = np.asarray(rows[candidates[start : start + 1024]], np.float32)
        far = length[None] + np.einsum("nd,nd->n", part, part)[:, None] - 2 * (part @ sample.T)
        out[start : start + 1024] = np.sqrt(np.maximum(np.partition(far, k, axis=1)[:, k], 0))
    return out


def rarest(labels: Ints, n_classes: int) -> Ints:
    """Return the codes of the classes with fewer labels than a quarter of an even share, or else the smallest."""
    count = np.bincount(labels[labels >= 0], minlength=n_classes)[:n_classes]
    few = np.flatnonzero(4 * count < count.sum() / max(n_classes, 1))
    return few if len(few) else np.flatnonzero(count == count.min(initial=0))


@final
@dataclass(frozen=True, kw_only=True)
class RareClass(AbstractQuery):
    """Seek samples of the classes that we lack, by the model and by the neighborhood of the few labels that we have.

    Use when a class has few labels and the pool holds more of it; works with 0, 1 or few labels of it.
    Do not use to estimate how frequent a class is: what it finds is chosen.
    Needs: embedding (N, D); takes pred_probs (N, K) where there are some.

    Args:
        classes: names of the classes that are sought; empty = those with fewer labels than a quarter of an even share,
            or the one with the fewest.
    """

    needs: ClassVar[tuple[str, ...]] = ("embedding", "pred_probs?")
    classes: tuple[str, ...] = ()

    def sought(self, pool: Pool) -> Ints:
        """Return the codes of the classes that are sought.

        Raises:
            UnknownNameError: there is no such class.
        """
        if not self.classes:
            return rarest(pool.labels, len(pool.classes))
        for name in self.classes:
            if name not in pool.classes:
                raise unknown_name("label.query.rare_class", "class", name, pool.classes)
        return np.array([pool.classes.index(name) for name in self.classes], np.int64)

    def utility(self, pool: Pool) -> Floats:
        """Return (M,) in [0, 1]; 1 = ask first."""
        probs = None if pool.pred_probs is None else pool.probs
        return rare_class_utility(pool.features, pool.labels, pool.candidates, self.sought(pool), pred_probs=probs)

    def say(self, pool: Pool, rows: Ints, value: Floats) -> list[str]:  # noqa: ARG002  the shape of the base class
        """Return the reasons."""
        rare = self.sought(pool)
        named = " or ".join(pool.classes[code] for code in rare[:3]) or "a class that we lack"
        few = np.flatnonzero(np.isin(pool.labels, rare))
        if not len(few):
            what = "unlike everything that is labeled" if len(pool.labeled) else "unlike its neighbors"
            return [f"{what}, and {named} has no label yet"] * len(rows)
        near = few[distance_to(pool.features, rows, few)[1]]
        out = []
        for row, like in zip(rows, near, strict=True):
            share = "" if pool.pred_probs is None else f" (p = {pool.pred_probs[row][rare].sum():.2f})"
            out.append(f"may be {named}{share}, which has {len(few)} labels; like {pool.name(like)}")
        return out
