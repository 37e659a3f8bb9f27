"""``--test cv``: pooled outer folds, the whole plan chosen again inside each, for classes too small for a test set."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from scarce import progress
from scarce.dataset import Array, Dataset
from scarce.decision import fold_of_view, train_set
from scarce.ledger import groups_of
from scarce.loop.options import Clock, Options
from scarce.loop.prepare import Ready
from scarce.probe import fold_of

if TYPE_CHECKING:
    from scarce.project import Project


@dataclass(frozen=True)
class Pooled:
    """Predictions of every usable sample by models whose data and plan never saw its group.

    Attributes:
        ids: (n,) samples; ``before`` and ``after``: (n, K) probabilities of baseline and plan.
        folds: (n,) outer fold of each sample.
        kept: per outer fold, the decisions that its own ledger kept.
    """

    ids: Array
    before: Array
    after: Array
    folds: Array
    kept: tuple[tuple[str, ...], ...]


def pooled_folds(project: Project, ready: Ready, options: Options, clock: Clock) -> Pooled:
    """Choose and fit the plan anew inside each outer fold and predict the fold that was left out."""
    from scarce.loop.weigh import weigh

    ds = ready.dataset
    good = ds["keep"].astype(bool) & (ds["origin"] == "real") & (ds["label"] >= 0)
    rows = np.flatnonzero(good & np.isfinite(ds[ready.embedding]).all(1))
    groups = groups_of(ds)[rows]
    place = fold_of(ds["label"][rows], groups, min(options.folds, len(set(groups))), seed=options.seed + 17)
    k = len(ds.schema.classes)
    before, after = np.full((len(rows), k), np.nan), np.full((len(rows), k), np.nan)
    kept: list[tuple[str, ...]] = []
    inner = replace(options, repeats=options.repeats or 2)
    for fold in progress.track(np.unique(place), "outer folds"):
        inside = place == fold
        split = ds["split"].copy()
        split[rows[~inside]], split[rows[inside]] = "train", "test"
        here = replace(ready, dataset=ds.with_columns({"split": split}))
        weighed = weigh(project, here, inner, clock)
        kept.append(weighed.ledger.kept)
        for out, decisions in ((before, ()), (after, weighed.decisions)):
            out[inside] = _predict(
                weighed.dataset, weighed.instrument, ds.ids[rows[~inside]], ds.ids[rows[inside]], decisions
            )
    return Pooled(ds.ids[rows], before, after, place, tuple(kept))


def _predict(ds: Dataset, instrument: Any, train: Array, held: Array, decisions: Any) -> Array:
    fold, points = fold_of_view(ds.fold(train, held), instrument.embedding, 0, instrument.probe.components)
    out: Array = instrument.fit(fold, train_set(fold, decisions)).predict_proba(points)
    return out
