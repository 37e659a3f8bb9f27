"""Thresholds for other wishes: a detection rate, or what mistakes cost; and decisions that cost least."""

from __future__ import annotations

from typing import Any

import numpy as np

from scarce.dataset import Array, Floats, Ints
from scarce.errors import DataError
from scarce.evaluate.operating_point import Chosen

WHO = "evaluate.threshold"


def at_detection_rate(y_true: Array, score: Array, rate: float = 0.99) -> Chosen:
    """Return the highest threshold that finds at least a share of the defects: fewest false alarms at that recall.

    Args:
        y_true: (M,) true for defects.
        score: (M,) out-of-fold scores, higher = more likely a defect; reject where ``score >= threshold``.
        rate: wanted share of defects that are found, in (0, 1].

    Raises:
        DataError: one side is empty, or the rate is out of range.

    Example:
        >>> at_detection_rate(np.array([0, 1, 1, 0]), np.array([0.1, 0.6, 0.9, 0.7]), 1.0).threshold
        0.6
    """
    y_true, score = _sides(y_true, score)
    if not 0 < rate <= 1:
        raise DataError(WHO, f"detection rate {rate}", do="give a share above 0, at most 1")
    defects = np.sort(score[y_true])[::-1]
    place = int(np.ceil(rate * len(defects) - 1e-9)) - 1
    return _chosen(y_true, score, float(defects[place]))


def at_cost(y_true: Array, score: Array, *, miss: float, alarm: float, defect_share: float | None = None) -> Chosen:
    """Return the threshold with the lowest mean cost of mistakes.

    Args:
        y_true: (M,) true for defects.
        score: (M,) out-of-fold scores, higher = more likely a defect.
        miss: what a defect that passes costs, >= 0.
        alarm: what a sound sample that is rejected costs, >= 0.
        defect_share: share of defects where the model works; None = as in these samples.

    Raises:
        DataError: one side is empty, or costs are negative or all nought.

    Source: Elkan 2001.

    Example:
        >>> at_cost(np.array([0, 0, 1, 1]), np.array([0.1, 0.5, 0.4, 0.9]), miss=10, alarm=1).threshold
        0.4
    """
    y_true, score = _sides(y_true, score)
    if not (miss >= 0 and alarm >= 0 and miss + alarm > 0):
        raise DataError(WHO, f"costs {miss} of a miss and {alarm} of an alarm", do="give costs from 0 on, one above 0")
    share = float(y_true.mean()) if defect_share is None else defect_share
    cuts = np.append(np.unique(score)[::-1], -np.inf)
    cuts = np.insert(cuts[:-1], 0, np.inf)
    defects, sound = np.sort(score[y_true]), np.sort(score[~y_true])
    missed = np.searchsorted(defects, cuts, side="left") / len(defects)
    alarms = 1.0 - np.searchsorted(sound, cuts, side="left") / len(sound)
    return _chosen(y_true, score, float(cuts[np.argmin(miss * share * missed + alarm * (1 - share) * alarms)]))


def decide(probs: Array, costs: Array) -> Ints:
    """Return (N,) the answers with the lowest expected cost.

    Args:
        probs: (N, K) calibrated probabilities.
        costs: (K, K) what answering column j costs where row i is true; the diagonal is usually 0.

    Raises:
        DataError: shapes that do not fit.

    Example:
        >>> decide(np.array([[0.8, 0.2]]), np.array([[0.0, 1.0], [10.0, 0.0]])).tolist()
        [1]
    """
    probs, costs = np.asarray(probs, np.float64), _costs(costs, np.shape(probs)[-1])
    return np.asarray((probs @ costs).argmin(1), np.int64)


def mean_cost(y: Array, pred: Array, costs: Array) -> float:
    """Return what the mistakes cost on average.

    Args:
        y: (N,) true codes.
        pred: (N,) answers.
        costs: (K, K), rows = truth, columns = answer.
    """
    costs = np.asarray(costs, np.float64)
    return float(costs[np.asarray(y, np.int64), np.asarray(pred, np.int64)].mean())


def _costs(costs: Any, k: int) -> Floats:
    found = np.asarray(costs, np.float64)
    if found.shape != (k, k) or not np.isfinite(found).all():
        raise DataError(WHO, f"costs of shape {found.shape} for {k} classes", do="give a finite (K, K) matrix")
    return found


def _sides(y_true: Array, score: Array) -> tuple[Array, Floats]:
    y_true, score = np.asarray(y_true).astype(bool), np.asarray(score, np.float64)
    if y_true.shape != score.shape or y_true.ndim != 1 or not np.isfinite(score).all():
        raise DataError(WHO, f"{y_true.shape} labels and {score.shape} finite scores do not fit")
    if not y_true.any() or y_true.all():
        raise DataError(WHO, f"{int(y_true.sum())} defects among {len(y_true)} samples", do="give some of both")
    return y_true, score


def _chosen(y_true: Array, score: Floats, threshold: float) -> Chosen:
    from scarce.metric.ranking import false_positive_rate_at_recall

    half = false_positive_rate_at_recall(y_true, score, 0.5)
    return Chosen(threshold=threshold, normals=int((~y_true).sum()), half_found_at=half)
