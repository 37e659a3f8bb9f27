"""Whether the probabilities can be believed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from scarce.evaluate._base import AbstractSection, Judged
from scarce.metric.calibration import brier_score, expected_calibration_error, fit_temperature, reliability
from scarce.metric.interval import cluster_weights

__all__ = ["Calibration", "brier_score", "expected_calibration_error", "fit_temperature", "reliability"]


@final
@dataclass(frozen=True, kw_only=True)
class Calibration(AbstractSection):
    """Whether 90 % sure is right nine times out of ten.

    Use when probabilities decide something: thresholds, costs, who looks at a part again.
    Needs: labels and probabilities.
    Writes: ``brier`` (0 best, 2 worst), ``log_loss``, ``ece`` with ``low`` and ``high`` (adaptive bins, bootstrap over
    groups; the estimate is biased upward on few samples) and ``bins`` for the reliability plot.
    Source: Guo et al. 2017; Nixon et al. 2019.

    Args:
        bins: of equal size.
    """

    bins: int = 15

    def measure(self, judged: Judged) -> dict[str, Any]:
        """Return the figures."""
        own = np.clip(judged.probs[np.arange(len(judged.y)), judged.y], 1e-12, 1.0)
        drawn = cluster_weights(judged.groups, repeats=200, seed=judged.seed, strata=judged.y)
        errors = [expected_calibration_error(judged.y, judged.probs, bins=self.bins, weights=row) for row in drawn]
        low, high = np.quantile(errors, [0.025, 0.975])
        found = reliability(judged.y, judged.probs, bins=self.bins)
        return {
            "brier": brier_score(judged.y, judged.probs), "log_loss": float(-np.log(own).mean()),
            "ece": {
                "value": expected_calibration_error(judged.y, judged.probs, bins=self.bins), "low": low, "high": high
            },
            "bins": [
                {"confidence": confidence, "accuracy": accuracy, "n": int(count)}
                for confidence, accuracy, count in zip(*found, strict=True)
            ],
        }  # fmt: skip
