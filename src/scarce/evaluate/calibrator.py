"""Maps from logits to honest probabilities: temperature, vector, isotonic; and from one mix of classes to another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from scarce.dataset import Array, Floats
from scarce.errors import ConfigError, DataError
from scarce.metric.calibration import brier_score, expected_calibration_error, fit_temperature, with_prior
from scarce.probe import fold_of, softmax

__all__ = ["Calibrator", "cross_fitted", "fit", "judge_kinds", "with_prior"]

WHO = "evaluate.calibrator"
Kind: TypeAlias = Literal["none", "temperature", "vector", "isotonic"]
KINDS: tuple[Kind, ...] = get_args(Kind)
RIDGE = 1e-2
"""How strongly vector scaling is held near the temperature, per class and sample of that class."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Calibrator:
    """A fitted map.

    Attributes:
        kind: how it was fitted.
        scale: (K,) what logits are multiplied by.
        bias: (K,) what is added then.
        steps: for each class (probabilities, shares that were right), increasing; only for isotonic.
    """

    kind: Kind
    scale: Floats
    bias: Floats
    steps: tuple[tuple[Floats, Floats], ...] = ()

    def __call__(self, logits: Array) -> Floats:
        """Return (N, K) probabilities of (N, K) logits."""
        probs = softmax(np.asarray(logits, np.float64) * self.scale + self.bias)
        if not self.steps:
            return np.asarray(probs, np.float64)
        mapped = np.stack([np.interp(probs[:, code], *knots) for code, knots in enumerate(self.steps)], axis=1)
        mapped = np.maximum(mapped, 1e-9)
        return np.asarray(mapped / mapped.sum(1, keepdims=True))


def fit(logits: Array, labels: Array, kind: Kind = "temperature") -> Calibrator:
    """Fit a map on samples that the model did not fit.

    Args:
        logits: (N, K).
        labels: (N,) codes.
        kind: ``none`` (softmax), ``temperature`` (one number: safe with few samples), ``vector`` (a scale and a bias
            for each class: also mends class frequencies) or ``isotonic`` (any increasing map for each class, on top of
            the temperature: wants a hundred samples a class or more).

    Raises:
        ConfigError: there is no such kind.
        DataError: shapes that do not fit, or no sample.

    Source: Guo et al. 2017 (temperature, vector); Zadrozny and Elkan 2002 (isotonic, one against the rest).

    Example:
        >>> logits = np.array([[4.0, 0.0]] * 10)
        >>> labels = np.array([0] * 7 + [1] * 3)
        >>> round(float(fit(logits, labels, "vector")(logits)[0, 0]), 1)
        0.7
    """
    values, codes = np.asarray(logits, np.float64), np.asarray(labels, np.int64)
    if kind not in KINDS:
        raise ConfigError(WHO, f"kind = {kind!r}", f"it takes {', '.join(KINDS)}")
    if values.ndim != 2 or len(values) != len(codes) or not len(codes):
        raise DataError(WHO, f"logits of shape {values.shape} for {len(codes)} labels", do="give some of both")
    k = values.shape[1]
    scale: Floats = np.full(k, 1.0 if kind == "none" else 1.0 / fit_temperature(values, codes))
    bias: Floats = np.zeros(k)
    if kind == "vector":
        scale, bias = _vector(values, codes, scale)
    steps: tuple[tuple[Floats, Floats], ...] = ()
    if kind == "isotonic":
        probs = softmax(values * scale)
        steps = tuple(_isotonic(probs[:, code], codes == code) for code in range(k))
    return Calibrator(kind=kind, scale=scale, bias=bias, steps=steps)


def cross_fitted(logits: Array, labels: Array, kind: Kind, *, groups: Array | None = None, seed: int = 0) -> Floats:
    """Return (N, K) probabilities, each sample's from a map that was fitted on the other four fifths.

    Args:
        logits: (N, K) of samples that the model did not fit.
        labels: (N,) codes.
        kind: see :func:`fit`.
        groups: (N,) what must not be cut.
        seed: of the folds.
    """
    values, codes = np.asarray(logits, np.float64), np.asarray(labels, np.int64)
    fold = fold_of(codes, groups, 5, seed=seed)
    out = np.full(values.shape, np.nan)
    for number in np.unique(fold):
        out[fold == number] = fit(values[fold != number], codes[fold != number], kind)(values[fold == number])
    return out


def judge_kinds(logits: Array, labels: Array, *, groups: Array | None = None, seed: int = 0) -> dict[str, Any]:
    """Return what each kind of calibration gives on samples that it was not fitted on: ECE, Brier score, log loss."""
    codes = np.asarray(labels, np.int64)
    table: dict[str, Any] = {}
    for kind in KINDS:
        probs = cross_fitted(logits, codes, kind, groups=groups, seed=seed)
        own = np.maximum(probs[np.arange(len(codes)), codes], 1e-12)
        table[kind] = {
            "ece": expected_calibration_error(codes, probs), "brier": brier_score(codes, probs),
            "log_loss": float(-np.log(own).mean()), "accuracy": float((probs.argmax(1) == codes).mean()),
        }  # fmt: skip
    return table


def _vector(values: Floats, codes: Array, start: Floats) -> tuple[Floats, Floats]:
    """Return scale and bias of each class with the smallest log loss, held near the temperature."""
    from scipy.optimize import minimize

    n, k = values.shape
    truth = np.zeros((n, k))
    truth[np.arange(n), codes] = 1.0
    center = values - values.mean(1, keepdims=True)

    def cost(packed: Array) -> tuple[float, Array]:
        scale, bias = packed[:k], packed[k:]
        moved = center * scale + bias
        top = moved.max(1, keepdims=True)
        parts = np.exp(moved - top)
        total = parts.sum(1, keepdims=True)
        loss = float((np.log(total)[:, 0] + top[:, 0] - moved[np.arange(n), codes]).mean())
        slope = (parts / total - truth) / n
        away = (scale - start) / start
        loss += RIDGE * float((away**2).mean())
        return loss, np.concatenate([(slope * center).sum(0) + 2 * RIDGE * away / start / k, slope.sum(0)])

    bounds = [(1e-3, None)] * k + [(-30.0, 30.0)] * k
    found = minimize(cost, np.concatenate([start, np.zeros(k)]), jac=True, method="L-BFGS-B", bounds=bounds)
    return np.asarray(found.x[:k]), np.asarray(found.x[k:] - found.x[k:].mean())


def _isotonic(probs: Array, truth: Array) -> tuple[Floats, Floats]:
    from sklearn.isotonic import IsotonicRegression

    found = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(probs, truth.astype(np.float64))
    return np.asarray(found.X_thresholds_, np.float64), np.asarray(found.y_thresholds_, np.float64)
