"""Sets of classes that hold the truth as often as promised, and what answering only when sure would gain."""

from __future__ import annotations

from typing import Any

import numpy as np

from scarce.dataset import Array, Floats, Mask
from scarce.errors import DataError
from scarce.evaluate.out_of_distribution.detection import threshold_keeping

WHO = "evaluate.conformal"


def conformal_threshold(labels: Array, pred_probs: Array, *, coverage: float = 0.95) -> float:
    """Return the probability from which on a class belongs to the set (split conformal).

    A set then holds the true class of a new sample of the same kind with at least that coverage, whatever the model.

    Args:
        labels: (M,) codes of samples that the model did not fit.
        pred_probs: (M, K) its probabilities of them.
        coverage: wanted, in (0, 1).

    Returns:
        A probability; 0 = so few samples that only the set of all classes is safe.

    Raises:
        DataError: shapes that do not fit, or no sample.

    Source: Sadinle, Lei and Wasserman 2019; Vovk, Gammerman and Shafer 2005.

    Example:
        >>> probs = np.array([[0.9, 0.1]] * 18 + [[0.4, 0.6]] * 2)
        >>> conformal_threshold(np.zeros(20, int), probs, coverage=0.9)
        0.4
    """
    labels, probs = np.asarray(labels, np.int64), np.asarray(pred_probs, np.float64)
    if probs.ndim != 2 or len(labels) != len(probs) or not len(labels):
        raise DataError(WHO, f"{len(labels)} labels and probabilities of shape {probs.shape}", do="give some of both")
    cut = threshold_keeping(-probs[np.arange(len(labels)), labels], coverage)
    return max(0.0, -cut) if np.isfinite(cut) else 0.0


def conformal_sets(pred_probs: Array, threshold: float) -> Mask:
    """Return (N, K) which classes belong to each sample's set; never empty: the likeliest always belongs.

    Args:
        pred_probs: (N, K).
        threshold: from :func:`conformal_threshold`.
    """
    probs = np.asarray(pred_probs, np.float64)
    found = probs >= threshold - 1e-12
    found[np.arange(len(probs)), probs.argmax(1)] = True
    return np.asarray(found)


def risk_coverage(labels: Array, pred_probs: Array) -> tuple[Floats, Floats]:
    """Return (N,) shares of samples answered, the surest first, and (N,) error rates among them.

    Args:
        labels: (N,) codes.
        pred_probs: (N, K).

    Source: El-Yaniv and Wiener 2010.
    """
    labels, probs = np.asarray(labels, np.int64), np.asarray(pred_probs, np.float64)
    order = np.argsort(-probs.max(1), kind="stable")
    wrong = (probs.argmax(1) != labels)[order]
    answered = np.arange(1, len(labels) + 1)
    return np.asarray(answered / max(1, len(labels))), np.asarray(np.cumsum(wrong) / answered)


def summary(labels: Array, pred_probs: Array, threshold: float) -> dict[str, Any]:
    """Return what the sets do on other samples: ``covered``, ``mean_size``, ``ambiguous``, and the accuracy without.

    Args:
        labels: (N,) codes.
        pred_probs: (N, K).
        threshold: chosen on other samples.
    """
    labels, probs = np.asarray(labels, np.int64), np.asarray(pred_probs, np.float64)
    sets = conformal_sets(probs, threshold)
    sure = sets.sum(1) == 1
    right = probs.argmax(1) == labels
    return {
        "threshold": threshold, "covered": float(sets[np.arange(len(labels)), labels].mean()),
        "mean_size": float(sets.sum(1).mean()), "ambiguous": float((~sure).mean()),
        "accuracy": float(right.mean()), "accuracy_sure": float(right[sure].mean()) if sure.any() else np.nan,
    }  # fmt: skip
