"""Picture faults judged against the data set's own pictures, so that a plain surface is not a fault."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from scarce.audit._base import Finding, Measurement, finding, percent
from scarce.dataset import Array, Dataset, Floats


def robust_center(values: Floats) -> tuple[float, float]:
    """Return median and spread (1.4826 times the median absolute deviation) of the finite values."""
    known = values[np.isfinite(values)]
    if not len(known):
        return 0.0, 0.0
    center = float(np.median(known))
    return center, 1.4826 * float(np.median(np.abs(known - center)))


def below(values: Floats, *, least: float, spreads: float, floor: float = 0.02) -> Floats:
    """Return (N,) scores in [0, 1] of values that lie below the others; 0.5 and more is a fault.

    A value is a fault when it is at least ``least`` below the median *and* at least ``spreads`` robust spreads
    below it.

    Args:
        values: (N,), usually logarithms; NaN = not known.
        least: absolute distance below the median, > 0.
        spreads: distance in robust spreads.
        floor: smallest spread that is believed.
    """
    center, spread = robust_center(values)
    depth = center - values
    excess = np.minimum(depth / least, depth / (spreads * max(spread, floor)))
    return graded(excess)


def graded(excess: Floats) -> Floats:
    """Return scores in [0, 1]: 0.5 where the excess is 1, toward 1 far above, 0 where it is 0 or less."""
    positive = np.maximum(excess, 0.0)
    return np.asarray(positive / (1.0 + positive))


def reported(ds: Dataset, score: Floats, say: Callable[[int], str]) -> Measurement:
    """Return the measurement with one finding per sample at 0.5 and more, worst first."""
    flagged = np.flatnonzero(np.nan_to_num(score) >= 0.5)
    flagged = flagged[np.argsort(-score[flagged], kind="stable")]
    found: list[Finding] = [finding("sample", [ds.ids[row]], float(score[row]), say(int(row))) for row in flagged]
    if len(flagged):
        share = len(flagged) / max(len(ds), 1)
        found.insert(0, finding("data", (), share, f"{len(flagged)} of {len(ds)} samples ({percent(share)})"))
    return Measurement(np.clip(score, 0, 1), found)


def explained(values: Floats, *causes: Floats) -> Floats:
    """Return (N,) what is left of the values after a robust linear fit on the causes (Huber weights)."""
    design = np.stack([np.ones_like(values), *causes], axis=1).astype(np.float64)
    known = np.isfinite(design).all(axis=1) & np.isfinite(values)
    out = np.full(len(values), np.nan)
    if known.sum() <= 4 * design.shape[1]:
        out[known] = values[known] - (np.median(values[known]) if known.any() else 0.0)
        return out
    X, y = design[known], values[known].astype(np.float64)
    weight = np.ones(len(y))
    ridge = 1e-6 * len(y) * np.eye(X.shape[1])
    rest = y
    for _ in range(30):
        beta = np.linalg.solve((X * weight[:, None]).T @ X + ridge, (X * weight[:, None]).T @ y)
        rest = y - X @ beta
        spread = max(1.4826 * float(np.median(np.abs(rest - np.median(rest)))), 1e-9)
        weight = np.minimum(1.0, 1.5 * spread / np.maximum(np.abs(rest), 1e-12))
    out[known] = rest
    return out


def log_of(values: Array, smallest: float) -> Floats:
    """Return natural logarithms in float64 with a floor."""
    return np.log(np.maximum(np.asarray(values, np.float64), smallest))
