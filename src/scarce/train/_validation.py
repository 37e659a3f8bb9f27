"""Real samples of the training side that are held back: for early stopping, the temperature and the threshold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from scarce.ballot import vouched
from scarce.dataset import Array, Dataset, Floats, Ints, Mask
from scarce.errors import DataError
from scarce.metric.calibration import expected_calibration_error, fit_temperature, with_prior
from scarce.metric.confusion import balanced_accuracy, macro_f1
from scarce.metric.interval import clopper_pearson
from scarce.metric.ranking import beside, threshold_at_false_positive_rate
from scarce.probe import fold_of, softmax

FALSE_POSITIVE_RATE = 0.01
TRUSTED = 30
"""With this many held-back samples the temperature is believed by half; with few it stays near 1."""


def held_back(train: Dataset, *, share: float, seed: int) -> Mask:
    """Return which rows of the training side are held back: whole groups of real labelled samples.

    Labels of rules and models are never held back: they are no truth to stop or to set a threshold by.
    Rows whose split is ``val`` are taken as they are. Where there is none, ``share`` of the groups is drawn, stratified
    by class; a class never loses its last training sample, and one of fewer than 4 groups gives none.

    Args:
        train: the training side.
        share: in [0, 0.5]; 0 = hold nothing back.
        seed: of the draw.
    """
    if not 0 <= share <= 0.5:
        raise DataError("train", f"validation = {share}", do="give a share from 0 to 0.5")
    labels, real = train["label"], (train["origin"] == "real") & vouched(train)
    if share and not real.any():
        return np.zeros(len(train), bool)
    given = real & (train["split"] == "val")
    if share == 0:
        return np.zeros(len(train), bool)
    if given.any() and (real & ~given).any():
        return np.asarray(given)
    rows = np.flatnonzero(real)
    groups = group_names(train)[rows]
    place = fold_of(labels[rows], groups, max(2, round(1 / share)), seed=seed)
    chosen = np.zeros(len(train), bool)
    chosen[rows] = place == 0
    for code in np.unique(labels[rows]):
        own = real & (labels == code)
        if len(np.unique(group_names(train)[own])) < 4 or not (own & ~chosen).any():
            chosen &= ~np.isin(group_names(train), group_names(train)[own])
    return chosen


def free_of(train: Dataset, held: Mask) -> Mask:
    """Return which rows may be fitted on: not held back, in no held-back group, and no parent held back."""
    shut = set(train.ids[held])
    groups = group_names(train)
    shut_groups = set(groups[held])
    parents = train["parents"]
    return np.array([
        not held[row] and groups[row] not in shut_groups
        and not any(parent in shut for parent in (parents[row] if parents[row] is not None else ()))
        for row in range(len(train))
    ], bool)  # fmt: skip


def family_folds(train: Dataset, groups: Array, fold_of_group: Mapping[str, int]) -> list[set[int]]:
    """Return for each row the folds that it must not be fitted for: its group's, and those of its parents."""
    group_of = dict(zip(train.ids, groups, strict=True))
    parents = train["parents"]
    found = []
    for row, group in enumerate(groups):
        family = [group, *(group_of.get(parent) for parent in (parents[row] if parents[row] is not None else ()))]
        found.append({fold_of_group[name] for name in family if name in fold_of_group})
    return found


def group_names(ds: Dataset) -> Array:
    """Return (N,) names of groups that must not be cut; a row without one stands alone under its id."""
    ids = ds.ids
    column = next((ds[name] for name in ("split_group", "group") if name in ds), None)
    if column is None:
        return np.asarray(ids)
    return np.array(
        [own if group is None else f"group {group}" for own, group in zip(ids, column, strict=True)], object
    )


def balancing(labels: Ints, n_classes: int) -> Floats:
    """Return (N,) weights under which all present classes count alike, mean 1."""
    counts = np.bincount(labels, minlength=n_classes)
    return np.asarray(len(labels) / (np.maximum(counts, 1) * max(1, (counts > 0).sum())), np.float64)[labels]


def verdict(
    logits: Floats, labels: Ints, card: Mapping[str, Any], *, balanced: bool, groups: Array | None = None
) -> tuple[dict[str, Any], tuple[Ints, Floats]]:
    """Return what held-back samples say: temperature, metrics and operating point; and the probabilities.

    Args:
        logits: (M, K) of samples that the model did not fit.
        labels: (M,) codes.
        card: for the classes.
        balanced: the model answers as if all classes were equally common, so its temperature is fitted that way too;
            ``natural`` then says how common they are.
        groups: (M,) what several samples share; the proven recall counts groups.
    """
    n_classes = logits.shape[1]
    weights = balancing(labels, n_classes) if balanced else None
    temperature = fit_temperature(logits, labels, weights=weights)
    temperature **= len(labels) / (len(labels) + TRUSTED)
    probs = softmax(logits / temperature)
    pred = probs.argmax(1)
    metrics: dict[str, Any] = {
        "n": len(labels), "balanced_accuracy": balanced_accuracy(labels, pred, n_classes),
        "macro_f1": macro_f1(labels, pred, n_classes), "ece": expected_calibration_error(labels, probs),
    }  # fmt: skip
    names = list(card["classes"])
    normal = [names.index(name) for name in card["normal_classes"]]
    point = _threshold(labels, probs, normal, groups)
    natural = None
    if balanced:
        shares = (np.bincount(labels, minlength=n_classes) + 0.5) / (len(labels) + 0.5 * n_classes)
        natural = shares.tolist()
        metrics["ece_natural"] = expected_calibration_error(labels, with_prior(probs, np.ones(n_classes), shares))
    return {
        "temperature": temperature, "metrics": {"held_out": metrics}, "operating_point": point, "natural": natural
    }, (labels, probs)  # fmt: skip


def _threshold(labels: Ints, probs: Floats, normal: list[int], groups: Array | None) -> dict[str, Any] | None:
    """Return the threshold of 1 - p(normal) at the wanted false-alarm rate, with what the held-back samples prove."""
    sound = np.isin(labels, normal)
    if not normal or not sound.any() or sound.all():
        return None
    score = 1.0 - probs[:, normal].sum(1)
    chosen = threshold_at_false_positive_rate(~sound, score, FALSE_POSITIVE_RATE)
    if not np.isfinite(chosen):
        return None
    chosen = beside(chosen, score)
    defects, caught = int((~sound).sum()), int((score[~sound] >= chosen).sum())
    things = defects if groups is None else len(np.unique(groups[~sound].astype(str)))
    return {
        "threshold": float(chosen), "false_positive_rate": FALSE_POSITIVE_RATE, "chosen_on": "held-out training rows",
        "defects": defects, "caught": caught, "recall": caught / defects,
        "recall_low": clopper_pearson(caught, defects, 0.95, "lower", groups=things)[0], "normals": int(sound.sum()),
        "in_sample": True,
    }  # fmt: skip
