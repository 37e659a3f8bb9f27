"""Means over seeds with intervals, and how they are written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from scarce.dataset import Floats


def over_seeds(values: Floats) -> dict[str, Any]:
    """Return the mean over seeds and its 95 % interval (Student's t); one seed has none."""
    from scipy.stats import t

    mean = float(values.mean())
    if len(values) < 2:
        return {"mean": mean, "low": None, "high": None}
    half = float(t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return {"mean": mean, "low": mean - half, "high": mean + half}


def points(found: Mapping[str, Any]) -> str:
    """Return a gain in points with its interval."""
    if found["low"] is None:
        return f"{100 * found['mean']:+.1f}"
    return f"{100 * found['mean']:+.1f} ({100 * found['low']:+.1f} to {100 * found['high']:+.1f})"


def shares(found: Mapping[str, Any]) -> str:
    """Return a share with its interval."""
    if found["low"] is None:
        return f"{found['mean']:.1%}"
    return f"{found['mean']:.1%} ({found['low']:.1%} to {found['high']:.1%})"
