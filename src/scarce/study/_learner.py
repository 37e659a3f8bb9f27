"""The models of a study: cheap enough to be fitted again after every round, on features that were computed once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import Any, Final, final

import numpy as np

from scarce.dataset import Array, Floats, Ints
from scarce.errors import UnknownNameError, unknown_name
from scarce.probe import LinearProbe, Projection, softmax

LANDMARKS: Final = 3000
"""Samples that carry the fully labelled kernel model where there are more."""
TEMPERATURES: Final = (2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0)
"""Factors from scores to logits that :class:`Kernel` chooses among."""


@dataclass(eq=False)
class Learner(ABC):
    """A model that gets labels in batches.

    Args:
        features: (N, D) float32 of the pool.
        judged: (M, D) float32 of the samples that it is judged on.
        classes: K.
    """

    features: Array
    judged: Array
    classes: int
    rows: Ints = field(default_factory=lambda: np.zeros(0, np.int64), init=False)
    codes: Ints = field(default_factory=lambda: np.zeros(0, np.int64), init=False)

    def learn(self, rows: Ints, codes: Ints) -> None:
        """Add labelled rows of the pool, and fit again."""
        self.rows, self.codes = np.concatenate([self.rows, rows]), np.concatenate([self.codes, codes])
        self._fit(rows)

    @abstractmethod
    def _fit(self, new: Ints) -> None:
        """Fit on all rows that are labelled; ``new`` are the last ones."""

    @abstractmethod
    def pool_probs(self) -> Floats:
        """Return (N, K) probabilities of the pool."""

    @abstractmethod
    def answers(self) -> Ints:
        """Return (M,) classes of the judged samples."""

    def full_answers(self, codes: Ints) -> Ints:
        """Return (M,) classes of the judged samples by a model of the same kind that knows all (N,) labels."""
        whole = replace(self)
        whole.learn(np.arange(len(self.features)), codes)
        return whole.answers()

    @property
    def model(self) -> Any:
        """The fitted model for strategies that ask it more; None = there is none."""
        return None


@final
@dataclass(eq=False)
class Linear(Learner):
    """The linear probe; its projection is fitted on the pool, without labels."""

    probe: LinearProbe = LinearProbe()  # noqa: RUF009  frozen
    projection: Projection | None = None
    _fitted: Any = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Fit the projection."""
        if self.projection is None:
            self.projection = Projection.fit(self.features[:: -(-len(self.features) // 20_000)])

    def _fit(self, new: Ints) -> None:  # noqa: ARG002  the shape of the base class
        self._fitted = self.probe.fit(self.features[self.rows], self.codes, self.classes, projection=self.projection)

    def pool_probs(self) -> Floats:
        """Return (N, K) probabilities of the pool."""
        return np.asarray(self._fitted.predict_proba(self.features), np.float32)

    def answers(self) -> Ints:
        """Return (M,) classes of the judged samples."""
        return np.asarray(self._fitted.logits(self.judged).argmax(axis=1))

    @property
    def model(self) -> Any:
        """The fitted probe."""
        return self._fitted


@final
@dataclass(eq=False)
class Kernel(Learner):
    """Ridge regression on a Gaussian kernel; one temperature, by the leave-one-out scores that it has in closed form.

    On frozen features it was 2.5 points above the linear probe at 300 and 1,000 labels, 7 at 100
    (``benchmarks/active_learning.py``). Kernel columns of labelled samples are kept: a round computes only new ones.

    Args:
        features, judged, classes: see :class:`Learner`.
        width: larger = the kernel is narrower; relative to the mean squared distance of the pool.
        ridge: weight of the penalty, > 0.
    """

    width: float = 2.0
    ridge: float = 0.05

    def __post_init__(self) -> None:
        """Measure the spread of the pool."""
        self._scale = max(2.0 * float(self.features.var(axis=0, dtype=np.float64).sum()), 1e-12)
        self._columns: dict[str, list[Array]] = {"pool": [], "judged": []}
        self._gram = np.zeros((0, 0))
        self._weights = np.zeros((0, self.classes))
        self._sharpness = TEMPERATURES[0]

    def _near(self, left: Array, right: Array) -> Array:
        far = -2.0 * (left @ right.T)
        far += np.einsum("nd,nd->n", left, left)[:, None]
        far += np.einsum("nd,nd->n", right, right)
        np.maximum(far, 0.0, out=far)
        far *= -self.width / self._scale
        return np.exp(far, out=far)

    def _fit(self, new: Ints) -> None:
        old, n = len(self.rows) - len(new), len(self.rows)
        cross = self._near(self.features[self.rows], self.features[new]).astype(np.float64)
        gram = np.empty((n, n))
        gram[:old, :old] = self._gram
        gram[:, old:] = cross
        gram[old:, :old] = cross[:old].T
        self._gram = gram
        truth = np.zeros((n, self.classes))
        truth[np.arange(n), self.codes] = 1.0
        truth -= 1.0 / self.classes
        inverse = np.linalg.inv(gram + self.ridge * np.eye(n))
        self._weights = inverse @ truth
        left_out = truth - self._weights / np.diag(inverse)[:, None]
        self._sharpness = min(
            TEMPERATURES,
            key=lambda factor: -np.log(softmax(factor * left_out)[np.arange(n), self.codes] + 1e-12).mean(),
        )

    def _scores(self, which: str) -> Floats:
        rows = self.features if which == "pool" else self.judged
        kept = self._columns[which]
        start = sum(part.shape[1] for part in kept)
        if start < len(self.rows):
            kept.append(self._near(rows, self.features[self.rows[start:]]))
        weights, total, start = self._weights.astype(np.float32), np.zeros((len(rows), self.classes), np.float32), 0
        for part in kept:
            total += part @ weights[start : start + part.shape[1]]
            start += part.shape[1]
        return total

    def full_answers(self, codes: Ints) -> Ints:
        """Return the answers of the model that knows all labels; of more than ``LANDMARKS``, on as many drawn ones."""
        n = len(self.features)
        if n <= LANDMARKS:
            return super().full_answers(codes)
        marks = self.features[np.random.default_rng(0).choice(n, LANDMARKS, replace=False)]
        power, product = np.zeros((LANDMARKS, LANDMARKS)), np.zeros((LANDMARKS, self.classes))
        for start in range(0, n, LANDMARKS):
            part = self._near(self.features[start : start + LANDMARKS], marks)
            power += part.T @ part
            truth = np.eye(self.classes)[codes[start : start + LANDMARKS]] - 1.0 / self.classes
            product += part.T @ truth
        system = power + self.ridge * self._near(marks, marks) + 1e-6 * n * np.eye(LANDMARKS)
        weights = np.linalg.solve(system, product)
        return np.asarray((self._near(self.judged, marks) @ weights).argmax(axis=1))

    def pool_probs(self) -> Floats:
        """Return (N, K) probabilities of the pool."""
        return np.asarray(softmax(self._sharpness * self._scores("pool")))

    def judged_probs(self) -> Floats:
        """Return (M, K) probabilities of the judged samples."""
        return np.asarray(softmax(self._sharpness * self._scores("judged")))

    def answers(self) -> Ints:
        """Return (M,) classes of the judged samples."""
        return np.asarray(self._scores("judged").argmax(axis=1))


LEARNERS: Final = {"linear": Linear, "kernel": Kernel}


def learner(name: str, features: Array, judged: Array, classes: int) -> Learner:
    """Return a model by name: ``linear`` or ``kernel``.

    Raises:
        UnknownNameError: there is no such model.
    """
    if name not in LEARNERS:
        raise unknown_learner(name)
    made: Learner = LEARNERS[name](features, judged, classes)
    return made


def unknown_learner(name: str) -> UnknownNameError:
    """Return the error for a model that does not exist."""
    return unknown_name("study", "model", name, tuple(LEARNERS))
