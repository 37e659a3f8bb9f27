"""How honest probabilities are, and the one number that mends most of it.

A model is calibrated if, of the samples it calls with 80 % confidence, 80 % are right. All functions are pure NumPy;
``scarce.evaluate.calibration`` reports them with intervals, trainers use :func:`fit_temperature` on validation data.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scarce.dataset import Array, Floats, Ints
from scarce.errors import DataError

WHO = "evaluate.calibration"
ROUNDING = 0.01
"""Rows of probabilities may miss 1 by so much: some come with half precision."""
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
    """Return the reliability bins: equal numbers of samples in each (adaptive), those of the calibration error.

    Args:
        labels: (N,) true codes.
        pred_probs: (N, K) probabilities.
        bins: at most this many; fewer where there are fewer samples.
    """
    labels, probs = _checked(labels, pred_probs)
    top, right = probs.max(1), probs.argmax(1) == labels
    place = bins_of(top, np.ones(len(top)), bins)
    parts = [np.flatnonzero(place == one) for one in np.unique(place)]
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

    Returns:
        The error; NaN where all weights are 0.

    Raises:
        DataError: no sample, shapes that do not fit, codes outside the classes, or rows that are no probabilities.

    Source: Nixon et al. 2019, adaptive calibration error on the top class.
    """
    labels, probs = _checked(labels, pred_probs)
    if not len(labels):
        raise DataError(WHO, "there is no sample to judge probabilities by", do="give labels and (N, K) probabilities")
    weight = _weights(weights, len(labels))
    total = float(weight.sum())
    if total <= 0:
        return float("nan")
    top = probs.max(1)
    surplus = weight * (top - (probs.argmax(1) == labels))
    return float(np.abs(np.bincount(bins_of(top, weight, bins), surplus, bins)).sum() / total)


def bins_of(top: Array, weight: Array, bins: int) -> Ints:
    """Return (N,) the bin of each sample: of equal weight, the lowest confidence first.

    Args:
        top: (N,) confidences.
        weight: (N,) weights, not all 0.
        bins: how many; some stay empty where there are fewer samples.
    """
    order = np.argsort(top, kind="stable")
    passed = np.cumsum(weight[order]) - 0.5 * weight[order]
    place = np.empty(len(order), np.int64)
    place[order] = np.minimum(passed / max(float(weight.sum()), 1e-300) * bins, bins - 1).astype(np.int64)
    return place


def fit_temperature(logits: Array, labels: Array, *, weights: Array | None = None) -> float:
    """Return the temperature T for which softmax(logits / T) has the smallest log loss.

    Args:
        logits: (N, K) out-of-sample logits (any constant may be added to a row).
        labels: (N,) true codes.
        weights: (N,) sample weights.

    Returns:
        T in [0.05, 20]; above 1 = the model was too sure. 1 where there is nothing to fit.

    Raises:
        DataError: shapes that do not fit, logits that are not finite, or codes outside the classes.

    Source: Guo et al. 2017.
    """
    from scipy.optimize import minimize_scalar

    labels, logits = _aligned(labels, logits, "logits")
    weight = _weights(weights, len(labels))
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
        raise DataError(WHO, "shares of classes that are not positive", do="give shares above 0")
    moved = np.asarray(probs, np.float64) * (after / after.sum()) / (before / before.sum())
    return np.asarray(moved / np.maximum(moved.sum(1, keepdims=True), 1e-300))


def _checked(labels: Array, pred_probs: Array) -> tuple[Array, Floats]:
    labels, probs = _aligned(labels, pred_probs, "probabilities")
    if ((probs < -ROUNDING) | (probs > 1 + ROUNDING)).any():
        found = f"they reach from {probs.min():.4g} to {probs.max():.4g}"
        raise DataError(WHO, "probabilities lie outside 0 to 1", found, "pass logits through softmax first")
    off = np.abs(probs.sum(1) - 1.0) > ROUNDING
    if off.any():
        row = int(np.argmax(off))
        found = f"row {row} sums to {probs[row].sum():.4g}"
        raise DataError(WHO, f"{int(off.sum())} of {len(probs)} rows of probabilities do not sum to 1", found,
                        "give (N, K) over all classes")  # fmt: skip
    return labels, probs


def _aligned(labels: Array, values: Array, what: str) -> tuple[Array, Floats]:
    """Return (N,) codes and (N, K) finite numbers that belong together."""
    try:
        rows, given = np.asarray(values, np.float64), np.asarray(labels)
    except (TypeError, ValueError) as error:
        raise DataError(WHO, f"{what} are not numbers", do="give (N, K)") from error
    if rows.ndim != 2 or given.ndim != 1 or len(rows) != len(given) or (len(rows) and not rows.shape[1]):
        there = f"{len(given)} labels" if given.ndim == 1 else f"labels of shape {given.shape}"
        raise DataError(WHO, f"{what} of shape {rows.shape} for {there}", do="give (N, K) and (N,)")
    if not np.isfinite(rows).all():
        odd = int((~np.isfinite(rows).all(1)).sum())
        raise DataError(WHO, f"{odd} of {len(rows)} rows of {what} are not finite", do="leave those samples out")
    if len(given) and (given.dtype.kind not in "biuf" or (given != np.floor(given)).any()):
        raise DataError(WHO, f"labels of type {given.dtype} are no codes", do="give codes 0 to K - 1")
    codes = given.astype(np.int64)
    outside = (codes < 0) | (codes >= rows.shape[1])
    if outside.any():
        found = f"{sorted(set(codes[outside].tolist()))[:3]}, and there are {rows.shape[1]} classes"
        raise DataError(WHO, "a label code is outside the classes", found, "leave unlabelled rows out")
    return codes, rows


def _weights(weights: Array | None, rows: int) -> Floats:
    """Return (N,) finite weights >= 0."""
    found: Floats = np.ones(rows) if weights is None else np.asarray(weights, np.float64)
    if found.shape != (rows,) or not np.isfinite(found).all() or (found < 0).any():
        raise DataError(WHO, f"weights of shape {found.shape} for {rows} samples", do="give one number >= 0 a sample")
    return found
