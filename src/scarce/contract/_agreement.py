"""How far the annotators of a data set agree: Krippendorff's alpha from the votes, with an interval.

The one place where a contract reads votes: a check of agreement may take over by giving the same four figures.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scarce.dataset import Array, Dataset, Floats

REPEATS = 1000
BLOCK = 4_000_000


class Agreement(NamedTuple):
    """Alpha (1 = all agree, 0 = as by chance) with one-sided 95 % bounds on both sides, over so many items."""

    alpha: float
    low: float
    high: float
    items: int


def vote_counts(ds: Dataset) -> Array:
    """Return (M, K) votes per item and class, for items of kept real samples with at least two votes.

    An abstention counts as no vote; a voter's later vote on the same sample replaces the earlier one.
    """
    if not len(ds.votes):
        return np.zeros((0, len(ds.schema.classes)), np.int32)
    kept = ds["keep"].astype(bool) & (ds["origin"] == "real")
    place = {sample: row for row, sample in enumerate(ds.ids.tolist()) if kept[row]}
    code = {name: number for number, name in enumerate(ds.schema.classes)}
    last: dict[tuple[int, str], int] = {}
    columns = (ds.votes[name].to_pylist() for name in ("sample", "voter", "label"))
    for sample, voter, label in zip(*columns, strict=True):
        if sample in place and label in code:
            last[place[sample], str(voter)] = code[label]
    counts = np.zeros((len(ds), len(code)), np.int32)
    if last:
        rows = np.array([row for row, _ in last])
        np.add.at(counts, (rows, np.array(list(last.values()))), 1)
    return np.asarray(counts[counts.sum(axis=1) >= 2])


def agreement(counts: Array, *, repeats: int = REPEATS, seed: int = 0) -> Agreement:
    """Return nominal alpha of (M, K) votes per item and class; NaN with fewer than two items or a single class.

    The interval is the percentile bootstrap over items, computed on counts.

    Source: Krippendorff 2011, Computing Krippendorff's Alpha-Reliability, section C (nominal, missing votes).
    """
    items = len(counts)
    if items < 2 or (counts.sum(axis=0) > 0).sum() < 2:
        return Agreement(float("nan"), -1.0, 1.0, items)
    number = counts.sum(axis=1).astype(np.float64)
    differing = (number**2 - (counts.astype(np.float64) ** 2).sum(axis=1)) / (number - 1)
    columns = np.column_stack([differing, counts])
    value = float(_alpha(columns.sum(axis=0)[None])[0])
    rng = np.random.default_rng([seed, 0x616C])
    step = max(1, BLOCK // items)
    draws = []
    for start in range(0, repeats, step):
        weights = rng.multinomial(items, np.full(items, 1 / items), size=min(step, repeats - start))
        draws.append(_alpha(weights @ columns))
    found = np.concatenate(draws)
    found = found[np.isfinite(found)]
    low, high = np.quantile(found, [0.05, 0.95]) if len(found) else (-1.0, 1.0)
    return Agreement(value, float(min(low, value)), float(max(high, value)), items)


def _alpha(totals: Floats) -> Floats:
    """Return (B,) alphas of (B, 1 + K) totals: observed disagreement, then votes per class."""
    votes = totals[:, 1:]
    n = votes.sum(axis=1)
    by_chance = (n**2 - (votes**2).sum(axis=1)) / np.maximum(n - 1, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(1 - totals[:, 0] / by_chance)
