"""Which samples the label loop asks about: plugins of ``scarce.label.query``, or a function of your own."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import numpy as np

from scarce.dataset import Dataset, Floats, Ints, Mask
from scarce.errors import DataError, unknown_name

Pick: TypeAlias = Callable[[Dataset, int, int], Ints]
"""``(ds, n, seed) -> rows``: which n rows of ``ds`` to ask about, the most useful first.

Rows that may be asked about are those that are kept and have no label; ``ds["embedding.label"]`` (N, D)
is there, and ``ds["pred_probs.label"]`` (N, K) as soon as two classes have labels.
"""
PROBS: Final = "pred_probs.label"
FEATURES: Final = "embedding.label"
OWN: Final = ("random", "margin")
"""Strategies of the loop itself; all others are plugins."""


def strategy_of(name: str, *, trained: bool) -> tuple[str, Pick]:
    """Return the name of a strategy and the function that picks.

    Args:
        name: ``auto``, one of :data:`OWN`, or a plugin of ``scarce.label.query``.
        trained: whether there are probabilities already; without them ``auto`` and ``margin`` draw at random.

    Raises:
        UnknownNameError: there is no such strategy.
    """
    if name == "auto":
        name = "margin" if trained else "random"
    if name not in OWN:
        raise unknown_name("label", "strategy", name, OWN)
    return ("margin", margin) if name == "margin" and trained else ("random", draw)


def draw(ds: Dataset, n: int, seed: int) -> Ints:
    """Return n rows of the pool drawn at random."""
    return np.random.default_rng(seed).permutation(pool_of(ds))[:n]


def margin(ds: Dataset, n: int, seed: int) -> Ints:
    """Return the n rows whose two likeliest classes are most nearly tied; rows without probabilities come last."""
    rows = pool_of(ds)
    best = np.sort(ds[PROBS][rows], axis=1)[:, -2:]
    tied = np.nan_to_num(best[:, 1] - best[:, 0], nan=np.inf)
    return rows[np.lexsort((np.random.default_rng(seed).random(len(rows)), tied))[:n]]


def pool_of(ds: Dataset) -> Ints:
    """Return the rows that may be asked about."""
    return np.flatnonzero(ds["keep"].astype(bool) & (ds["label"] < 0))


def as_pool(ds: Dataset, free: Mask) -> Dataset:
    """Return the dataset as strategies see it: ``free`` rows have no label, others without one are set aside."""
    known = ds["label"] >= 0
    codes = np.where(free, -1, ds["label"])
    return ds.with_columns({"label": codes, "keep": ds["keep"].astype(bool) & (free | known)})


def chosen(pick: Pick, ds: Dataset, n: int, *, seed: int) -> Ints:
    """Return at most n rows of the pool of :func:`as_pool` that a strategy picks, in its order.

    Raises:
        DataError: it picks something that is not in the pool, or something twice.
    """
    pool = pool_of(ds)
    found = np.asarray(pick(ds, min(n, len(pool)), seed), np.int64)
    strange = int((~np.isin(found, pool)).sum())
    if strange or len(np.unique(found)) < len(found) or len(found) > n:
        what = f"the strategy picked {len(found)} rows, {strange} of them outside the pool or some twice"
        raise DataError("label", what, f"the pool has {len(pool)} rows, {n} were wanted", "return rows of the pool")
    return found


def reasons(head: str, rows: Ints, probs: Floats | None, classes: Sequence[str]) -> list[str]:
    """Return for each row why it is asked, with the model's suggestion in the wording of the audit."""
    if probs is None:
        return [f"label: {head}: no model yet"] * len(rows)
    out = []
    for row in rows:
        order = np.argsort(-np.nan_to_num(probs[row], nan=-1.0))
        first, second = int(order[0]), int(order[1])
        if not np.isfinite(probs[row]).all():
            out.append(f"label: {head}: no features")
            continue
        told = f"more likely {json.dumps(classes[first], ensure_ascii=False)} (probability {probs[row, first]:.2f})"
        out.append(f"label: {head}: {told} than {classes[second]} ({probs[row, second]:.2f})")
    return out
