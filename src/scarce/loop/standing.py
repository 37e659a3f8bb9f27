"""How good a model is on what is labelled so far, with its interval, without spending looks at the test set.

By default the validation split is judged. Where it holds no labels, labelled training rows are judged out of fold, by
models that see labels of people only: a machine's label of one row may come from the very label that is judged. Only
rows that were drawn at random count: samples that a strategy picked are hard on purpose, and a figure about them says
nothing about the pool. The test split is judged only when asked for, and the look is counted.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from scarce import metric as metrics
from scarce.dataset import Array, Dataset, Floats, Mask
from scarce.errors import ConfigError
from scarce.metric.interval import cluster_bootstrap
from scarce.probe import LinearProbe, Projection, cross_val_probs

if TYPE_CHECKING:
    from scarce.project import Project

JUDGES: Final = ("auto", "val", "folds", "test")
FEW: Final = 20
"""Below so many labelled rows nothing is judged on them."""
PROBE: Final = LinearProbe()
MOST_ROWS: Final = 10_000
"""Rows that the axes are fitted on."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How good it is now.

    Attributes:
        labels: kept real rows outside val and test whose label a person stands behind.
        judged_on: ``val``, ``folds``, ``test``, or ``nothing``.
        n: rows that were judged.
        metric: the project's metric.
        value, low, high: of the metric; None where nothing was judged.
        accuracy, accuracy_low, accuracy_high: share of right ones.
        note: what to keep in mind about the figure.
    """

    labels: int
    metric: str
    judged_on: str = "nothing"
    n: int = 0
    value: float | None = None
    low: float | None = None
    high: float | None = None
    accuracy: float | None = None
    accuracy_low: float | None = None
    accuracy_high: float | None = None
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def spoken(ds: Dataset) -> Mask:
    """Return (N,) bool: kept real rows whose label a person stands behind."""
    from scarce.label import _write

    real = ds["keep"].astype(bool) & (ds["origin"] == "real")
    return np.asarray(real & _write.spoken(ds))


def learnt_from(ds: Dataset) -> Mask:
    """Return (N,) bool: kept real labelled rows outside val and test, whoever labelled them."""
    return np.asarray(_open(ds) & (ds["label"] >= 0))


def _open(ds: Dataset) -> Mask:
    """Return (N,) bool: kept real rows outside val and test."""
    real = ds["keep"].astype(bool) & (ds["origin"] == "real")
    return np.asarray(real & ~np.isin(ds["split"].astype(str), ("val", "test")))


def _axes(features: Array, rows: Mask) -> Projection | None:
    """Return the principal axes of some rows; None where there are too few of them."""
    places = np.flatnonzero(rows)
    if len(places) <= PROBE.components:
        return None
    return Projection.fit(features[places[:: -(-len(places) // MOST_ROWS)]], components=PROBE.components)


def probabilities(ds: Dataset, features: Array) -> Floats | None:
    """Return (N, K) probabilities of a linear probe on all labelled rows; None while fewer than two classes have any.

    The axes are those of all rows outside val and test, labelled or not, which is worth points where labels are few.
    Rows that it was fitted on are not out of sample: where a question is to be answered, take the label of its row away
    first, as :func:`scarce.loop.picking.as_pool` does. Rows without features are NaN.
    """
    good = np.isfinite(features).all(1)
    rows = learnt_from(ds) & good
    if len(np.unique(ds["label"][rows])) < 2:
        return None
    axes = _axes(features, _open(ds) & good)
    fitted = PROBE.fit(features[rows], ds["label"][rows], len(ds.schema.classes), projection=axes)
    out = np.full((len(ds), len(ds.schema.classes)), np.nan)
    out[good] = fitted.predict_proba(features[good])
    return out


def judge(
    project: Project, ds: Dataset, features: Array, *, judge_on: str = "auto", picked: Collection[str] = (),
    seed: int = 0,
) -> Standing:  # fmt: skip
    """Return how good a linear probe on all labels is.

    Args:
        project: whose metric is used, and whose looks are counted.
        ds: N rows.
        features: (N, D); rows with NaN are left out.
        judge_on: one of :data:`JUDGES`.
        picked: ids of samples that a strategy chose, which no figure about the pool may count.
        seed: of folds and bootstrap.

    Raises:
        ConfigError: there is no such judge.
    """
    if judge_on not in JUDGES:
        raise ConfigError("label", f"judge = {judge_on!r}", f"it may be {', '.join(JUDGES)}")
    name = project.config.project.metric
    unknown = nothing(project, ds)
    good = np.isfinite(features).all(1)
    held = {part: spoken(ds) & good & (ds["split"] == part) for part in ("val", "test")}
    place = judge_on if judge_on != "auto" else "val" if held["val"].sum() >= FEW else "folds"
    if place == "folds":
        rows, probs, note = _out_of_fold(ds, features, picked, seed)
    else:
        rows, note = held[place], ""
        found = probabilities(ds, features)
        probs = np.zeros((0, 0)) if found is None else found[rows]
        if len(probs) and place == "test":
            project.state.count_test_look(version=project.head or "", why="label: --judge test", metric=name)
    if len(probs) == 0 or rows.sum() < FEW:
        return replace(unknown, note=note or f"fewer than {FEW} labelled rows to judge on")
    return _scored(ds, rows, probs, replace(unknown, judged_on=place, note=note), seed)


def nothing(project: Project, ds: Dataset | None = None) -> Standing:
    """Return how many labels there are, and no judgement."""
    ds = project.dataset() if ds is None else ds
    mine = spoken(ds) & ~np.isin(ds["split"].astype(str), ("val", "test"))
    return Standing(labels=int(mine.sum()), metric=project.config.project.metric)


def _out_of_fold(ds: Dataset, features: Array, picked: Collection[str], seed: int) -> tuple[Mask, Array, str]:
    """Return the judged rows, their out-of-fold probabilities (n, K), and a note."""
    known = learnt_from(ds) & spoken(ds) & np.isfinite(features).all(1)
    rows = np.flatnonzero(known)
    if len(np.unique(ds["label"][rows])) < 2 or len(rows) < FEW:
        return np.zeros(len(ds), bool), np.zeros((0, 0)), "too few labels yet"
    drawn = known & ~np.isin(ds.ids.astype(str), list(picked))
    note = "judged out of fold on labels that were not picked by a strategy"
    if drawn.sum() < FEW:
        drawn, note = known, (
            "judged out of fold on picked samples: they are harder than the pool, so the figure is no estimate for it"
        )  # fmt: skip
    groups = ds["split_group"][rows] if "split_group" in ds else None
    axes = _axes(features, _open(ds) & np.isfinite(features).all(1) & ~spoken(ds))  # not of rows it is judged on
    probs = cross_val_probs(
        features[rows], ds["label"][rows], len(ds.schema.classes), groups=groups, seed=seed, probe=PROBE,
        projection=axes,
    )  # fmt: skip
    return drawn, probs[drawn[rows]], note


def _scored(ds: Dataset, rows: Mask, probs: Array, empty: Standing, seed: int) -> Standing:
    """Return the figures with the intervals of the evaluation, which are never empty, not even where all is right."""
    from scarce import evaluate

    report = evaluate.run(ds.fold((), ds.ids[rows]), probs, seed=seed)
    right = report.accuracy
    scored = getattr(report, empty.metric, None) or _other(ds.take(rows), probs, empty.metric, seed)
    return Standing(**{
        **empty.to_json(), "n": report.n, "value": scored["value"],
        "low": _edge(scored["low"], 0.0), "high": _edge(scored["high"], 1.0),
        "accuracy": right["value"], "accuracy_low": right["low"], "accuracy_high": right["high"],
    })  # fmt: skip


def _other(ds: Dataset, probs: Array, name: str, seed: int) -> dict[str, float]:
    """Return a score that the evaluation does not have, with its bootstrap over whole groups."""
    groups = ds["split_group"] if "split_group" in ds else np.full(len(ds), None, object)
    setting = metrics.Setting(normal=tuple(ds.schema.classes.index(name) for name in ds.schema.normal_classes))
    score = metrics.weighted(name)
    found = cluster_bootstrap(
        groups, lambda draws: score(ds["label"], probs, draws, setting), repeats=1000, seed=seed, strata=ds["label"]
    )  # fmt: skip
    return {"value": found.value, "low": found.low, "high": found.high}


def _edge(value: float | None, otherwise: float) -> float:
    """Return a bound, or what is always true of a share where there is none."""
    return otherwise if value is None or np.isnan(value) else float(value)
