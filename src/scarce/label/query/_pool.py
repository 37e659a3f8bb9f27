"""From a data set to the pool that a strategy sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from scarce.dataset import Array, Dataset, Floats, Ints, Mask
from scarce.errors import DataError, unknown_name
from scarce.label.query._base import Pool

WHO: Final = "label.query"
EVALUATED: Final = ("val", "test")
COST: Final = "meta.cost"


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What may be asked about and by whom it is judged.

    Attributes:
        asked: ids that were asked about already and wait for an answer.
        include: names of evaluated splits that may be asked about after all: ``val``, ``test``.
        model: name of ``pred_probs.<model>``; empty = a linear probe on the labels that are there.
        embedding: name of ``embedding.<encoder>``; empty = the newest.
        cost: (N,) cost of a label; None = the column ``meta.cost``, if there is one.
        copies: features whose cosine about the mean reaches this are copies; above 1 = not looked at.
    """

    asked: Sequence[str] = ()
    include: Sequence[str] = ()
    model: str = ""
    embedding: str = ""
    cost: Any = None
    copies: float = 0.98

    def __post_init__(self) -> None:
        """Refuse unknown splits."""
        for name in self.include:
            if name not in EVALUATED:
                raise unknown_name(WHO, "split to include", name, EVALUATED)


def pool_of(ds: Dataset, scope: Scope, notes: list[str]) -> tuple[Pool, Ints]:
    """Return the pool of a data set, without a model, and the row of the data set behind each of its rows.

    Raises:
        DataError: nothing is left to ask about, or costs make no sense.
    """
    split = ds["split"].astype(str)
    usable = ds["keep"].astype(bool) & (ds["origin"] == "real")
    evaluated = np.isin(split, EVALUATED)
    shut = np.isin(split, [name for name in EVALUATED if name not in scope.include])
    asked = np.isin(ds.ids.astype(str), list(scope.asked))
    known = usable & (ds["label"] >= 0) & ~evaluated
    may = usable & (ds["label"] < 0) & ~shut & ~asked
    features = _features(ds, scope.embedding)
    if features is not None and not np.isfinite(features).all():
        here = np.isfinite(features).all(axis=1)
        lost = int((may & ~here).sum())
        if lost:
            notes.append(f"{lost} samples have no features (they could not be opened) and are not asked about")
        known, may, asked = known & here, may & here, asked & here
    if not may.any():
        raise DataError(
            WHO, "no sample is left to ask about", _where(ds, usable, shut, asked), _advice(ds, usable & shut)
        )
    rows = np.flatnonzero(known | may | (asked & usable & (ds["label"] < 0)))
    cost = _costs(ds, scope.cost, may, notes)
    names = _names(ds)
    pool = Pool(
        labels=np.where(known, ds["label"], -1)[rows],
        candidates=np.flatnonzero(may[rows]),
        asked=np.flatnonzero((asked & ~may & ~known)[rows]),
        embeddings=features if features is None or len(rows) == len(ds) else features[rows],
        classes=ds.schema.classes,
        names=names[rows],
        cost=None if cost is None else cost[rows],
    )
    return pool, rows


def _names(ds: Dataset) -> Array:
    return np.array([uri or name for uri, name in zip(ds["uri"], ds.ids, strict=True)], object)


def _features(ds: Dataset, name: str) -> Floats | None:
    found = [column for column in ds.wide if column.startswith("embedding.")]
    if name and f"embedding.{name}" not in found:
        raise unknown_name(WHO, "embedding", name, [column.partition(".")[2] for column in found])
    return np.asarray(ds.wide[f"embedding.{name}" if name else found[-1]], np.float32) if found else None


def _where(ds: Dataset, usable: Mask, shut: Mask, asked: Mask) -> str:
    """Return where all the samples are, for people."""
    labeled = usable & ~shut & (ds["label"] >= 0)
    counts = {
        "labeled": labeled, "in val or test": usable & shut, "asked about already": usable & ~shut & ~labeled & asked,
        "set aside or waiting for an answer": ~ds["keep"].astype(bool),
    }  # fmt: skip
    said = ", ".join(f"{int(mask.sum())} {name}" for name, mask in counts.items() if mask.any())
    return f"of {len(ds)} samples: {said}" if said else f"there are {len(ds)} samples"


