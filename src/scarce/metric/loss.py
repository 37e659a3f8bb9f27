"""Scores of probabilities."""

from __future__ import annotations

import numpy as np

from scarce.dataset import Array
from scarce.errors import DataError


def log_loss(y: Array, probs: Array, *, floor: float = 1e-12) -> float:
    """Return the mean negative log probability of the true class in nats; lower is better.

    Args:
        y: (N,) true codes.
        probs: (N, K) rows that sum to 1.
        floor: probabilities below it count as it, so that one certain mistake is not infinite.
    """
    probs = np.asarray(probs, np.float64)
    if probs.ndim != 2 or len(probs) != len(y):
        raise DataError("metric.log_loss", f"shape {probs.shape} for {len(y)} labels", do="give (N, K)")
    if not len(y):
        return float("nan")
    return float(-np.log(np.clip(probs[np.arange(len(y)), y], floor, 1.0)).mean())
