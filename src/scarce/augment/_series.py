"""What operations on series share: channels, random curves, and reading a series at other times."""

from __future__ import annotations

from typing import Any

import numpy as np

from scarce.dataset import Floats


def channels(series: Any) -> Floats:
    """Return a (T,) or (C, T) series as (C, T) float64."""
    values: Floats = np.atleast_2d(np.asarray(series, np.float64))
    return values


def as_before(values: Floats, series: Any) -> Floats:
    """Return (C, T) values in the number of axes that the series had, float32."""
    return np.asarray(values if np.ndim(series) == 2 else values[0], np.float32)


def read_at(values: Floats, times: Floats) -> Floats:
    """Return (C, M) values of a (C, T) series at (M,) times in steps, linear in between; missing values spread."""
    steps = np.arange(values.shape[1])
    return np.stack([np.interp(times, steps, row) for row in values])


def smooth_curves(rng: np.random.Generator, length: int, sigma: float, *, knots: int, n: int) -> Floats:
    """Return (n, length) cubic splines through knots + 2 points drawn from a normal distribution around 1."""
    from scipy.interpolate import CubicSpline

    points = rng.normal(1.0, sigma, (knots + 2, n))
    at = np.linspace(0, max(length - 1, 1), knots + 2)
    curves: Floats = CubicSpline(at, points)(np.arange(length)).T
    return curves


def scale_of(values: Floats) -> Floats:
    """Return the (C, 1) spread of each channel, missing values aside; 0 where nothing is known."""
    known = np.isfinite(values)
    count = np.maximum(known.sum(axis=1, keepdims=True), 1)
    mean = np.where(known, values, 0.0).sum(axis=1, keepdims=True) / count
    spread: Floats = np.sqrt((np.where(known, values - mean, 0.0) ** 2).sum(axis=1, keepdims=True) / count)
    return spread
