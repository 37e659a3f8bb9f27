"""Decisions from probabilities that were learnt under imbalance: moved thresholds, other priors, costs of errors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scarce.dataset import Array, Floats, Ints
from scarce.errors import ConfigError, DataError

WHO = "rebalance.threshold"
ROUNDS = 20


def moved_prior(probs: Array, before: Sequence[float] | Array, after: Sequence[float] | Array | None = None) -> Floats:
    """Return (N, K) probabilities as they are where the classes have other shares.

    With logits this is logit adjustment after training: ``log p + log(after / before)``.

    Args:
        probs: (N, K), learnt where the classes had the shares ``before``.
        before: (K,) shares or counts of the training samples; a class without one counts as half a sample.
        after: (K,) shares in the field; None = equal.

    Raises:
        DataError: shapes that do not fit, or shares below 0.

    Source: Elkan 2001, theorem 2; Menon et al. 2021, section 4 (post hoc).
    """
    probs = _checked(probs)
    old = _shares("before", before, probs.shape[1])
    new = np.full(probs.shape[1], 1.0) if after is None else _shares("after", after, probs.shape[1])
    out = probs * (new / new.sum()) / (old / old.sum())
    return np.asarray(out / np.maximum(out.sum(axis=1, keepdims=True), 1e-300))


def cheapest(probs: Array, costs: Array) -> Ints:
    """Return (N,) classes of least expected cost.

    Args:
        probs: (N, K), calibrated.
        costs: (K, K), ``costs[i, j]`` is what answering j costs where i is true; right answers usually cost 0.

    Raises:
        DataError: shapes that do not fit, or costs that are not finite.

    Source: Elkan 2001, The Foundations of Cost-Sensitive Learning, equation 1.
    """
    probs = _checked(probs)
    matrix = np.asarray(costs, np.float64)
    if matrix.shape != (probs.shape[1],) * 2 or not np.isfinite(matrix).all():
        raise DataError(WHO, f"costs have shape {matrix.shape} for {probs.shape[1]} classes, or are not finite",
                        do="give one row for every true class and one column for every answer")  # fmt: skip
    return np.asarray((probs @ matrix).argmin(axis=1), np.int64)


def fit_factors(labels: Array, probs: Array) -> Floats:
    """Return (K,) factors of the classes for which ``(factors * p).argmax()`` has the best balanced accuracy.

    One class after another takes the factor that is best while the others stand, until nothing changes: a threshold for
    every class. The lowest balanced accuracy that this can end at is that of the probabilities as they are.

    Args:
        labels: (N,) codes.
        probs: (N, K) of samples that the model was not fitted on; out of fold, never the test set.

    Raises:
        DataError: shapes that do not fit, or labels of one class only.
    """
    probs, labels = _checked(probs), np.asarray(labels, np.int64)
    if labels.shape != (len(probs),) or len(np.unique(labels)) < 2 or labels.min() < 0:
        raise DataError(WHO, f"{labels.shape} labels for {len(probs)} rows", do="give codes of two classes or more")
    weight = 1.0 / np.bincount(labels, minlength=probs.shape[1])[labels] / len(np.unique(labels))
    factors = np.ones(probs.shape[1])
    for _ in range(ROUNDS):
        before = factors.copy()
        for code in np.unique(labels):
            factors[code] = _best_factor(probs, labels, weight, factors, int(code))
        if np.allclose(before, factors):
            break
    return np.asarray(factors / factors.max())


def _best_factor(probs: Floats, labels: Ints, weight: Floats, factors: Floats, code: int) -> float:
    """Return the factor of one class that gives the most, of equally good ones the nearest to what it is."""
    scores = probs * factors
    scores[:, code] = -1.0
    rival = scores.argmax(axis=1)
    edge = scores.max(axis=1) / np.maximum(probs[:, code], 1e-300)
    order = np.argsort(edge, kind="stable")
    gain = weight * ((labels == code).astype(float) - (labels == rival))
    total = np.concatenate([[0.0], np.cumsum(gain[order])])
    ends = np.concatenate([[edge[order[0]] / 2], edge[order], [edge[order[-1]] * 2]])
    real = np.concatenate([[True], np.diff(edge[order]) > 0, [True]])
    middle = np.sqrt(np.maximum(ends[:-1], 1e-300) * np.maximum(ends[1:], 1e-300))
    value = np.where(real, total, -np.inf)
    current = total[np.searchsorted(edge[order], factors[code])]
    if value.max() <= current + 1e-12:
        return float(factors[code])
    best = np.flatnonzero(value >= value.max() - 1e-12)
    return float(middle[best[np.abs(np.log(middle[best] / factors[code])).argmin()]])


def _checked(probs: Array) -> Floats:
    probs = np.asarray(probs, np.float64)
    if probs.ndim != 2 or not np.isfinite(probs).all() or (probs < 0).any():
        raise DataError(WHO, f"probabilities of shape {probs.shape} are not (N, K) numbers >= 0")
    return probs


def _shares(name: str, values: Sequence[float] | Array, classes: int) -> Floats:
    shares = np.asarray(values, np.float64)
    if shares.shape != (classes,) or not np.isfinite(shares).all() or (shares < 0).any() or not shares.any():
        raise ConfigError(WHO, f"{name} = {shares.tolist()}", f"there are {classes} classes",
                          "give one number >= 0 for each class, not all 0")  # fmt: skip
    return np.maximum(shares, 0.5 if shares.sum() > 1.5 else 1e-9)
