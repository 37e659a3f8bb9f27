"""Figures of a detector: mean average precision, per class, and recall, with intervals over groups of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from scarce.dataset import Array, Floats
from scarce.errors import DataError
from scarce.evaluate._base import plain
from scarce.metric.box import OVERLAPS, Boxes, ranked
from scarce.metric.interval import cluster_weights, quantiles


def boxes(
    truth: Boxes, found: Boxes, classes: Sequence[str], groups: Array, *, repeats: int = 200, seed: int = 0
) -> dict[str, Any]:
    """Return what a detector does, each figure with its 95 % interval from a bootstrap over whole groups of pictures.

    Args:
        truth: boxes that people drew.
        found: boxes with scores, of the same pictures.
        classes: K names.
        groups: (P,) group of each picture.
        repeats: draws.
        seed: of the draws.

    Returns:
        ``mean_average_precision`` (overlaps .50 to .95), ``at_50``, ``recall_50`` (mean over the classes of the share
        of true boxes that are found at overlap .5, at any score) and ``per_class`` with the same figures and ``n``
        true boxes; each figure is value, low, high; null for a class without a true box.

    Raises:
        DataError: no true box, or found boxes without scores.
    """
    if found.score is None:
        raise DataError("evaluate.boxes", "the found boxes have no scores")
    if not len(truth.picture):
        raise DataError("evaluate.boxes", "no test picture has a box", f"{len(groups)} pictures", "draw boxes on some")
    weights = cluster_weights(groups, repeats=repeats, seed=seed)
    rank = [ranked(truth, found, code) for code in range(len(classes))]
    once = np.ones((1, len(groups)), np.int64)
    table = np.array([[_figures(one.precision(draw)) for one in rank] for draw in (*once, *weights)])
    there = np.array([bool(one.wanted) for one in rank])
    means = np.nanmean(table[:, there], axis=1)
    names = ("mean_average_precision", "at_50", "recall_50")
    body: dict[str, Any] = {name: _interval(means[:, at]) for at, name in enumerate(names)}
    body["per_class"] = {
        name: {"n": sum(rank[code].wanted.values())}
        | {key: _interval(table[:, code, at]) if there[code] else None for at, key in enumerate(names)}
        for code, name in enumerate(classes)
    }
    return plain(body)  # type: ignore[no-any-return]


def _figures(told: tuple[Floats, Floats]) -> tuple[float, float, float]:
    place = OVERLAPS.index(0.5)
    return float(told[0].mean()), float(told[0][place]), float(told[1][place])


def _interval(values: Floats) -> dict[str, float]:
    """Return the first value, and the bounds of the others; NaN where those are all alike."""
    drawn = values[1:][np.isfinite(values[1:])]
    low, high = quantiles(drawn, [0.025, 0.975])
    return {"value": float(values[0]), "low": low, "high": high}
