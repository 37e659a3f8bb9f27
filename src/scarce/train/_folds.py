"""Answers of models that did not see what they judge: for temperature and threshold of what is quick to fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from scarce.ballot import vouched
from scarce.dataset import Dataset, Floats, FoldView, Ints
from scarce.execute.local import spread
from scarce.probe import fold_of
from scarce.train._base import TrainRows
from scarce.train._validation import family_folds, group_names, learned_shares, verdict
from scarce.train.model import Model

FEWEST = 10
"""With fewer real labelled samples nothing is judged."""
BELOW = 30.0
"""How far below all others the logit of a class without training samples lies."""


def out_of_fold(
    train: Dataset, used: TrainRows, judge: Callable[[TrainRows, Ints], Floats], *, folds: int, seed: int
) -> tuple[Floats, Ints]:
    """Return (M, K) logits of the real labelled rows that were fitted on, and their (M,) row numbers.

    Args:
        train: the training side.
        used: all rows that are fitted on.
        judge: (rows to fit on, row numbers to judge) -> (m, K) logits; it is called from several threads.
        folds: whole groups are left out together; 0 = judge nothing.
        seed: of the folds.
    """
    n_classes = used.soft.shape[1]
    empty: tuple[Floats, Ints] = (np.zeros((0, n_classes)), np.zeros(0, np.int64))
    real = np.zeros(len(train), bool)
    real[used.rows] = True
    real &= (train["origin"] == "real") & vouched(train)
    if not folds or real.sum() < FEWEST:
        return empty
    groups = group_names(train)
    place = np.full(len(train), -1)
    place[real] = fold_of(train["label"][real], groups[real], max(2, folds), seed=seed)
    families = family_folds(train, groups, dict(zip(groups[real], place[real], strict=True)))

    def one(fold: int) -> tuple[Floats, Ints]:
        inside = used.only(np.array([fold not in families[row] for row in used.rows], bool))
        if not len(inside.rows) or (inside.soft.sum(0) > 0).sum() < 2:
            return empty
        judged = np.flatnonzero(place == fold)
        return judge(inside, judged), judged

    parts = spread(one, [int(fold) for fold in np.unique(place[real])])
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def calibrated(
    model: Model, view: FoldView, used: TrainRows, judge: Callable[[TrainRows, Ints], Floats], *, folds: int, seed: int
) -> Model:
    """Return the model with the temperature, the metrics and the threshold that out-of-fold answers tell."""
    train = view.train
    logits, judged = out_of_fold(train, used, judge, folds=folds, seed=seed)
    good = np.isfinite(logits).all(1)
    logits, judged = logits[good], judged[good]
    if not len(judged):
        return model
    virtual = model.card.get("virtual_rows") or {}
    counts = used.counts + np.array([virtual.get(name, 0) for name in train.schema.classes])
    learned = learned_shares(counts, model.card.get("loss") or {})
    labels, groups = train["label"][judged], group_names(train)[judged]
    found, told = verdict(logits, labels, model.card, learned=learned, groups=groups)
    return replace(model, card={**model.card, **found}, held_out=told, held_ids=train.ids[judged], held_logits=logits)


def absent(names: Sequence[str], used: TrainRows) -> list[str]:
    """Return the classes without a training sample."""
    return [name for name, count in zip(names, used.soft.sum(0), strict=True) if not count]


def far_below(logits: Floats, codes: Any) -> Floats:
    """Return (N, K) logits in which classes that nothing was learnt of are far below all others."""
    if len(codes):
        logits[:, codes] = np.nan_to_num(logits.min(1, keepdims=True, initial=0.0)) - BELOW
    return logits
