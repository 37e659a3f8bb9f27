"""Whether the probabilities can be believed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from scarce.dataset import Array, Floats
from scarce.evaluate._base import AbstractSection, Judged
from scarce.metric.calibration import (
    bins_of,
    brier_score,
    expected_calibration_error,
    fit_temperature,
    reliability,
)
from scarce.metric.interval import SAME, cluster_weights

__all__ = ["Calibration", "brier_score", "expected_calibration_error", "fit_temperature", "honesty", "reliability"]

DRAWS, TAIL = 400, 0.025
"""Bootstrap draws behind the interval of the calibration error, and the share of them beyond each of its ends."""
FEWEST = 50
"""Out-of-fold answers from which on the kinds are compared."""


@final
@dataclass(frozen=True, kw_only=True)
class Calibration(AbstractSection):
    """Whether 90 % sure is right nine times out of ten.

    Use when probabilities decide something: thresholds, costs, who looks at a part again.
    Needs: labels and probabilities.
    Writes: ``brier`` (0 best, 2 worst), ``log_loss``, ``ece`` with ``low`` and ``high`` (adaptive bins; the estimate is
    biased upward on few samples, the interval is made for that and often holds 0; null from one group), ``bins`` for
    the reliability plot, those of ``ece``, and ``kinds``: what no calibration, temperature, vector and isotonic scaling
    would each give on out-of-fold answers, cross-fitted by group (null without them).
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
        groups = judged.out_of_fold_groups
        return judge_kinds(np.log(np.maximum(probs, 1e-12)), labels, groups=groups, seed=judged.seed)


def honesty(
    y: Array, probs: Floats, groups: Array, *, weights: Array | None = None, bins: int = 15, seed: int = 0
) -> dict[str, Any]:
    """Return ``ece`` with its interval, and ``bins``, those of the error, for the reliability plot.

    Args:
        y: (N,) codes.
        probs: (N, K).
        groups: (N,) drawn whole; None entries stand alone.
        weights: (N,) how much each sample counts, to judge at other class frequencies; the plot is then left out.
        bins: of equal size.
        seed: of the bootstrap.
    """
    found = reliability(y, probs, bins=bins) if weights is None else ((), (), ())
    value = expected_calibration_error(y, probs, bins=bins, weights=weights)
    low, high = _interval(np.asarray(y), np.asarray(probs), np.asarray(groups), value, (weights, bins, seed))
    return {
        "ece": {"value": value, "low": low, "high": high},
        "bins": [
            {"confidence": confidence, "accuracy": accuracy, "n": int(count)}
            for confidence, accuracy, count in zip(*found, strict=True)
        ],
    }  # fmt: skip


def _interval(
    y: Array, probs: Floats, groups: Array, value: float, how: tuple[Array | None, int, int]
) -> tuple[float, float]:
    """Return the true errors that could well have shown the one that is seen; NaN where no draw differs.

    The error that is seen is too high: in every bin chance adds to the distance between confidence and accuracy. A
    percentile bootstrap adds chance a second time, and may leave out the value and the truth. So what is asked is
    which true error would, with chance added to it, show what is seen: distances are taken to be ``t`` times those
    seen, the noise of a bin is that of a bootstrap over whole groups around what is seen, and those ``t`` stay for
    which the error seen lies within the middle 95 % of what would be shown. t = 0 is a model that is calibrated. Where
    only lower errors than the one seen remain, the interval is widened to hold that one, too.

    Args:
        y: (N,) codes.
        probs: (N, K).
        groups: (N,) drawn whole.
        value: the error that is seen.
        how: weights (N,) or None, bins, seed.

    Source: Roelofs et al. 2022 and Sun et al. 2024 on the bias; Davison and Hinkley 1997, section 5.5, for intervals by
    inverting a test.
    """
    weights, bins, seed = how
    weight = np.ones(len(y)) if weights is None else np.asarray(weights, np.float64)
    top = probs.max(1)
    parts = np.zeros((len(y), bins + 1))
    place = bins_of(top, weight, bins)
    parts[np.arange(len(y)), place] = weight * (top - (probs.argmax(1) == y))
    parts[:, bins] = weight
    seen = _shares(parts.sum(0)[None])[0]
    drawn = cluster_weights(groups, repeats=DRAWS, seed=seed)
    step = max(1, 4_000_000 // max(len(y), 1))
    noise = np.concatenate([_shares(drawn[at : at + step] @ parts) for at in range(0, DRAWS, step)]) - seen
    if not np.ptp(noise, axis=0).max() > SAME:
        return float("nan"), float("nan")
    if value < SAME:
        return 0.0, float(np.quantile(np.abs(noise).sum(1), 1 - TAIL))

    def shown(t: float) -> Floats:
        return np.asarray(np.abs(t * seen + noise).sum(1))

    most = 2.0 + float(np.abs(noise).sum(1).max()) / value  # even the luckiest draw shows more than is seen
    low = 0.0 if (shown(0.0) >= value).mean() > TAIL else _last(lambda t: (shown(t) >= value).mean() <= TAIL, most)
    high = _last(lambda t: (shown(t) <= value).mean() > TAIL, most)
    return min(low, 1.0) * value, max(high, 1.0) * value


def _shares(sums: Floats) -> Floats:
    """Return (B, bins) surplus confidence as shares of the whole weight, which stands in the last column."""
    return np.asarray(sums[:, :-1] / np.maximum(sums[:, -1:], 1e-300))


def _last(holds: Callable[[float], bool], most: float) -> float:
    """Return the end of the range from 0 on in which something holds, to a thousandth of ``most``; 0 if nowhere."""
    low, high = 0.0, most
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