def _advice(ds: Dataset, shut: Mask) -> str:
    spare = int((shut & (ds["label"] < 0)).sum())
    if spare:
        return f"add samples, or name val or test to include their {spare} unlabeled ones"
    return "add samples, or answer what waits: scarce label"


def _costs(ds: Dataset, given: Any, may: Mask, notes: list[str]) -> Floats | None:
    """Return (N,) costs, checked where samples may be asked about.

    Raises:
        DataError: another length, or a cost that is no number above 0.
    """
    if given is None and COST not in ds:
        return None
    try:
        cost = np.asarray(ds[COST] if given is None else given, np.float64)
    except (TypeError, ValueError):
        cost = np.array(
            [np.nan if not _number(item) else float(item) for item in (ds[COST] if given is None else given)]
        )
    if given is None:
        notes.append(f"costs of labels are those of the column {COST}; the budget is in the same unit")
    if cost.shape != (len(ds),):
        raise DataError(WHO, f"cost has shape {cost.shape}", f"there are {len(ds)} samples", "give one cost a sample")
    bad = np.flatnonzero(may & ~((cost > 0) & np.isfinite(cost)))
    if len(bad):
        name = _names(ds)[bad[0]]
        raise DataError(
            WHO, f"the cost of {name} is {cost[bad[0]]:g}", f"{len(bad)} of {int(may.sum())} samples have such a cost",
            "give a number above 0 for each sample that may be asked about",
        )  # fmt: skip
    return cost


def _number(item: Any) -> bool:
    try:
        float(item)
    except (TypeError, ValueError):
        return False
    return True


def with_model(ds: Dataset, pool: Pool, rows: Ints, scope: Scope) -> Pool | str:
    """Return the pool with out-of-sample probabilities of its candidates, or why there are none.

    Args:
        ds: the data set.
        pool: of :func:`pool_of`.
        rows: of :func:`pool_of`.
        scope: names the model.

    Raises:
        UnknownNameError: there is no such model.
        DataError: its probabilities are missing for a candidate.
    """
    from dataclasses import replace

    found = [column for column in ds.wide if column.startswith("pred_probs.")]
    if scope.model or (pool.embeddings is None and found):
        name = f"pred_probs.{scope.model}" if scope.model else found[-1]
        if name not in found:
            raise unknown_name(WHO, "model", scope.model, [column.partition(".")[2] for column in found])
        probs = np.asarray(ds.wide[name][rows], np.float32)
        here: Array = np.asarray(np.isfinite(probs).all(axis=1))
        lost = pool.candidates[~here[pool.candidates]]
        if len(lost):
            raise DataError(
                WHO, f"{name} has no probabilities for {pool.name(lost[0])}",
                f"{len(lost)} of {len(pool.candidates)} samples have none", "predict all of them, or name no model",
            )  # fmt: skip
        return replace(pool, pred_probs=probs)
    if pool.embeddings is None:
        return "there are no features and no predictions"
    codes = pool.labels[pool.labeled]
    classes = len(np.unique(codes))
    if classes < 2:
        return f"{len(codes)} samples of {classes} classes have a label, and a model needs two classes"
    return replace(pool, **_probe(pool, ds, rows))


def _probe(pool: Pool, ds: Dataset, rows: Ints) -> dict[str, Any]:
    """Fit the linear probe on what is labeled and ask it about the candidates and what was asked about."""
    from scarce.probe import LinearProbe, Projection

    features: Array = pool.features
    k = len(pool.classes)
    soft: Array = np.eye(k, dtype=np.float32)[pool.labels[pool.labeled]]
    if "label_probs" in ds:
        told = ds["label_probs"][rows[pool.labeled]]
        whole: Array = np.asarray(np.isfinite(told).all(axis=1))
        soft[whole] = told[whole]
    judged = np.concatenate([pool.candidates, pool.asked])
    some = np.sort(np.concatenate([pool.labeled, judged]))
    projection = Projection.fit(features[some[:: max(1, len(some) // 20_000)]], components=192)
    model = LinearProbe().fit(features[pool.labeled], soft, k, projection=projection)
    probs = np.full((len(pool.labels), k), np.nan, np.float32)
    for start in range(0, len(judged), 1 << 16):
        part = judged[start : start + (1 << 16)]
        probs[part] = model.predict_proba(features[part])
    return {"pred_probs": probs, "model": model}
