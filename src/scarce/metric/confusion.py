"""Scores of hard decisions: the confusion matrix and what follows from it."""

from __future__ import annotations

import numpy as np

from scarce.dataset import Array, Floats, Ints
from scarce.errors import DataError


def confusion_matrix(y: Array, pred: Array, n_classes: int) -> Ints:
    """Return (K, K) int64 counts; rows are the true class, columns the predicted one.

    Args:
        y: (N,) true codes, 0 <= code < K.
        pred: (N,) predicted codes.
        n_classes: K.

    Raises:
        DataError: lengths differ or a code is outside 0..K-1.

    Example:
        >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
        [[1, 1], [0, 1]]
    """
    y, pred = np.asarray(y, np.int64), np.asarray(pred, np.int64)
    if y.shape != pred.shape:
        raise DataError("metric", f"{len(y)} labels and {len(pred)} predictions", do="give one prediction a label")
    for name, codes in (("label", y), ("prediction", pred)):
        if len(codes) and (codes.min() < 0 or codes.max() >= n_classes):
            bad = codes[(codes < 0) | (codes >= n_classes)][0]
            there = f"there are {n_classes} classes"
            raise DataError("metric", f"{name} code {bad}", there, "leave unlabelled rows out")
    counts = np.bincount(y * n_classes + pred, minlength=n_classes * n_classes)
    return counts.reshape(n_classes, n_classes)


def recalls(y: Array, pred: Array, n_classes: int) -> Floats:
    """Return (K,) recall of each class; NaN where the class has no sample."""
    matrix = confusion_matrix(y, pred, n_classes)
    return _ratio(np.diag(matrix), matrix.sum(1))


def accuracy(y: Array, pred: Array) -> float:
    """Return the share of right predictions; NaN without samples."""
    return float(np.mean(np.asarray(y) == np.asarray(pred))) if len(y) else float("nan")


def balanced_accuracy(y: Array, pred: Array, n_classes: int) -> float:
    """Return the mean recall over the classes that have samples.

    Source: Brodersen et al. 2010, as in scikit-learn's ``balanced_accuracy_score``.
    """
    found = recalls(y, pred, n_classes)
    return float(np.nanmean(found)) if np.isfinite(found).any() else float("nan")


def precision_recall_f1(y: Array, pred: Array, n_classes: int) -> tuple[Floats, Floats, Floats]:
    """Return (K,) precision, recall and F1 of each class.

    Precision is NaN where the class was never predicted, recall where it has no sample; F1 is NaN only where both hold.
    """
    matrix = confusion_matrix(y, pred, n_classes)
    right, support, predicted = np.diag(matrix), matrix.sum(1), matrix.sum(0)
    return _ratio(right, predicted), _ratio(right, support), _ratio(2 * right, support + predicted)


def macro_f1(y: Array, pred: Array, n_classes: int) -> float:
    """Return the mean F1 over the classes that occur as label or prediction (scikit-learn's ``average="macro"``)."""
    f1 = precision_recall_f1(y, pred, n_classes)[2]
    return float(np.nanmean(f1)) if np.isfinite(f1).any() else float("nan")


def _ratio(top: Array, bottom: Array) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(bottom > 0, top / np.maximum(bottom, 1), np.nan)
