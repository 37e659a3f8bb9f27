"""Real samples of the training side that are held back: for early stopping, the temperature and the threshold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from scarce.ballot import vouched
from scarce.dataset import Array, Dataset, Floats, Ints, Mask
from scarce.errors import DataError
from scarce.loss_spec import LossSpec
from scarce.metric.calibration import expected_calibration_error, fit_temperature
from scarce.metric.confusion import balanced_accuracy, macro_f1
from scarce.metric.interval import clopper_pearson
from scarce.metric.ranking import beside, threshold_at_false_positive_rate
from scarce.probe import fold_of, softmax

FALSE_POSITIVE_RATE = 0.01
SHIFTED = 0.2
"""Natural logarithm of how differently two classes must be shifted for their frequencies to be corrected."""
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


def learned_shares(counts: Floats, loss: LossSpec | Mapping[str, Any]) -> Floats:
    """Return (K,) how common a model that was trained so takes each class to be.

    Sample and class weights count like samples; a prior in the loss (balanced softmax) is taken out of the answers.

    Args:
        counts: (K,) weighted training samples.
        loss: what it was trained with, or the same as plain values.
    """
    given = loss if isinstance(loss, Mapping) else asdict(loss)
    shares = np.asarray(counts, np.float64).copy()
    if given.get("class_weights") is not None:
        shares *= np.asarray(given["class_weights"], np.float64)
    for name in ("prior", "moved"):
        if given.get(name) is not None:
            shares *= np.exp(-np.asarray(given[name], np.float64))
    return np.asarray(shares / max(float(shares.sum()), 1e-300))


def shifting(labels: Ints, learned: Floats | None) -> tuple[Floats, Floats] | None:
    """Return (K,) natural shares of the classes, and (N,) weights under which they are as common as was learned.

    None where the model answers for about the frequencies that the samples have.

    Args:
        labels: (N,) codes of samples at the natural frequencies.
        learned: (K,) from :func:`learned_shares`; None = the same.
    """
    if learned is None or not len(labels):
        return None
    counts = np.bincount(labels, minlength=len(learned))
    natural = (counts + 0.5) / (len(labels) + 0.5 * len(learned))
    both = (counts > 0) & (learned > 0)
    ratio = np.where(both, learned / natural, 1.0)
    away = np.log(ratio[both])
    if not len(away) or away.max() - away.min() < SHIFTED:
        return None
    weights = ratio[labels]
    return natural, np.asarray(weights / weights.mean())


def verdict(
    logits: Floats, labels: Ints, card: Mapping[str, Any], *, learned: Floats | None = None,
    groups: Array | None = None,
) -> tuple[dict[str, Any], tuple[Ints, Floats]]:  # fmt: skip
    """Return what held-back samples say: temperature, metrics and operating point; and the probabilities.

    Args:
        logits: (M, K) of samples that the model did not fit.
        labels: (M,) codes.
        card: for the classes.
        learned: (K,) how common the model takes the classes to be, so its temperature is fitted that way too;
            ``natural`` then says how common they are, and how its answers become probabilities there.
        groups: (M,) what several samples share; the proven recall counts groups.
    """
    n_classes = logits.shape[1]
    shift = shifting(labels, learned)
    trust = len(labels) / (len(labels) + TRUSTED)
    temperature = fit_temperature(logits, labels, weights=None if shift is None else shift[1]) ** trust
    probs = softmax(logits / temperature)
    pred = probs.argmax(1)
    metrics: dict[str, Any] = {
        "n": len(labels), "balanced_accuracy": balanced_accuracy(labels, pred, n_classes),
        "macro_f1": macro_f1(labels, pred, n_classes), "ece": expected_calibration_error(labels, probs),
    }  # fmt: skip
    names = list(card["classes"])
    normal = [names.index(name) for name in card["normal_classes"]]
    natural = None
    if shift is not None and learned is not None:
        bias = natural_bias(shift[0], learned)
        own = fit_temperature(logits + bias, labels) ** trust
        natural = {"shares": shift[0].tolist(), "bias": bias.tolist(), "temperature": own}
        metrics["ece_natural"] = expected_calibration_error(labels, softmax((logits + bias) / own))
    point = _threshold(labels, probs, normal, groups)
    return {
        "temperature": temperature, "metrics": {"held_out": metrics}, "operating_point": point, "natural": natural
    }, (labels, probs)  # fmt: skip


def natural_bias(natural: Floats, learned: Floats) -> Floats:
    """Return (K,) what logits gain where classes are as common as they are and not as was learned, mean 0."""
    bias = np.log(natural) - np.log(np.maximum(learned, 1e-12))
    bias = np.where(learned > 0, bias, 0.0)
    return np.asarray(bias - bias.mean())


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
