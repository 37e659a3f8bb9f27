"""Wrong values where the label is a number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from scarce.audit import _shape
from scarce.audit._base import AbstractCheck, Finding, Measurement, ds_embedding, finding, numeric_label
from scarce.dataset import Array, Dataset, Floats, Ints
from scarce.errors import DataError

NEIGHBORS = 50
SMALL = 1_000_000
"""Below so many cells one thread grows the trees: on a busy machine several would mostly wait for each other."""
FREEDOMS = (3.0, 5.0, 10.0, 30.0)
"""Degrees of freedom of the honest errors: how heavy their tails are is chosen by likelihood."""


def number_error_probability(values: Array, predictions: Array) -> Floats:
    """Return (N,) probability that each value is wrong; NaN where there is none.

    Honest errors of the predictions follow a t distribution whose width depends on the predicted value; wrong values
    lie anywhere in the range that occurs. Their share and the tails are estimated.

    Args:
        values: (N,) given numbers; NaN = not labelled.
        predictions: (N,) out-of-sample predictions, finite.

    Raises:
        DataError: the shapes differ, one holds no real numbers, or a prediction is not finite.
    """
    from scipy.stats import t

    who = "audit.number_error"
    given, said = (
        _shape.real_numbers(who, name, array, 1).astype(np.float64)
        for name, array in (("values", values), ("predictions", predictions))
    )
    if given.shape != said.shape:
        raise DataError(who, f"values have shape {given.shape}, predictions {said.shape}", do="pass (N,) twice")
    known = np.flatnonzero(np.isfinite(given))
    if not np.isfinite(said[known]).all():
        raise DataError(who, "a prediction is not finite")
    out = np.full(len(given), np.nan)
    if len(known) < 8:
        out[known] = 0.0
        return out
    rest = given[known] - said[known]
    if not np.any(rest) or not np.ptp(given[known]):  # exact predictions, or one value everywhere
        out[known] = 0.0
        return out
    width = _widths(rest, said[known])
    wild = 1.0 / max(float(np.ptp(given[known])), 1e-12)
    best = -np.inf
    for freedom in FREEDOMS:
        scale = width / t.ppf(0.75, freedom)
        honest = t.pdf(rest / scale, freedom) / scale
        share = 0.05
        for _ in range(200):
            wrong = share * wild / (share * wild + (1 - share) * honest)
            fresh = min(max(float(wrong.mean()), 1e-4), 0.4)
            if abs(fresh - share) < 1e-7:
                break
            share = fresh
        likelihood = float(np.log(share * wild + (1 - share) * honest).sum())
        if likelihood > best:
            best, out[known] = likelihood, share * wild / (share * wild + (1 - share) * honest)
    return out


def _widths(rest: Floats, said: Floats) -> Floats:
    """Return (N,) median sizes of an error: from the 50 errors around each predicted value, and all errors."""
    order = np.argsort(said, kind="stable")
    size = np.abs(rest - np.median(rest))[order]
    overall = max(float(np.median(size)), 1e-9 * float(np.ptp(rest) or 1.0), 1e-12)
    half = min(NEIGHBORS, len(rest)) // 2
    padded = np.pad(size, half, mode="reflect") if len(size) > half else size
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1) if len(size) > half else size[None]
    local = np.median(windows, axis=1)
    out = np.empty(len(rest))
    out[order] = np.sqrt(np.maximum(local, 0.3 * overall) * overall)
    return out


def cross_val_numbers(
    features: Floats, values: Floats, groups: Array | None = None, *, folds: int = 5, seed: int = 0
) -> Floats:
    """Return (N,) out-of-sample predictions: ridge regression, or trees on tables where they err less.

    Args:
        features: (N, D), finite.
        values: (N,), finite.
        groups: (N,) that stay together.
        folds: of the cross-validation.
        seed: of the folds.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    ranks = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    fold = _folds(ranks * min(10, len(values) // folds) // len(values), groups, folds, seed)
    models = [make_pipeline(StandardScaler(), RidgeCV(alphas=np.logspace(-1, 4, 11)))]
    if features.shape[1] <= 300:
        models.append(HistGradientBoostingRegressor(loss="absolute_error", random_state=seed))
    outs = []
    for model in models:
        out = np.empty(len(values))
        with threadpool_limits(1 if features.size < SMALL else None):
            for k in range(folds):
                train = fold != k
                out[~train] = model.fit(features[train], values[train]).predict(features[~train])
        outs.append(out)
    return min(outs, key=lambda out: float(np.abs(out - values).mean()))


def _folds(strata: Ints, groups: Array | None, folds: int, seed: int) -> Ints:
    from scarce import probe

    return np.asarray(probe.fold_of(strata.astype(np.int64), groups, folds, seed=seed))


@final
@dataclass(frozen=True, kw_only=True)
class NumberError(AbstractCheck):
    """Find values that are far from what the features say, where the label is a number.

    Use for regression: grades, weights, ages, prices. Do not use for classes that happen to be written as digits.
    Needs: embedding (N, D), and a label whose classes are more than 20 different numbers, or a column of numbers.
    Writes: score (N,) = probability that the value is wrong; sample findings with the expected value; a data finding
    with the share of wrong values.
    Source: a robust mixture of ours; cleanlab's regression (Zhou et al. 2023) is the comparison.

    Args:
        column: of the values; empty = the label, or ``meta.target`` and the like.
        encoder: whose features; empty = the newest.
        folds: of the cross-validation.
        seed: of the folds.
    """

    needs: ClassVar[tuple[str, ...]] = ("embedding",)
    column: str = ""
    encoder: str = ""
    folds: int = 5
    seed: int = 0

    def unmet(self, ds: Dataset) -> str:
        """Return why it cannot run: nothing holds numbers to be predicted."""
        named = self.column and f"meta.{self.column}" in ds
        if not named and not numeric_label(ds):
            return "it needs a label of more than 20 different numbers" if not self.column else "no such column"
        return super().unmet(ds)

    def measure(self, ds: Dataset) -> Measurement:
        """Return the probability of a wrong value per sample."""
        from scarce.audit.label_error import groups_of_copies

        _, features = ds_embedding(ds, self.encoder)
        values = _shape.numbers_of(ds, f"meta.{self.column}") if self.column else _label_numbers(ds)
        rows = np.flatnonzero(np.isfinite(features).all(axis=1) & np.isfinite(values))
        if len(rows) < max(20, 2 * self.folds):
            raise DataError("audit.number_error", f"only {len(rows)} samples have values and features")
        points, groups = np.asarray(features[rows], np.float64), groups_of_copies(ds, rows)
        said = cross_val_numbers(points, values[rows], groups, folds=self.folds, seed=self.seed)
        score = np.full(len(ds), np.nan)
        score[rows] = wrong = number_error_probability(values[rows], said)
        typical = float(np.median(np.abs(values[rows] - said)))
        flagged = np.flatnonzero(wrong > 0.5)
        why = f"about {100 * wrong.mean():.1f} % of the values are wrong; {len(flagged)} of {len(rows)} are flagged"
        found: list[Finding] = [finding("data", (), float(wrong.mean()), why)]
        for i in flagged[np.argsort(-wrong[flagged], kind="stable")]:
            why = (
                f"labelled {values[rows[i]]:g}, expected about {said[i]:.4g}; half of the values lie within "
                f"{typical:.3g} of what is expected"
            )
            found.append(finding("sample", [ds.ids[rows[i]]], float(wrong[i]), why))
        return Measurement(score, found)


def _label_numbers(ds: Dataset) -> Floats:
    codes = ds["label"]
    values = np.array([float(name) for name in ds.schema.classes], np.float64)
    return np.where(codes >= 0, values[codes], np.nan)
