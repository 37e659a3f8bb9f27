"""The shape of modAL: a learner that queries and is taught."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias

import numpy as np

from scarce import registry
from scarce.dataset import Array, Ints
from scarce.errors import DataError
from scarce.label.query._arrays import checked_count
from scarce.label.query._base import AbstractQuery

Strategy: TypeAlias = str | AbstractQuery | Callable[..., Any]


@dataclass(eq=False)
class ActiveLearner:
    """A classifier together with the strategy that chooses what it is taught next.

    Works with every classifier of scikit-learn that has ``predict_proba``.

    Args:
        estimator: a classifier; it is fitted here.
        query_strategy: the name of a strategy (``margin``), a strategy, or a function ``(learner, X, n_instances=...)``
            that returns row numbers, as modAL's do.
        X_training: (L, D) first samples with a label, or None.
        y_training: (L,) their labels.
        seed: of strategies that draw and are given by name.

    Example:
        >>> from sklearn.linear_model import LogisticRegression
        >>> learner = ActiveLearner(LogisticRegression(), "margin", [[0.0], [1.0]], ["a", "b"])
        >>> rows, samples = learner.query([[0.1], [0.5], [2.0]])
        >>> rows.tolist()
        [1]
    """

    estimator: Any
    query_strategy: Strategy = "margin"
    X_training: Any = None
    y_training: Any = None
    seed: int = 0
    fitted: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        """Fit on the first samples."""
        if isinstance(self.query_strategy, str):
            name = self.query_strategy
            kind: type[AbstractQuery] = registry.load("label.query", name, AbstractQuery)  # type: ignore[type-abstract]
            draws = any(item.name == "seed" for item in fields(kind))
            self.query_strategy = kind(**({"seed": self.seed} if draws else {}))
        X, y, self.X_training, self.y_training = self.X_training, self.y_training, None, None
        if (X is None) != (y is None):
            raise DataError("label.query.learner", "X_training and y_training belong together", do="give both or none")
        if X is not None:
            self.teach(X, y)

    def query(self, X_pool: Any, n_instances: int = 1) -> tuple[Ints, Array]:
        """Return (n,) row numbers of the pool to ask about, and these samples.

        Raises:
            DataError: the pool is empty, or the strategy needs a model and nothing was taught yet.
        """
        pool = np.asarray(X_pool)
        n = checked_count(n_instances, len(pool))
        if isinstance(self.query_strategy, AbstractQuery):
            rows = self._asked(self.query_strategy, pool, n)
        else:
            assert callable(self.query_strategy)
            rows = self.query_strategy(self, pool, n_instances=n)
            rows = np.asarray(rows[0] if isinstance(rows, tuple) else rows)
        return rows, pool[rows]

    def _asked(self, strategy: AbstractQuery, pool: Array, n: int) -> Ints:
        if "pred_probs" in strategy.needs and not self.fitted:
            raise DataError(
                "label.query.learner", f"{strategy.plugin_name()} needs a model, and nothing was taught yet",
                do="teach samples of two classes first, or take typi_clust or random",
            )  # fmt: skip
        known = np.zeros((0, pool.shape[1])) if self.X_training is None else self.X_training
        y = np.zeros(0) if self.y_training is None else self.y_training
        missing = [None] * len(pool)
        labels = np.array([*np.asarray(y, object), *missing], object)
        rows: Ints = strategy.query(
            np.concatenate([known, pool]), labels, self.estimator if self.fitted else None, fit_clf=False,
            candidates=np.arange(len(known), len(known) + len(pool)), batch_size=n,
        )  # fmt: skip
        return rows - len(known)

    def teach(self, X: Any, y: Any, *, only_new: bool = False, **fit: Any) -> None:
        """Add samples with labels and fit again on all of them.

        Args:
            X: (n, D) samples.
            y: (n,) labels.
            only_new: fit on the new ones only, for estimators that go on from where they are.
            **fit: passed to the estimator's ``fit``.

        Raises:
            DataError: not one label a sample.
        """
        new, labels = np.asarray(X), np.asarray(y)
        if len(new) != len(labels) or not len(new):
            raise DataError("label.query.learner", f"{len(new)} samples and {len(labels)} labels", do="give one each")
        self.X_training = new if self.X_training is None else np.concatenate([self.X_training, new])
        self.y_training = labels if self.y_training is None else np.concatenate([self.y_training, labels])
        if only_new:
            self.estimator.fit(new, labels, **fit)
        else:
            self.estimator.fit(self.X_training, self.y_training, **fit)
        self.fitted = True

    def score(self, X: Any, y: Any, **options: Any) -> float:
        """Return the estimator's score on samples with labels."""
        return float(self.estimator.score(np.asarray(X), np.asarray(y), **options))

    def predict(self, X: Any) -> Array:
        """Return the estimator's classes."""
        return np.asarray(self.estimator.predict(np.asarray(X)))

    def predict_proba(self, X: Any) -> Array:
        """Return the estimator's (N, K) probabilities."""
        return np.asarray(self.estimator.predict_proba(np.asarray(X)))
