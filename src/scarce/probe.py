"""The linear probe: a multinomial logistic model on features, fitted in well under a second.

It is the ledger's instrument, the audit's source of out-of-sample probabilities and the model behind
``train.linear_probe``. Everything it learns (means, scales, principal components, weights) comes from the rows it is
fitted on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from scarce.errors import ConfigError, DataError
from scarce.execute.local import spread
from scarce.loss_spec import CONVEX, LossSpec

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
PLAIN = LossSpec()
ABSENT = -30.0
"""Bias of a class without training rows."""
WIDE, SPARSE = 1024, 0.1
"""From so many columns on, of which at most this share is not 0, products are taken over what is not 0."""


@dataclass(frozen=True)
class Projection:
    """Standardizes features and keeps the leading principal components; fitted on training rows only.

    Attributes:
        mean, scale: (D,) of the training rows.
        basis: (D, P) columns scaled so that the kept components have mean square 1 together.
    """

    mean: Array
    scale: Array
    basis: Array

    @classmethod
    def fit(cls, features: Array, *, components: int = 256) -> Projection:
        """Fit on (N, D) features; P = min(components, D, N - 1), at least 1."""
        if not len(features):
            raise DataError("probe", "there are no rows to fit on", do="check the split and the labels")
        mean = features.mean(0, dtype=np.float64).astype(np.float32)
        scale = features.std(0, dtype=np.float64).astype(np.float32)
        scale = np.where(scale > 1e-6 * max(float(scale.max(initial=0.0)), 1e-12), scale, np.inf).astype(np.float32)
        n, width = features.shape
        most = max(1, min(components, width, n - 1))
        if width <= n:
            power, basis = leading(_covariance(features, mean, scale), most)
        else:
            centred = (features - mean) / scale
            power, left = leading((centred @ centred.T) / np.float32(n), most)
            power = np.maximum(power, 1e-12)
            basis = centred.T @ left / np.sqrt(power * n)
        total = float(power.sum()) or 1.0
        return cls(mean, scale, (basis * np.float32(np.sqrt(most / total))).astype(np.float32))

    @classmethod
    def identity(cls, width: int) -> Projection:
        """Return the projection that changes nothing, for features that are projected already."""
        return cls(np.zeros(width, np.float32), np.ones(width, np.float32), np.eye(width, dtype=np.float32))

    def __call__(self, features: Array) -> Array:
        """Return (N, P) float32 coordinates."""
        projected: Array = ((features - self.mean) / self.scale) @ self.basis
        return projected


@dataclass(frozen=True)
class LinearProbe:
    """Multinomial logistic regression by L-BFGS with any :class:`~scarce.loss_spec.LossSpec`.

    Args:
        l2: weight decay of the mean loss, >= 0.
        iterations: L-BFGS steps at most.
        components: principal components kept when it fits its own projection.
    """

    l2: float = 3e-3
    iterations: int = 60
    components: int = 192

    def fit(  # noqa: PLR0913  one knob each
        self,
        features: Array,
        labels: Array,
        n_classes: int,
        *,
        weights: Array | None = None,
        loss: LossSpec = PLAIN,
        projection: Projection | None = None,
        start: FittedProbe | None = None,
    ) -> FittedProbe:
        """Fit on rows whose label is known.

        Args:
            features: (N, D) float32, finite.
            labels: (N,) codes in [0, K), or (N, K) soft labels that sum to 1.
            n_classes: K.
            weights: (N,) sample weights >= 0.
            loss: class weights, prior and focal exponent.
            projection: reuse one that was fitted on training rows.
            start: begin the search at these weights, fitted with the same projection; saves steps.

        Raises:
            DataError: no rows, or features that are not finite.
        """
        if loss.kind not in CONVEX or loss.smoothing:
            name = "label smoothing" if loss.kind in CONVEX else loss.kind
            raise ConfigError("probe", f"a linear probe is not trained with {name}", f"it knows {', '.join(CONVEX)}",
                              "take a network (finetune), or another loss")  # fmt: skip
        features = np.ascontiguousarray(features, np.float32)
        if not np.isfinite(features).all():
            bad = int((~np.isfinite(features)).any(1).sum())
            raise DataError("probe", f"{bad} of {len(features)} rows have features that are not finite")
        projection = projection or Projection.fit(features, components=self.components)
        rows = projection(features)
        soft = _one_hot(labels, n_classes)
        factor = np.ones(len(rows)) if weights is None else np.asarray(weights, np.float64)
        if loss.class_weights is not None:
            factor = factor * (soft @ np.asarray(loss.class_weights, np.float64))
        present = soft.sum(0) > 0
        begin = np.zeros((rows.shape[1] + 1, n_classes))
        if start is not None:
            begin = np.concatenate([start.coef, np.where(start.bias <= ABSENT, 0.0, start.bias)[None]])
        theta = _minimize(rows, soft, factor, (loss, begin), self)
        coef, bias = theta[:-1], theta[-1]
        if loss.moved is not None:
            bias = bias - np.asarray(loss.moved)
        bias = np.where(present, bias, ABSENT)
        return FittedProbe(projection, coef.astype(np.float32), bias.astype(np.float64))


@dataclass(frozen=True)
class FittedProbe:
    """A fitted probe.

    Attributes:
        projection: from D features to P coordinates.
        coef: (P, K); bias: (K,). Classes without training rows have bias -30.
    """

    projection: Projection
    coef: Array
    bias: Array

    def logits(self, features: Array) -> Array:
        """Return (N, K) float64 logits."""
        out: Array = (self.projection(np.asarray(features, np.float32)) @ self.coef).astype(np.float64) + self.bias
        return out

    def predict_proba(self, features: Array) -> Array:
        """Return (N, K) float64 probabilities."""
        return softmax(self.logits(features))


def leading(covariance: Array, most: int) -> tuple[Array, Array]:
    """Return the largest eigenvalues (P,), falling, and their vectors (D, P) of a symmetric matrix (D, D).

    A wide matrix of which few are wanted takes subspace iteration (Halko, Martinsson and Tropp 2011); between the steps
    triangular factors keep the columns apart, which spans the same space as orthogonal ones and costs a twentieth. The
    start is fixed, so the same matrix gives the same answer.
    """
    width = len(covariance)
    if width <= 512 or 4 * most > width:
        values, vectors = np.linalg.eigh(covariance)
        return np.maximum(values[::-1][:most], 0), vectors[:, ::-1][:, :most]
    from scipy.linalg import lu

    span = np.random.default_rng(0).standard_normal((width, most + 32)).astype(covariance.dtype)
    for _ in range(8):
        span = lu(covariance @ span, permute_l=True, overwrite_a=True, check_finite=False)[0]
    span = _upright(span)
    values, vectors = np.linalg.eigh(span.T @ covariance @ span)
    return np.maximum(values[::-1][:most], 0), span @ vectors[:, ::-1][:, :most]


def _upright(span: Array) -> Array:
    """Return orthonormal columns that span the same space as well-conditioned ones, by Cholesky in float64."""
    from scipy.linalg import solve_triangular

    exact = span.astype(np.float64)
    lower = np.linalg.cholesky(exact.T @ exact)
    return np.asarray(solve_triangular(lower, exact.T, lower=True, check_finite=False).T, span.dtype)


def _covariance(features: Array, mean: Array, scale: Array) -> Array:
    """Return (D, D) float32 products of standardized columns over N; where nearly all is 0, only the rest is read."""
    n = np.float32(len(features))
    if features.shape[1] < WIDE or np.count_nonzero(features) > SPARSE * features.size:
        centred = (features - mean) / scale
        return np.asarray((centred.T @ centred) / n)
    from scipy import sparse

    rows = sparse.csr_array(features.astype(np.float64))
    out = (rows.T @ rows).toarray()
    middle = features.mean(0, dtype=np.float64)
    out -= n * np.outer(middle, middle)
    return np.asarray(out / np.outer(n * scale, scale), np.float32)


def softmax(logits: Array) -> Array:
    """Return (N, K) probabilities."""
    shifted = logits - logits.max(1, keepdims=True)
    power = np.exp(shifted)
    out: Array = power / power.sum(1, keepdims=True)
    return out


def _one_hot(labels: Array, n_classes: int) -> Array:
    if labels.ndim == 2:
        return np.asarray(labels, np.float64)
    out = np.zeros((len(labels), n_classes))
    out[np.arange(len(labels)), labels] = 1.0
    return out


def _minimize(rows: Array, soft: Array, factor: Array, task: tuple[LossSpec, Array], probe: LinearProbe) -> Array:
    from scipy.optimize import minimize

    from scarce._logistic import loss_and_slope

    loss, begin = task
    width, k = rows.shape[1], soft.shape[1]
    prior = np.zeros(k) if loss.prior is None else np.asarray(loss.prior, np.float64)
    gamma = float(loss.gamma) if loss.kind == "focal" else 0.0
    targets, share = soft.astype(np.float32), factor / (float(factor.sum()) or 1.0)
    logits, slope = np.empty((len(rows), k), np.float32), np.empty((len(rows), k), np.float32)

    def cost(flat: Array) -> tuple[float, Array]:
        theta = flat.reshape(width + 1, k)
        np.matmul(rows, theta[:-1].astype(np.float32), out=logits)
        value = loss_and_slope(logits, theta[-1] + prior, targets, share, gamma, slope)
        grad = np.empty_like(theta)
        grad[:-1] = rows.T @ slope + probe.l2 * theta[:-1]
        grad[-1] = slope.sum(0, dtype=np.float64)
        return value + 0.5 * probe.l2 * float((theta[:-1] ** 2).sum()), grad.ravel()

    found = minimize(
        cost, begin.ravel(), jac=True, method="L-BFGS-B",
        options={"maxiter": probe.iterations, "maxcor": 10, "gtol": 1e-5, "ftol": 1e-7},
    )  # fmt: skip
    out: Array = found.x.reshape(width + 1, k)
    return out


def fold_of(labels: Array, groups: Array | None, folds: int, *, seed: int) -> Array:
    """Assign every row to a fold: whole groups, stratified by class, the rare classes first.

    Args:
        labels: (N,) codes; -1 = unlabelled (spread evenly).
        groups: (N,) group names or None; rows whose group is None stand alone.
        folds: number of folds F >= 2.
        seed: the assignment is a function of seed and inputs only.

    Returns:
        (N,) fold numbers in [0, F).
    """
    rng = np.random.default_rng([seed, folds])
    codes = labels - labels.min(initial=0)
    k = int(codes.max(initial=0)) + 1
    member = _group_numbers(groups, len(labels))
    n_groups = int(member.max(initial=-1)) + 1
    table = np.zeros((n_groups, k))
    np.add.at(table, (member, codes), 1.0)
    totals = np.maximum(table.sum(0), 1.0)
    rarity = np.where(table > 0, totals, np.inf).min(1)
    order = np.lexsort((rng.random(n_groups), -table.sum(1), rarity))
    filled = np.zeros((folds, k))
    chosen = np.zeros(n_groups, np.int64)
    scale = 1.0 / totals
    size = np.zeros(folds)
    for group in order:
        row = table[group]
        here = row > 0
        load = (filled[:, here] * scale[here]).sum(1)
        noise = rng.random(folds)
        best = int(np.lexsort((noise, size, np.round(load, 9)))[0])
        chosen[group] = best
        filled[best] += row
        size[best] += row.sum()
    return chosen[member]


def _group_numbers(groups: Array | None, n: int) -> Array:
    if groups is None:
        return np.arange(n)
    lone = np.array([group is None for group in groups], bool)
    numbers = np.zeros(n, np.int64)
    known, inverse = np.unique(groups[~lone].astype(str), return_inverse=True)
    numbers[~lone] = inverse
    numbers[lone] = len(known) + np.arange(int(lone.sum()))
    return numbers


def cross_val_probs(  # noqa: PLR0913  one knob each
    features: Array,
    labels: Array,
    n_classes: int,
    *,
    groups: Array | None = None,
    folds: int = 5,
    seed: int = 0,
    probe: LinearProbe | None = None,
    projection: Projection | None = None,
    workers: int | None = None,
) -> Array:
    """Return (N, K) out-of-sample probabilities: no row was seen by the model that judges it.

    Rows with label -1 are predicted too, but never fitted on. With fewer rows than folds the folds shrink.

    Raises:
        DataError: fewer than two labelled groups.
    """
    known = labels >= 0
    member = _group_numbers(groups, len(labels))
    n_groups = len(np.unique(member[known]))
    if n_groups < 2:
        raise DataError(
            "probe", f"cross-validation needs 2 labelled groups, there {'is' if n_groups == 1 else 'are'} {n_groups}",
            "samples of one group are never parted; copies of one another are one group",
            "add labelled samples of other parts, lots or scenes",
        )  # fmt: skip
    place = fold_of(labels, groups, min(folds, n_groups), seed=seed)
    probe = probe or LinearProbe()
    out = np.full((len(labels), n_classes), 1.0 / n_classes)

    def judge(fold: int) -> None:
        train, test = (place != fold) & known, place == fold
        if train.any():
            fitted = probe.fit(features[train], labels[train], n_classes, projection=projection)
            out[test] = fitted.predict_proba(features[test])

    spread(judge, [int(fold) for fold in np.unique(place)], workers=workers)
    return out


def probabilities_of(probes: Sequence[FittedProbe], features: Array) -> Array:
    """Return the mean probabilities (N, K) of several probes."""
    out: Array = np.mean([probe.predict_proba(features) for probe in probes], axis=0)
    return out
