"""Plain arrays in: checks of features, rows and labels, and the pool that they make."""

from __future__ import annotations

from typing import Any

import numpy as np

from scarce.dataset import Array, Ints
from scarce.errors import DataError
from scarce.label.query._base import Pool
from scarce.label.query._uncertainty import checked_probs

WHO = "label.query"


def checked_features(embeddings: Any) -> Array:
    """Return features as an (N, D) array, float32 or float64, without a copy where they are that already.

    Raises:
        DataError: no matrix of numbers, or rows that are not finite.
    """
    try:
        rows = np.asarray(embeddings)
    except ValueError:
        rows = np.array(None)
    if rows.dtype.kind not in "fiub" or rows.ndim != 2:
        raise DataError(WHO, f"embeddings are {rows.dtype} of shape {rows.shape}", "wanted is (N, D)", "pass numbers")
    if rows.dtype not in (np.float32, np.float64):
        rows = rows.astype(np.float32)
    for start in range(0, len(rows), 4096):
        bad = ~np.isfinite(rows[start : start + 4096]).all(axis=1)
        if bad.any():
            raise DataError(
                WHO, f"row {start + int(bad.argmax())} of embeddings is not finite", f"{len(rows)} rows are given",
                "leave such rows out, or encode them again",
            )  # fmt: skip
    return rows


def row_numbers(rows: Any, n: int) -> Ints:
    """Return row numbers of a (N,) bool mask or a list of row numbers.

    Raises:
        DataError: a mask of another length, or a number that is no row.
    """
    found = np.asarray(rows)
    if found.dtype == np.bool_:
        if found.shape != (n,):
            raise DataError(WHO, f"a mask has shape {found.shape}", f"there are {n} rows")
        return np.flatnonzero(found)
    found = found.astype(np.int64).reshape(-1) if found.size else np.zeros(0, np.int64)
    if len(found) and (found.min() < 0 or found.max() >= n):
        raise DataError(
            WHO, f"row {found.min() if found.min() < 0 else found.max()} does not exist", f"rows 0 to {n - 1}"
        )
    return np.unique(found)


def checked_count(n: int, left: int) -> int:
    """Return how many can be picked: n, or all that are left.

    Raises:
        DataError: n is below 1, or nothing is left.
    """
    if n < 1:
        raise DataError(WHO, f"{n} samples are asked for", do="ask for 1 or more")
    if left < 1:
        raise DataError(WHO, "no sample is left to ask about", "all have a label or were asked about already")
    return min(int(n), left)


def codes_of(y: Any) -> tuple[Ints, Array]:
    """Return (N,) class codes, -1 = not labeled, and the sorted (K,) classes.

    Args:
        y: (N,) labels; NaN, None, or -1 among whole numbers = not labeled.
    """
    values = np.asarray(y)
    if values.ndim != 1:
        raise DataError(WHO, f"y has shape {values.shape}", "wanted is (N,)")
    if values.dtype.kind == "f":
        missing = np.isnan(values)
    elif values.dtype.kind in "iu":
        missing = values == -1
    else:
        missing = np.array([item is None or item != item for item in values.tolist()], bool)  # noqa: PLR0124  NaN
    codes = np.full(len(values), -1, np.int64)
    classes, codes[~missing] = np.unique(values[~missing], return_inverse=True)
    return codes, classes


def pool_of(
    X: Any, y: Any, needs: tuple[str, ...], *, model: tuple[Any, bool] = (None, True), candidates: Any = None
) -> tuple[Pool, int]:
    """Return the pool of plain arrays, and the row from which its numbers count (candidates that are no rows of X).

    Args:
        X: (N, D) features.
        y: (N,) labels; see :func:`codes_of`.
        needs: what the strategy looks at.
        model: a classifier or None, and whether it is fitted first.
        candidates: (M,) row numbers, (M, D) samples, or None = all rows without a label.
    """
    rows, (codes, classes) = checked_features(X), codes_of(y)
    if len(rows) != len(codes):
        raise DataError(WHO, f"X has {len(rows)} rows and y {len(codes)}", do="give one label, or NaN, for each row")
    first, extra = 0, None if candidates is None else np.asarray(candidates)
    if extra is not None and extra.ndim == 2:
        extra = checked_features(extra)
        if extra.shape[1] != rows.shape[1]:
            raise DataError(WHO, f"candidates have {extra.shape[1]} columns", f"X has {rows.shape[1]}")
        first = len(rows)
        chosen: Ints = np.arange(len(rows), len(rows) + len(extra))
        rows, codes = np.concatenate([rows, extra]), np.concatenate([codes, np.full(len(extra), -1)])
    else:
        chosen = np.flatnonzero(codes < 0) if extra is None else row_numbers(extra, len(rows))
    checked_count(1, len(chosen))
    labeled = np.flatnonzero(codes >= 0)
    probs = fitted = None
    if "pred_probs" in needs:
        fitted, given = fitted_model(rows[labeled], codes[labeled], classes, model)
        judged = checked_probs(given(rows[chosen]))
        probs = np.full((len(rows), judged.shape[1]), np.nan, np.float32)
        probs[chosen] = judged
    names = tuple(str(item) for item in classes)
    return Pool(labels=codes, candidates=chosen, embeddings=rows, pred_probs=probs, classes=names, model=fitted), first


def fitted_model(rows: Array, codes: Ints, classes: Array, model: tuple[Any, bool]) -> tuple[Any, Any]:
    """Return a classifier fitted on labeled rows, and its function from rows to probabilities."""
    clf, fit = model
    if clf is None:
        from scarce.probe import LinearProbe

        if len(classes) < 2:
            raise DataError(
                WHO, f"{len(classes)} classes have a label, and a model needs two", do="ask typi_clust or random first"
            )
        probe = LinearProbe().fit(rows, codes, len(classes))
        return probe, probe.predict_proba
    if not hasattr(clf, "predict_proba"):
        raise DataError(
            WHO, f"{type(clf).__name__} has no predict_proba", do="pass a classifier that gives probabilities"
        )
    if fit:
        from sklearn.base import clone

        clf = clone(clf, safe=False).fit(rows, classes[codes])
    return clf, clf.predict_proba
