"""Which samples people are asked about: plugins of ``scarce.label.query``, or a function of your own."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np

from scarce.dataset import Array, Dataset, Floats, Ints, Mask
from scarce.errors import DataError
from scarce.label import query

Pick: TypeAlias = Callable[[Dataset, int, int], Ints]
"""``(ds, n, seed) -> rows``: which n rows of ``ds`` to ask about, the most useful first.

Rows that may be asked about are those that are kept and have no label; ``ds["embedding.label"]`` (N, D)
is there, and ``ds["pred_probs.label"]`` (N, K) as soon as two classes have labels.
"""
PROBS: Final = "pred_probs.label"
FEATURES: Final = "embedding.label"


@dataclass(frozen=True)
class Picked:
    """What a strategy chose.

    Attributes:
        rows: (n,) rows, the first to be asked first.
        strategy: its name.
        why: one sentence a row, "" = none.
        notes: what a person should know about the choice.
        probs: (n, K) of the model that chose, fitted without these rows; None = no model did.
    """

    rows: Ints
    strategy: str
    why: tuple[str, ...]
    notes: tuple[str, ...] = ()
    probs: Array | None = field(default=None, compare=False, repr=False)


def pick(
    ds: Dataset, strategy: str | Pick, n: int, *, settings: Mapping[str, Mapping[str, Any]] | None = None, seed: int
) -> Picked:
    """Return at most n rows of the pool of :func:`as_pool`.

    Args:
        ds: as strategies see it, with features, and with probabilities as soon as there are any.
        strategy: name of a plugin of ``scarce.label.query``, a mix of them, ``auto``, or a function of your own.
        n: how many.
        settings: parameters by strategy.
        seed: of the draw.

    Raises:
        UnknownNameError: there is no such strategy.
        DataError: a function picks something that is not in the pool, or something twice.
    """
    n = min(n, len(pool_of(ds)))
    if not isinstance(strategy, str):
        rows = chosen(strategy, ds, n, seed=seed)
        return Picked(rows, "own", ("",) * len(rows))
    scope = query.Scope(embedding=FEATURES.partition(".")[2])
    batch = query.run(ds, strategy, budget=n, scope=scope, settings=settings, seed=seed)
    return of_batch(ds, batch)


def of_batch(ds: Dataset, batch: query.Batch) -> Picked:
    """Return the questions of a batch by row of the dataset that they were chosen from."""
    rows = ds.rows_of([one.id for one in batch.samples])
    why = tuple(one.why for one in batch.samples)
    return Picked(rows, batch.strategy, why, tuple(batch.notes), batch.probs)


def pool_of(ds: Dataset) -> Ints:
    """Return the rows that may be asked about."""
    return np.flatnonzero(ds["keep"].astype(bool) & (ds["label"] < 0))


def as_pool(ds: Dataset, free: Mask) -> Dataset:
    """Return the dataset as strategies see it: ``free`` rows have no label, others without one are set aside."""
    known = ds["label"] >= 0
    codes = np.where(free, -1, ds["label"])
    return ds.with_columns({"label": codes, "keep": ds["keep"].astype(bool) & (free | known)})


def chosen(own: Pick, ds: Dataset, n: int, *, seed: int) -> Ints:
    """Return at most n rows of the pool of :func:`as_pool` that a strategy picks, in its order.

    Raises:
        DataError: it picks something that is not in the pool, or something twice.
    """
    pool = pool_of(ds)
    found = np.asarray(own(ds, min(n, len(pool)), seed), np.int64)
    strange = int((~np.isin(found, pool)).sum())
    if strange or len(np.unique(found)) < len(found) or len(found) > n:
        what = f"the strategy picked {len(found)} rows, {strange} of them outside the pool or some twice"
        raise DataError("label", what, f"the pool has {len(pool)} rows, {n} were wanted", "return rows of the pool")
    return found


def reasons(head: str, picked: Picked, probs: Floats | None, classes: Sequence[str]) -> list[str]:
    """Return for each row why it is asked, with a model's suggestion in the wording of the audit.

    The model is the one that chose, so that both halves of the sentence say the same.

    Args:
        head: who asks.
        picked: the rows.
        probs: (N, K) of another model that was not fitted on these rows, where none chose; or None.
        classes: K names.
    """
    said = picked.probs if picked.probs is not None else None if probs is None else probs[picked.rows]
    return [
        f"label: {head}: {_suggested(None if said is None else said[place], classes)}" + f"; {why}" * bool(why)
        for place, why in enumerate(picked.why)
    ]


def _suggested(probs: Floats | None, classes: Sequence[str]) -> str:
    if probs is None or not np.isfinite(probs).all():
        return "no model yet" if probs is None else "no features"
    first, second = (int(code) for code in np.argsort(-probs)[:2])
    told = f"more likely {json.dumps(classes[first], ensure_ascii=False)} (probability {probs[first]:.2f})"
    return f"{told} than {classes[second]} ({probs[second]:.2f})"
