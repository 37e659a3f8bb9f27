"""How honest probabilities are, and the one number that mends most of it.

A model is calibrated if, of the samples it calls with 80 % confidence, 80 % are right. All functions are pure NumPy;
``scarce.evaluate.calibration`` reports them with intervals, trainers use :func:`fit_temperature` on validation data.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scarce.dataset import Array, Floats
from scarce.errors import DataError

LOWEST, HIGHEST = 0.05, 20.0
"""Range of the temperature."""


class Reliability(NamedTuple):
    """Bins of equal size over the confidence (top probability), lowest first; all (B,).

    Attributes:
        confidence: mean top probability.
        accuracy: share of right answers.
        samples: in the bin.
    """

    confidence: Floats
    accuracy: Floats
    samples: Floats


def brier_score(labels: Array, pred_probs: Array) -> float:
    """Return the mean squared distance of (N, K) probabilities from the truth, 0 best, 2 worst.

    Source: Brier 1950 (the original form over all classes).
    """
    labels, probs = _checked(labels, pred_probs)
    truth = np.zeros_like(probs)
    truth[np.arange(len(labels)), labels] = 1.0
    return float(((probs - truth) ** 2).sum(1).mean()) if len(labels) else float("nan")


def reliability(labels: Array, pred_probs: Array, *, bins: int = 15) -> Reliability:
    """Return the reliability bins: equal numbers of samples in each (adaptive), so that none is empty.

    Args:
        labels: (N,) true codes.
        pred_probs: (N, K) probabilities.
        bins: at most this many; fewer where there are fewer samples.
    """
    labels, probs = _checked(labels, pred_probs)
    order = np.argsort(probs.max(1), kind="stable")
    parts = np.array_split(order, max(1, min(bins, len(order)))) if len(order) else []
    right = probs.argmax(1) == labels
    top = probs.max(1)
    return Reliability(
        np.array([top[part].mean() for part in parts]),
        np.array([right[part].mean() for part in parts]),
        np.array([len(part) for part in parts], np.float64),
    )


def expected_calibration_error(
    labels: Array, pred_probs: Array, *, bins: int = 15, weights: Array | None = None
) -> float:
    """Return the mean distance between confidence and accuracy over adaptive bins, 0 best, 1 worst.

    Args:
        labels: (N,) true codes.
        pred_probs: (N, K) probabilities.
        bins: bins of equal size.
        weights: (N,) sample weights, for example bootstrap counts; the bins then hold equal weight.

    Source: Nixon et al. 2019, adaptive calibration error on the top class.
    """
    labels, probs = _checked(labels, pred_probs)
    weight = np.ones(len(labels)) if weights is None else np.asarray(weights, np.float64)
    total = float(weight.sum())
    if not len(labels) or total <= 0:
        return float("nan")
    top = probs.max(1)
    order = np.argsort(top, kind="stable")
    passed = np.cumsum(weight[order]) - 0.5 * weight[order]
    place = np.minimum((passed / total * bins).astype(np.int64), bins - 1)
    surplus = weight[order] * (top[order] - (probs.argmax(1) == labels)[order])
    return float(np.abs(np.bincount(place, surplus, bins)).sum() / total)


def fit_temperature(logits: Array, labels: Array, *, weights: Array | None = None) -> float:
    """Return the temperature T for which softmax(logits / T) has the smallest log loss.

    Args:
        logits: (N, K) out-of-sample logits (any constant may be added to a row).
        labels: (N,) true codes.
        weights: (N,) sample weights.

    Returns:
        T in [0.05, 20]; above 1 = the model was too sure. 1 where there is nothing to fit.

    Source: Guo et al. 2017.
    """
    from scipy.optimize import minimize_scalar

    logits = np.asarray(logits, np.float64)
    labels = np.asarray(labels, np.int64)
    if logits.ndim != 2 or len(logits) != len(labels):
        raise DataError("metric.calibration", f"logits of shape {logits.shape} for {len(labels)} labels")
    weight = np.ones(len(labels)) if weights is None else np.asarray(weights, np.float64)
    if not len(labels) or weight.sum() <= 0:
        return 1.0
    shifted = logits - logits.max(1, keepdims=True)
    own = shifted[np.arange(len(labels)), labels]

    def cost(log_temperature: float) -> float:
        scale = np.exp(-log_temperature)
        loss = np.log(np.exp(shifted * scale).sum(1)) - own * scale
        return float((weight * loss).sum() / weight.sum())

    bounds = (float(np.log(LOWEST)), float(np.log(HIGHEST)))
    found = minimize_scalar(cost, bounds=bounds, method="bounded", options={"xatol": 1e-5})
    return float(np.exp(found.x))


def with_prior(probs: Array, before: Array, after: Array) -> Floats:
    """Return probabilities for another mix of classes, by Bayes' rule.

    Args:
        probs: (N, K) under the mix ``before``.
        before: (K,) shares of the classes that the probabilities assume, > 0.
        after: (K,) shares where they shall hold, >= 0.

    Source: Saerens, Latinne and Decaestecker 2002.

    Example:
        >>> with_prior(np.array([[0.5, 0.5]]), np.array([0.5, 0.5]), np.array([0.9, 0.1])).round(3).tolist()
        [[0.9, 0.1]]
    """
    before, after = np.asarray(before, np.float64), np.asarray(after, np.float64)
    if (before <= 0).any() or (after < 0).any() or not after.sum() > 0:
        raise DataError("metric.calibration", "shares of classes that are not positive", do="give shares above 0")
    moved = np.asarray(probs, np.float64) * (after / after.sum()) / (before / before.sum())
    return np.asarray(moved / np.maximum(moved.sum(1, keepdims=True), 1e-300))


def _checked(labels: Array, pred_probs: Array) -> tuple[Array, Floats]:
    labels, probs = np.asarray(labels, np.int64), np.asarray(pred_probs, np.float64)
    if probs.ndim != 2 or len(probs) != len(labels):
        raise DataError("metric.calibration", f"probabilities of shape {probs.shape} for {len(labels)} labels")
    if len(labels) and (labels.min() < 0 or labels.max() >= probs.shape[1]):
        raise DataError("metric.calibration", "a label code is outside the classes", do="leave unlabelled rows out")
    return labels, probs
