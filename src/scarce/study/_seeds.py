"""Means over seeds with intervals, and how they are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from scarce.dataset import Floats
from scarce.metric.interval import holm

ALPHA: Final = 0.05
SAME: Final = 1e-12
"""Values that differ by less are alike."""
AGREE: Final = "the seeds agree"


def over_seeds(values: Floats) -> dict[str, Any]:
    """Return the mean over seeds and its 95 % interval (Student's t).

    There is none of one seed, nor where the seeds agree: a spread of 0 in a few draws does not prove that others would
    give the same. ``low`` and ``high`` are then None, and ``no_interval`` says why.
    """
    from scipy.stats import t

    mean = float(values.mean())
    if len(values) < 2:
        return {"mean": mean, "low": None, "high": None, "no_interval": "one seed"}
    if np.ptp(values) < SAME:
        return {"mean": mean, "low": None, "high": None, "no_interval": AGREE}
    half = float(t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return {"mean": mean, "low": mean - half, "high": mean + half}


def share_over_seeds(values: Floats) -> dict[str, Any]:
    """Return what :func:`over_seeds` does of shares; their interval ends at 0 and 1."""
    found = over_seeds(values)
    return found if found["low"] is None else {key: min(max(value, 0.0), 1.0) for key, value in found.items()}


def gain_over_seeds(values: Floats) -> dict[str, Any]:
    """Return what :func:`over_seeds` does of (S,) paired differences, and the p-value of no difference.

    By the t-test; of equal differences, which have no spread, by their signs: 2 / 2 ** S; None of one difference.
    """
    from scipy.stats import ttest_1samp

    p: float | None
    if len(values) < 2:
        p = None
    elif np.ptp(values) < SAME:
        p = 1.0 if abs(values[0]) < SAME else 2.0 ** (1 - len(values))
    else:
        p = float(ttest_1samp(values, 0.0).pvalue)
    return {**over_seeds(values), "p": p}


def judge(gains: Sequence[dict[str, Any]]) -> None:
    """Write into each gain its p-value corrected for their number (Holm), and whether it ``helps`` or ``hurts``.

    What neither is proven of reads ``no evidence``; a p-value that is not known becomes None.
    """
    known = [float("nan") if gain["p"] is None else gain["p"] for gain in gains]
    for gain, p in zip(gains, holm(known), strict=True):
        word = "helps" if gain["mean"] > 0 else "hurts"
        gain["verdict"] = word if p < ALPHA else "no evidence"
        gain["p_holm"] = None if np.isnan(p) else p


def points(found: Mapping[str, Any]) -> str:
    """Return a gain in points with its interval."""
    if found["low"] is None:
        return f"{100 * found['mean']:+.1f}{_no_interval(found)}"
    return f"{100 * found['mean']:+.1f} ({100 * found['low']:+.1f} to {100 * found['high']:+.1f})"


def shares(found: Mapping[str, Any]) -> str:
    """Return a share with its interval."""
    if found["low"] is None:
        return f"{found['mean']:.1%}{_no_interval(found)}"
    return f"{found['mean']:.1%} ({found['low']:.1%} to {found['high']:.1%})"


def _no_interval(found: Mapping[str, Any]) -> str:
    return f" ({AGREE}: no interval)" if found.get("no_interval") == AGREE else ""
