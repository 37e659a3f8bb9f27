"""Evaluation samples that training has already seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from scarce.audit._base import AbstractCheck, Finding, Measurement, finding
from scarce.audit._group import components, known_pairs
from scarce.audit.exact_duplicate import ExactDuplicate
from scarce.audit.near_duplicate import NearDuplicate
from scarce.dataset import Array, Dataset, Ints

KINDS = ("exact_duplicate", "near_duplicate", "same_object", "group")
SCORE = {"exact_duplicate": 1.0, "near_duplicate": 0.95, "same_object": 0.8, "group": 0.8}
MOST_SHOWN = 200


@final
@dataclass(frozen=True, kw_only=True)
class Leakage(AbstractCheck):
    """Find evaluation samples whose copy or group is in train.

    Use when the data came with splits of its own, or after splitting, as a proof.
    Do not use without splits; it is skipped then.
    Needs: split. Reads the pairs of exact_duplicate and near_duplicate (runs them if they have not run), those of
    same_object where it has run, and the user's group.
    Writes: score (N,) of validation and test samples: 1 = equal sample in train, 0.95 = near copy, 0.8 = the same
    object or group, 0 = clean; NaN for train. Pair findings, group findings, and the share of each split that leaks
    with an interval.
    """

    needs: ClassVar[tuple[str, ...]] = ("split",)
    after: ClassVar[tuple[str, ...]] = ("exact_duplicate", "near_duplicate", "same_object")

    def measure(self, ds: Dataset) -> Measurement:
        """Compare every validation and test sample with train."""
        split = ds["split"]
        train = split == "train"
        judged = (split == "val") | (split == "test")
        score = np.where(judged, 0.0, np.nan)
        found: list[Finding] = []
        for kind in KINDS:
            leaks, told = _by_group(ds, train, judged) if kind == "group" else _by_pairs(ds, kind, train, judged)
            score[leaks] = np.maximum(score[leaks], SCORE[kind])
            found += told
        return Measurement(score, [*_shares(score, split), *found])


def _by_pairs(ds: Dataset, kind: str, train: Array, judged: Array) -> tuple[Ints, list[Finding]]:
    pairs = _pairs(ds, kind)
    if not len(pairs):
        return np.zeros(0, np.int64), []
    part = components(len(ds), pairs)
    seen = np.isin(part, part[train]) & judged
    told = []
    direct = train[pairs[:, 0]] & judged[pairs[:, 1]] | train[pairs[:, 1]] & judged[pairs[:, 0]]
    for i, j in pairs[direct][:MOST_SHOWN]:
        inside, outside = (i, j) if train[i] else (j, i)
        why = f"{kind.replace('_', ' ')} of a train sample in {ds['split'][outside]}"
        told.append(finding("pair", (ds.ids[inside], ds.ids[outside]), SCORE[kind], why))
    return np.flatnonzero(seen), told


def _pairs(ds: Dataset, kind: str) -> Ints:
    if kind != "same_object" and kind not in ds.findings["check"].to_pylist():
        check = ExactDuplicate() if kind == "exact_duplicate" else NearDuplicate()
        if not check.unmet(ds):
            ds = ds.with_findings(kind, list(check.measure(ds).findings))
    return known_pairs(ds, (kind,))


def _by_group(ds: Dataset, train: Array, judged: Array) -> tuple[Ints, list[Finding]]:
    if "group" not in ds:
        return np.zeros(0, np.int64), []
    groups = ds["group"]
    inside = {group for group in groups[train] if group is not None}
    leaks = np.array([row for row in np.flatnonzero(judged) if groups[row] in inside], np.int64)
    told = []
    for group in sorted({str(groups[row]) for row in leaks})[:MOST_SHOWN]:
        rows = np.flatnonzero(groups == group)
        names = sorted({str(name) for name in ds["split"][rows] if name is not None})
        told.append(finding("group", ds.ids[rows], SCORE["group"], f"group {group} is in {' and '.join(names)}"))
    return leaks, told


def _shares(score: Array, split: Array) -> list[Finding]:
    from scarce.metric.interval import wilson

    found = []
    for name in ("val", "test"):
        rows = split == name
        n, leaks = int(rows.sum()), int((score[rows] > 0).sum())
        if n:
            interval = wilson(leaks, n)
            low, high = 100 * float(interval[0]), 100 * float(interval[-1])
            why = f"{leaks} of {n} {name} samples ({100 * leaks / n:.1f} %, 95 % interval {low:.1f} to {high:.1f} %)"
            found.append(finding("data", (), leaks / n, f"{why} are known to train"))
    return found
