"""The metric that the user chooses by name, from probabilities, plain and with bootstrap weights.

``get(name)(y, probs, setting) -> float`` and ``weighted(name)(y, probs, weights, setting) -> (B,)``; the second gives
for a row of ones what the first gives, and for counts what the first gives on the repeated samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from scarce.dataset import Array, Floats, Ints
from scarce.errors import DataError, unknown_name

_BLOCK = 4_000_000


@dataclass(frozen=True)
class Setting:
    """What a metric must know beside labels and probabilities.

    Args:
        normal: codes of the sound classes; empty if none is known.
        rare: codes of the rare classes; None = found from the labels by :func:`rare_codes`.
        false_positive_rate: highest share of sound samples that may be flagged (``recall_at_fpr``).
    """

    normal: tuple[int, ...] = ()
    rare: tuple[int, ...] | None = None
    false_positive_rate: float = 0.01

    def rare_of(self, y: Array, n_classes: int) -> tuple[int, ...]:
        """Return the rare classes."""
        return rare_codes(np.bincount(y, minlength=n_classes), self.normal) if self.rare is None else self.rare


class Metric(Protocol):
    """``metric(y (N,), probs (N, K), setting=None) -> float``, higher = better."""

    def __call__(self, y: Array, probs: Array, setting: Setting | None = None, /) -> float:
        """Return the score."""


class WeightedMetric(Protocol):
    """``metric(y (N,), probs (N, K), weights (B, N), setting=None) -> (B,)``, higher = better."""

    def __call__(self, y: Array, probs: Array, weights: Array, setting: Setting | None = None, /) -> Floats:
        """Return (B,) scores."""


def rare_codes(counts: Array, normal: Sequence[int] = ()) -> tuple[int, ...]:
    """Return the codes of the rare classes: at most half of an equal share, never a normal one.

    Where no class is that rare, all classes that are not normal count.
    """
    counts = np.asarray(counts, np.float64)
    share = counts / max(counts.sum(), 1.0)
    others = [code for code in range(len(counts)) if code not in set(normal)]
    rare = [code for code in others if share[code] <= 0.5 / len(counts)]
    return tuple(rare or others or range(len(counts)))


def weighted_balanced_accuracy(
    y: Array,
    probs: Array,
    weights: Array,
    setting: Setting | None = None,  # noqa: ARG001 - one signature for all
) -> Floats:
    """Return (B,) mean recall of the arg-max decision over the classes that have weight."""
    support, _, right = _tallies(y, probs, weights)
    return _mean(right, support, support > 0)


def weighted_macro_f1(
    y: Array,
    probs: Array,
    weights: Array,
    setting: Setting | None = None,  # noqa: ARG001 - one signature for all
) -> Floats:
    """Return (B,) mean F1 of the arg-max decision over the classes that occur as label or prediction."""
    support, predicted, right = _tallies(y, probs, weights)
    return _mean(2 * right, support + predicted, support + predicted > 0)


def weighted_rare_average_precision(y: Array, probs: Array, weights: Array, setting: Setting | None = None) -> Floats:
    """Return (B,) mean average precision of the rare classes, each against the rest."""
    y, probs = _checked(y, probs)
    rare = (setting or Setting()).rare_of(y, probs.shape[1])
    weights = _matrix(weights, len(y))
    return _over(rare, y, probs, lambda positive, score: _average_precision(positive, score, weights))


def weighted_recall_at_fpr(y: Array, probs: Array, weights: Array, setting: Setting | None = None) -> Floats:
    """Return (B,) highest recall of defects (score 1 - p(normal)) at the wanted false-alarm rate.

    Without a normal class: the mean over the rare classes, each against the rest.
    """
    y, probs = _checked(y, probs)
    setting = setting or Setting()
    rate = setting.false_positive_rate
    weights = _matrix(weights, len(y))

    if setting.normal:
        normal = list(setting.normal)
        return _recall_at(~np.isin(y, normal), 1 - probs[:, normal].sum(1), weights, rate)
    rare = setting.rare_of(y, probs.shape[1])
    return _over(rare, y, probs, lambda positive, score: _recall_at(positive, score, weights, rate))


_WEIGHTED: Final[dict[str, WeightedMetric]] = {
    "balanced_accuracy": weighted_balanced_accuracy,
    "macro_f1": weighted_macro_f1,
    "rare_average_precision": weighted_rare_average_precision,
    "recall_at_fpr": weighted_recall_at_fpr,
}
METRICS: Final = tuple(_WEIGHTED)
"""Names of the metrics that a user may choose; the first is the default."""
_MEANING: Final = {
    "balanced_accuracy": "balanced accuracy (mean recall over classes)",
    "macro_f1": "macro-F1 (mean F1 over classes)",
    "rare_average_precision": "mean average precision of the rare classes",
    "recall_at_fpr": "recall of defects at the wanted false-alarm rate",
}


def weighted(name: str) -> WeightedMetric:
    """Return the metric that takes (y (N,), probs (N, K), weights (B, N), setting) and gives (B,).

    Raises:
        UnknownNameError: no metric of that name.
    """
    key = name.strip().lower().replace("-", "_").replace(" ", "_")
    if key not in _WEIGHTED:
        raise unknown_name("metric", "metric", name, METRICS)
    return _WEIGHTED[key]


def get(name: str) -> Metric:
    """Return the metric that takes (y (N,), probs (N, K), setting) and gives one number, higher = better.

    Raises:
        UnknownNameError: no metric of that name.
    """
    inner = weighted(name)

    def metric(y: Array, probs: Array, setting: Setting | None = None) -> float:
        return float(inner(y, probs, np.ones((1, len(y)), np.float32), setting)[0])

    return metric


def describe(name: str) -> str:
    """Return what a metric means, in a few words."""
    weighted(name)
    return _MEANING[name.strip().lower().replace("-", "_").replace(" ", "_")]


def _checked(y: Array, probs: Array) -> tuple[Ints, Array]:
    y, probs = np.asarray(y, np.int64), np.asarray(probs)
    if probs.ndim != 2 or len(probs) != len(y):
        raise DataError("metric", f"probabilities of shape {probs.shape} for {len(y)} labels", do="give (N, K)")
    if len(y) and (y.min() < 0 or y.max() >= probs.shape[1]):
        bad = y.min() if y.min() < 0 else y.max()
        raise DataError("metric", f"label code {bad}", f"there are {probs.shape[1]} classes")
    return y, probs


def _matrix(weights: Array, n: int) -> Array:
    """Return (N, B) weights, float32 but for float64: counts add up exactly in both."""
    weights = np.asarray(weights)
    if weights.ndim != 2 or weights.shape[1] != n:
        raise DataError("metric", f"weights of shape {weights.shape} for {n} labels", do="give (B, N)")
    return np.ascontiguousarray(weights.T, np.float64 if weights.dtype == np.float64 else np.float32)


def _tallies(y: Array, probs: Array, weights: Array) -> tuple[Floats, Floats, Floats]:
    """Return (B, K) weight of each class as label, as prediction, and as both."""
    from scipy.sparse import csr_array

    y, probs = _checked(y, probs)
    n, k = probs.shape
    weights = _matrix(weights, n)
    pred = probs.argmax(1) if n else np.zeros(0, np.int64)
    hit = np.flatnonzero(y == pred)
    rows = np.concatenate([y, k + pred, 2 * k + y[hit]])
    members = np.concatenate([np.arange(n), np.arange(n), hit])
    choose = csr_array((np.ones(len(rows), weights.dtype), (rows, members)), shape=(3 * k, n))
    sums = np.asarray(choose @ weights, np.float64).reshape(3, k, weights.shape[1])
    return sums[0].T, sums[1].T, sums[2].T


def _mean(top: Array, bottom: Array, present: Array) -> Floats:
    values = np.divide(top, bottom, out=np.zeros_like(top), where=present)
    count = present.sum(1)
    return np.where(count > 0, values.sum(1) / np.maximum(count, 1), np.nan)


def _over(codes: Sequence[int], y: Array, probs: Array, score: Callable[[Array, Array], Floats]) -> Floats:
    found = np.array([score(y == code, probs[:, code]) for code in codes])
    known = np.isfinite(found)
    count = known.sum(0)
    return np.where(count > 0, np.where(known, found, 0).sum(0) / np.maximum(count, 1), np.nan)


def _cumulated(positive: Array, score: Array, weights: Array) -> tuple[Floats, Floats]:
    """Return (S, B) weight of positives and of all samples at or above each distinct score that a positive has.

    Recall changes nowhere else, so a rare class costs one pass over the weights and no cumulated (B, N) matrix.
    """
    from scipy.sparse import csr_array

    n = len(positive)
    order = np.argsort(-np.asarray(score), kind="stable")
    level = np.cumsum(np.diff(score[order], prepend=np.inf) != 0) - 1
    holds = np.flatnonzero(np.bincount(level[positive[order]], minlength=level[-1] + 1))
    segment = np.searchsorted(holds, level)
    inside = segment < len(holds)
    cells = (segment[inside], order[inside])
    ones = np.ones(len(cells[0]), weights.dtype)
    found = csr_array((ones * positive[cells[1]], cells), shape=(len(holds), n)) @ weights
    taken = csr_array((ones, cells), shape=(len(holds), n)) @ weights
    return np.cumsum(found, axis=0, dtype=np.float64), np.cumsum(taken, axis=0, dtype=np.float64)


def _average_precision(positive: Array, score: Array, weights: Array) -> Floats:
    """Return (B,) from transposed weights (N, B)."""
    if not positive.any():
        return np.full(weights.shape[1], np.nan)
    parts = []
    for block in _blocks(weights, int(positive.sum())):
        found, taken = _cumulated(positive, score, block)
        gained = np.diff(found, axis=0, prepend=0)
        precision = np.divide(found, taken, out=np.zeros_like(found), where=taken > 0)
        total = found[-1]
        parts.append(np.where(total > 0, (gained * precision).sum(0) / np.where(total > 0, total, 1), np.nan))
    return np.concatenate(parts)


def _recall_at(positive: Array, score: Array, weights: Array, rate: float) -> Floats:
    """Return (B,) from transposed weights (N, B)."""
    if not positive.any() or positive.all():
        return np.full(weights.shape[1], np.nan)
    parts = []
    for block in _blocks(weights, int(positive.sum())):
        found, taken = _cumulated(positive, score, block)
        total, negatives = found[-1], block.sum(0, dtype=np.float64) - found[-1]
        place = (taken - found <= rate * negatives + 1e-9).sum(0)
        reached = np.where(place > 0, found[np.maximum(place - 1, 0), np.arange(found.shape[1])], 0.0)
        judged = (total > 0) & (negatives > 0)
        parts.append(np.where(judged, reached / np.where(judged, total, 1), np.nan))
    return np.concatenate(parts)


def _blocks(weights: Array, rows: int) -> Iterator[Array]:
    size = max(1, _BLOCK // max(rows, 1))
    for start in range(0, max(weights.shape[1], 1), size):
        yield weights[:, start : start + size]
