"""Whether the probabilities can be believed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from scarce.dataset import Array, Floats
from scarce.evaluate._base import AbstractSection, Judged
from scarce.metric.calibration import brier_score, expected_calibration_error, fit_temperature, reliability
from scarce.metric.interval import cluster_weights

__all__ = ["Calibration", "brier_score", "expected_calibration_error", "fit_temperature", "honesty", "reliability"]

FEWEST = 50
"""Out-of-fold answers from which on the kinds are compared."""


@final
@dataclass(frozen=True, kw_only=True)
class Calibration(AbstractSection):
    """Whether 90 % sure is right nine times out of ten.

    Use when probabilities decide something: thresholds, costs, who looks at a part again.
    Needs: labels and probabilities.
    Writes: ``brier`` (0 best, 2 worst), ``log_loss``, ``ece`` with ``low`` and ``high`` (adaptive bins, bootstrap over
    groups; the estimate is biased upward on few samples), ``bins`` for the reliability plot, and ``kinds``: what no
    calibration, temperature, vector and isotonic scaling would each give on out-of-fold answers, cross-fitted (null
    without them).
    Source: Guo et al. 2017; Nixon et al. 2019.

    Args:
        bins: of equal size.
    """

    bins: int = 15

    def measure(self, judged: Judged) -> dict[str, Any]:
        """Return the figures."""
        own = np.clip(judged.probs[np.arange(len(judged.y)), judged.y], 1e-12, 1.0)
        return {
            "brier": brier_score(judged.y, judged.probs), "log_loss": float(-np.log(own).mean()),
            **honesty(judged.y, judged.probs, judged.groups, bins=self.bins, seed=judged.seed),
            "kinds": self._kinds(judged),
        }  # fmt: skip

    def _kinds(self, judged: Judged) -> dict[str, Any] | None:
        from scarce.evaluate.calibrator import judge_kinds

        if judged.out_of_fold is None or len(judged.out_of_fold[0]) < FEWEST:
            return None
        labels, probs = judged.out_of_fold
        return judge_kinds(np.log(np.maximum(probs, 1e-12)), labels, seed=judged.seed)


def honesty(
    y: Array, probs: Floats, groups: Array, *, weights: Array | None = None, bins: int = 15, seed: int = 0
) -> dict[str, Any]:
    """Return ``ece`` with its interval (bootstrap over whole groups), and ``bins`` for the reliability plot.

    Args:
        y: (N,) codes.
        probs: (N, K).
        groups: (N,) drawn whole; None entries stand alone.
        weights: (N,) how much each sample counts, to judge at other class frequencies; the plot is then left out.
        bins: of equal size.
        seed: of the bootstrap.
    """
    one = np.ones(len(y)) if weights is None else np.asarray(weights, np.float64)
    drawn = cluster_weights(groups, repeats=200, seed=seed, strata=y)
    errors = [expected_calibration_error(y, probs, bins=bins, weights=row * one) for row in drawn]
    low, high = np.quantile(errors, [0.025, 0.975])
    found = reliability(y, probs, bins=bins) if weights is None else ((), (), ())
    return {
        "ece": {
            "value": expected_calibration_error(y, probs, bins=bins, weights=weights), "low": low, "high": high,
        },
        "bins": [
            {"confidence": confidence, "accuracy": accuracy, "n": int(count)}
            for confidence, accuracy, count in zip(*found, strict=True)
        ],
    }  # fmt: skip
