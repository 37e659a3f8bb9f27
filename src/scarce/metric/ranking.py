"""Scores of an ordering: average precision, and recall at a wanted false-alarm rate.

Samples with equal scores are indistinguishable: a threshold takes all of them or none.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from scarce.dataset import Array
from scarce.errors import DataError


def average_precision(y_true: Array, score: Array) -> float:
    """Return the area under the precision-recall steps; NaN without a positive.

    Args:
        y_true: (N,) true for positives.
        score: (N,) higher = more likely positive.

    Source: as scikit-learn's ``average_precision_score``.

    Example:
        >>> average_precision(np.array([1, 0, 1]), np.array([0.9, 0.8, 0.1]))
        0.8333333333333333
    """
    positive, taken = _steps(y_true, score)
    if not len(positive) or positive[-1] == 0:
        return float("nan")
    gained = np.diff(positive, prepend=0)
    return float((gained * positive / taken).sum() / positive[-1])


def area_under_roc(y_true: Array, score: Array) -> float:
    """Return the chance that a positive scores above a negative, ties half; NaN without both sides.

    Args:
        y_true: (N,) true for positives.
        score: (N,) higher = more likely positive.

    Source: as scikit-learn's ``roc_auc_score``.

    Example:
        >>> area_under_roc(np.array([1, 0, 1, 0]), np.array([0.9, 0.8, 0.7, 0.1]))
        0.75
    """
    positive, taken = _steps(y_true, score)
    if not len(taken) or positive[-1] == 0 or taken[-1] == positive[-1]:
        return float("nan")
    false = taken - positive
    area = np.trapezoid(np.append(0, positive), np.append(0, false))
    return float(area / (float(positive[-1]) * float(false[-1])))


def mean_average_precision(y: Array, probs: Array, codes: Iterable[int] | None = None) -> float:
    """Return the mean one-against-the-rest average precision of some classes.

    Args:
        y: (N,) true codes.
        probs: (N, K) probabilities or scores.
        codes: the classes; all by default. Classes without a sample are left out.
    """
    y, probs = np.asarray(y), np.asarray(probs)
    wanted = range(probs.shape[1]) if codes is None else codes
    found = np.array([average_precision(y == code, probs[:, code]) for code in wanted])
    return float(np.nanmean(found)) if np.isfinite(found).any() else float("nan")


def threshold_at_false_positive_rate(y_true: Array, score: Array, rate: float) -> float:
    """Return the lowest threshold whose false-alarm rate is at most ``rate``; flag where ``score >= threshold``.

    It is +inf where even the highest score raises too many false alarms, and NaN without a negative.
    """
    positive, taken = _steps(y_true, score)
    if not len(taken) or taken[-1] == positive[-1]:
        return float("nan")
    false = taken - positive
    place = int(np.searchsorted(false, _allowed(rate, false[-1]), side="right"))
    return float("inf") if place == 0 else float(np.unique(np.asarray(score, np.float64))[::-1][place - 1])


def beside(threshold: float, score: Array, *, above: bool = False, most: float = 1e-4) -> float:
    """Return a threshold moved off the score that it was read from, so that rounding decides for none of them.

    A model computes a score anew with other last digits, for example in a batch of another size.

    Args:
        threshold: one of the scores; one that is not finite stays.
        score: (N,) scores that it was chosen on.
        above: move up and not down; half way to the next score.
        most: moves no farther, as a share of the threshold where that is above 1.
    """
    if not np.isfinite(threshold):
        return threshold
    values = np.asarray(score, np.float64)
    gaps = values[values > threshold] - threshold if above else threshold - values[values < threshold]
    step = min(0.5 * float(gaps.min(initial=np.inf)), most * max(1.0, abs(threshold)))
    return threshold + step if above else threshold - step


def recall_at_false_positive_rate(y_true: Array, score: Array, rate: float) -> float:
    """Return the highest recall whose false-alarm rate is at most ``rate``; NaN without a positive or a negative.

    Args:
        y_true: (N,) true for positives (defects).
        score: (N,) higher = more likely positive.
        rate: highest share of the negatives that may be flagged, 0 <= rate < 1.
    """
    positive, taken = _steps(y_true, score)
    if not len(taken) or positive[-1] == 0 or taken[-1] == positive[-1]:
        return float("nan")
    false = taken - positive
    place = int(np.searchsorted(false, _allowed(rate, false[-1]), side="right"))
    return 0.0 if place == 0 else float(positive[place - 1] / positive[-1])


def false_positive_rate_at_recall(y_true: Array, score: Array, recall: float) -> float:
    """Return the lowest false-alarm rate at which at least that recall is reached; NaN without both sides.

    Args:
        y_true: (N,) true for positives (defects).
        score: (N,) higher = more likely positive.
        recall: wanted share of the positives, 0 < recall <= 1.

    Example:
        >>> false_positive_rate_at_recall(np.array([1, 0, 1, 0]), np.array([0.9, 0.8, 0.7, 0.1]), 1.0)
        0.5
    """
    if not 0 < recall <= 1:
        raise DataError("metric", f"recall {recall}", do="give a share above 0, at most 1")
    positive, taken = _steps(y_true, score)
    if not len(taken) or positive[-1] == 0 or taken[-1] == positive[-1]:
        return float("nan")
    place = int(np.searchsorted(positive, recall * float(positive[-1]) - 1e-9, side="left"))
    false = taken - positive
    return float(false[place] / false[-1])


def _allowed(rate: float, negatives: float) -> float:
    if not 0 <= rate < 1:
        raise DataError("metric", f"false-alarm rate {rate}", do="give a share from 0 up to, not including, 1")
    return rate * float(negatives) + 1e-9


def _steps(y_true: Array, score: Array) -> tuple[Array, Array]:
    """Return, for each distinct score from the top, how many positives and how many samples are at or above it."""
    y_true, score = np.asarray(y_true, bool), np.asarray(score, np.float64)
    if y_true.shape != score.shape:
        raise DataError("metric", f"{len(y_true)} labels and {len(score)} scores", do="give one score a label")
    if np.isnan(score).any():
        raise DataError("metric", f"{int(np.isnan(score).sum())} scores are NaN", do="leave those samples out")
    order = np.argsort(-score, kind="stable")
    last = np.flatnonzero(np.diff(score[order], append=-np.inf) != 0) if len(score) else np.zeros(0, np.int64)
    return np.cumsum(y_true[order])[last], last + 1
