"""The frame of a strategy: the pool that it sees, the hooks that it fills, and what it returns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np

from scarce.dataset import Array, Floats, Ints
from scarce.errors import DataError
from scarce.registry import Plugin


def _no_rows() -> Ints:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False, kw_only=True)
class Pool:
    """What a strategy sees of N samples, labeled and not.

    Attributes:
        labels: (N,) class codes; -1 = no label.
        candidates: (M,) row numbers that may be asked about, each once.
        asked: row numbers that were asked about and have no answer yet; they count as covered.
        embeddings: (N, D) features, finite at candidates, labeled and asked rows; None = there are none.
        pred_probs: (N, K) out-of-sample probabilities, right at candidates; None = there is no model.
        classes: K class names.
        names: (N,) what people call the samples, for reasons.
        cost: (N,) cost of a label, > 0; None = all the same.
        model: the fitted model behind ``pred_probs``, for strategies that ask it more.
    """

    labels: Ints
    candidates: Ints
    asked: Ints = field(default_factory=_no_rows)
    embeddings: Array | None = None
    pred_probs: Array | None = None
    classes: tuple[str, ...] = ()
    names: Array | None = None
    cost: Floats | None = None
    model: Any = None

    @cached_property
    def labeled(self) -> Ints:
        """Row numbers that have a label."""
        return np.flatnonzero(self.labels >= 0)

    @cached_property
    def covered(self) -> Ints:
        """Row numbers that have a label or were asked about."""
        return np.concatenate([self.labeled, self.asked])

    @property
    def features(self) -> Array:
        """(N, D) features.

        Raises:
            DataError: there are none.
        """
        if self.embeddings is None:
            raise DataError("label.query", "this strategy looks at features and there are none", do="run scarce encode")
        return self.embeddings

    @property
    def probs(self) -> Array:
        """(M, K) probabilities of the candidates.

        Raises:
            DataError: there are none.
        """
        if self.pred_probs is None:
            raise DataError(
                "label.query", "this strategy looks at predictions and there is no model",
                f"{len(self.labeled)} samples have a label",
                "label samples of two classes first: typi_clust, prob_cover and random need no model",
            )  # fmt: skip
        return self.pred_probs[self.candidates]

    @property
    def costs(self) -> Floats | None:
        """(M,) cost of the candidates; None = all the same."""
        return None if self.cost is None else self.cost[self.candidates]

    def asking(self, rows: Ints) -> Self:
        """Return the pool after these rows were asked about."""
        left = self.candidates[~np.isin(self.candidates, rows)]
        return replace(self, candidates=left, asked=np.concatenate([self.asked, rows]))

    def name(self, row: int) -> str:
        """Return what people call a sample."""
        return str(row) if self.names is None else str(self.names[row])

    def likely(self, row: int, most: int = 2) -> str:
        """Return the likeliest classes of a row with their probabilities, for people."""
        if self.pred_probs is None:
            return "nothing is predicted"
        probs = self.pred_probs[row]
        order = np.argsort(-probs, kind="stable")[:most]
        named = self.classes or tuple(str(code) for code in range(len(probs)))
        return " or ".join(f"{named[code]} ({probs[code]:.2f})" for code in order)


@dataclass(frozen=True, eq=False)
class Picks:
    """What a strategy chose, first to be asked first.

    Attributes:
        rows: (n,) row numbers of the pool.
        value: (n,) utility of each when it was chosen.
        why: (n,) one sentence each.
    """

    rows: Ints
    value: Floats
    why: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class AbstractQuery(Plugin, ABC):
    """Base of every strategy. ``needs`` names ``embedding``, ``pred_probs`` or both.

    A strategy that draws has a field ``seed``. Where labels cost differently, utility per cost decides.
    """

    @abstractmethod
    def utility(self, pool: Pool) -> Floats:
        """Return (M,) how much each candidate is worth being asked about next; larger = ask first, NaN = never."""

    @abstractmethod
    def say(self, pool: Pool, rows: Ints, value: Floats) -> list[str]:
        """Return one sentence for each row: why it was chosen.

        Args:
            pool: as it was when they were chosen.
            rows: (n,) row numbers, in order.
            value: (n,) their utilities.
        """

    def rank(self, pool: Pool, n: int) -> Picks:
        """Return up to n picks, the most useful first; strategies whose picks depend on one another do it their way."""
        value = np.asarray(self.utility(pool))
        rows = best(value, pool.costs, n)
        return self.picks(pool, pool.candidates[rows], value[rows])

    def picks(self, pool: Pool, rows: Ints, value: Floats) -> Picks:
        """Return the picks with their reasons."""
        return Picks(rows, value, tuple(self.say(pool, rows, value)))

    def query(  # noqa: PLR0913  the shape of scikit-activeml
        self,
        X: Array,
        y: Any,
        clf: Any = None,
        *,
        fit_clf: bool = True,
        candidates: Any = None,
        batch_size: int = 1,
        return_utilities: bool = False,
    ) -> Any:
        """Return the row numbers to ask about next, in the shape of scikit-activeml.

        Args:
            X: (N, D) features.
            y: (N,) labels of any kind; NaN, None, or -1 among whole numbers = not labeled.
            clf: a classifier with ``fit`` and ``predict_proba``, given rows with a label only; None = a linear probe.
            fit_clf: whether a copy of it is fitted first.
            candidates: (M,) row numbers, or (M, D) other samples; None = all rows without a label.
            batch_size: B; no more than there are candidates.
            return_utilities: also return (B, N) utilities, each row as it was before that pick; NaN = no candidate.

        Returns:
            (B,) row numbers of ``X``, or of ``candidates`` if those are samples; with the utilities as a second value.

        Raises:
            DataError: nothing is left to ask about, or shapes do not fit.
        """
        from scarce.label.query import _arrays

        pool, first = _arrays.pool_of(X, y, self.needs, model=(clf, fit_clf), candidates=candidates)
        found = self.rank(pool, batch_size).rows
        if not return_utilities:
            return found - first
        out = np.full((len(found), len(pool.labels) - first), np.nan)
        for place in range(len(found)):
            now = pool.asking(found[:place]) if place else pool
            out[place, now.candidates - first] = self.utility(now)
        return found - first, out


def best(value: Floats, cost: Floats | None, n: int) -> Ints:
    """Return the places of the n largest utilities per cost, ties in order; NaN is left out."""
    score = np.asarray(value, np.float64) if cost is None else value / cost
    known = np.flatnonzero(np.isfinite(score))
    if n < len(known) // 8:
        cut = np.partition(score[known], len(known) - n)[len(known) - n] if n else np.inf
        known = known[score[known] >= cut]
    return known[np.argsort(-score[known], kind="stable")[:n]]
