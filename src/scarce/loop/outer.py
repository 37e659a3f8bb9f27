"""``--test cv``: pooled outer folds, the whole plan chosen again inside each, for classes too small for a test set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from scarce import progress
from scarce.ballot import vouched
from scarce.dataset import Array
from scarce.folds import groups_of
from scarce.loop.fitting import fit_after, training_view
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


def pooled_folds(  # noqa: PLR0917  the run's parts
    project: Project, ready: Ready, trainer: str, options: Options, clock: Clock, more: Mapping[str, Any]
) -> Pooled:
    """Choose the plan and fit the trainer anew inside each outer fold and predict the fold that was left out.

    ``more`` is what :func:`scarce.loop.fitting.fit_after` is told beside.
    """
    from scarce.loop.conclude import plan_for
    from scarce.loop.weigh import weigh

    ds = ready.dataset
    good = ds["keep"].astype(bool) & (ds["origin"] == "real") & vouched(ds)
    rows = np.flatnonzero(good & np.isfinite(ds[ready.embedding]).all(1))
    everyone = groups_of(ds)
    groups = everyone[rows]
    place = fold_of(ds["label"][rows], groups, min(options.folds, len(set(groups))), seed=options.seed + 17)
    k = len(ds.schema.classes)
    before, after = np.full((len(rows), k), np.nan), np.full((len(rows), k), np.nan)
    kept: list[tuple[str, ...]] = []
    inner = replace(options, repeats=options.repeats or 2)
    for fold in progress.track(np.unique(place), "outer folds"):
        inside = place == fold
        split = ds["split"].copy()
        split[rows[~inside]], split[rows[inside]] = "train", "test"
        split[np.isin(everyone, groups[inside]) & ~good] = "pool"  # labels of models, in a group that is judged
        here = replace(ready, dataset=ds.with_columns({"split": split}))
        weighed = weigh(project, here, inner, clock)
        kept.append(weighed.ledger.kept)
        view = training_view(weighed.dataset)
        held = weighed.dataset.fold((), ds.ids[rows[inside]]).eval
        plans = ((before, (), False), (after, plan_for(trainer, weighed, []), True))
        for out, plan, calibrate in plans:
            model = fit_after(view, trainer, ready.embedding, plan, calibrate=calibrate, **more)
            out[inside] = model.predict_proba(held.take(held.rows_of(ds.ids[rows[inside]])))
    return Pooled(ds.ids[rows], before, after, place, tuple(kept))
