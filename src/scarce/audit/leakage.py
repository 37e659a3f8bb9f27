"""Evaluation samples that training has already seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from scarce.audit._base import AbstractCheck, Finding, Measurement, ds_embedding, finding, has_column
from scarce.audit._group import COPY, components, known_pairs
from scarce.audit.exact_duplicate import ExactDuplicate
from scarce.audit.near_duplicate import NearDuplicate
from scarce.dataset import Array, Dataset, Ints
from scarce.kin import COPIES

KINDS = (*COPIES, "group", "time")
SCORE = {"exact_duplicate": 1.0, "near_duplicate": 0.95, "same_object": 0.8, "group": 0.8, "time": 0.5}
MOST_SHOWN = 200


@final
@dataclass(frozen=True, kw_only=True)
class Leakage(AbstractCheck):
    """Find evaluation samples whose copy, group or moment is in train, and what that does to the test score.

    Use when the data came with splits of its own, or after splitting, as a proof.
    Do not use without splits; it is skipped then.
    Needs: split. Reads the pairs of exact_duplicate and near_duplicate (runs them if they have not run), those of
    same_object where it has run, the user's group, and captured_at. With label and embedding it estimates how much of
    the test score is leakage: a nearest-neighbor model is asked with and without what gives the answer away.
    Writes: score (N,) of validation and test samples: 1 = equal sample in train, 0.95 = near copy, 0.8 = the same
    object or group, 0.5 = taken in one burst with a train sample, 0 = clean; NaN for train. Pair findings, group
    findings, and as data findings the share of each split that leaks and the estimate, both with 95 % intervals, and
    whether train was taken after the test began.

    Args:
        burst: samples taken at most so many seconds apart, one after the other, are one burst; 0 = do not look.
        encoder: whose features the estimate uses; empty = the newest.
        seed: of the bootstrap.
    """

    needs: ClassVar[tuple[str, ...]] = ("split",)
    after: ClassVar[tuple[str, ...]] = COPIES

    burst: float = 2.0
    encoder: str = ""
    seed: int = 0

    def measure(self, ds: Dataset) -> Measurement:
        """Compare every validation and test sample with train."""
        split = ds["split"]
        train = split == "train"
        judged = (split == "val") | (split == "test")
        score = np.where(judged, 0.0, np.nan)
        found: list[Finding] = []
        parts = _Parts(ds, self.burst)
        for kind in KINDS:
            leaks, told = parts.leaks(kind, train, judged)
            score[leaks] = np.maximum(score[leaks], SCORE[kind])
            found += told
        whole = [*_shares(score, split), *self._estimate(ds, parts.together()), *_later(ds, split)]
        return Measurement(score, [*whole, *found])

    def _estimate(self, ds: Dataset, part: Ints) -> list[Finding]:
        from scarce.audit._leak_estimate import leaked_score

        split, labels = ds["split"], ds["label"]
        if not has_column(ds, "embedding") or not has_column(ds, "label"):
            return []
        features = ds_embedding(ds, self.encoder)[1]
        good = np.isfinite(features).all(axis=1) & (labels >= 0)
        rows = np.flatnonzero(good & ((split == "train") | (split == "test")))
        told = leaked_score(features[rows], labels[rows], split[rows] == "test", part[rows], seed=self.seed)
        if told is None:
            return []
        points = [100 * value for value in (told.flattery, told.low, told.high)]
        clean = "" if np.isnan(told.clean) else f"; the clean ones {100 * told.clean:.1f} %"
        why = (
            f"about {points[0]:.1f} points of the test score are leakage (95 % interval {points[1]:.1f} to "
            f"{points[2]:.1f}): a nearest-neighbor model gets {100 * told.leaked:.1f} % of the leaked test samples "
            f"right, and {100 * told.without:.1f} % without the train samples that belong to them{clean}"
        )
        return [finding("data", (), max(0.0, told.flattery), why)]


class _Parts:
    """What belongs together, kind by kind."""

    def __init__(self, ds: Dataset, burst: float) -> None:
        self.ds, self.burst = ds, burst
        self.pairs: list[Ints] = []

    def leaks(self, kind: str, train: Array, judged: Array) -> tuple[Ints, list[Finding]]:
        """Return the evaluation rows that leak by this kind, and what is told about them."""
        ds = self.ds
        if kind == "group":
            self.pairs.append(_links(ds["group"].tolist()) if "group" in ds else _links([]))
            return _by_group(ds, train, judged)
        if kind == "time":
            bursts = _bursts(ds, self.burst)
            self.pairs.append(_links(bursts))
            return _by_burst(ds, np.array(bursts, object), train, judged)
        self.ds = ds = _compared(ds, kind)
        pairs = _pairs(ds, kind)
        self.pairs.append(pairs)
        return _by_pairs(ds, pairs, kind, (train, judged))

    def together(self) -> Ints:
        """Return (N,) the number of what each row belongs to, over all kinds."""
        return components(len(self.ds), np.concatenate([np.zeros((0, 2), np.int64), *self.pairs]))


def _links(keys: Sequence[object]) -> Ints:
    """Return (P, 2) pairs that chain the rows with equal keys; None is equal to nothing."""
    last: dict[object, int] = {}
    pairs = []
    for row, key in enumerate(keys):
        if key is not None:
            if key in last:
                pairs.append((last[key], row))
            last[key] = row
    return np.array(pairs, np.int64).reshape(-1, 2)


def bursts(moments: Array, seconds: float) -> Ints:
    """Return (N,) the number of the burst that each moment belongs to; -1 where it is not known or alone.

    Args:
        moments: (N,) datetime64; NaT = not known.
        seconds: longest pause inside of a burst.
    """
    out = np.full(len(moments), -1, np.int64)
    known = np.flatnonzero(~np.isnat(moments))
    order = known[np.argsort(moments[known], kind="stable")]
    if len(order) < 2:
        return out
    pause = np.diff(moments[order]) / np.timedelta64(1, "us") / 1e6
    number = np.r_[0, np.cumsum(pause > seconds)]
    out[order] = np.where(np.bincount(number)[number] > 1, number, -1)
    return out


def _bursts(ds: Dataset, seconds: float) -> list[int | None]:
    """Return the burst of each row, or None; dates without a time of day tell nothing about bursts."""
    moments = _moments(ds)
    if seconds <= 0 or not len(moments) or (moments == moments.astype("datetime64[D]"))[~np.isnat(moments)].all():
        return [None] * len(ds)
    return [None if number < 0 else int(number) for number in bursts(moments, seconds)]


def _moments(ds: Dataset) -> Array:
    if "captured_at" not in ds:
        return np.zeros(0, "datetime64[us]")
    return np.asarray(ds["captured_at"]).astype("datetime64[us]")


def _by_burst(ds: Dataset, burst: Array, train: Array, judged: Array) -> tuple[Ints, list[Finding]]:
    inside = {number for number in burst[train] if number is not None}
    leaks = np.array([row for row in np.flatnonzero(judged) if burst[row] in inside], np.int64)
    told = []
    for number in sorted({burst[row] for row in leaks})[:MOST_SHOWN]:
        rows = np.flatnonzero(burst == number)
        names = sorted({str(name) for name in ds["split"][rows] if name is not None})
        why = f"{len(rows)} samples taken in one burst are in {' and '.join(names)}"
        told.append(finding("group", ds.ids[rows], SCORE["time"], why))
    return leaks, told


def _later(ds: Dataset, split: Array) -> list[Finding]:
    """Tell how much of train was taken after the test began."""
    moments = _moments(ds)
    if not len(moments):
        return []
    known = ~np.isnat(moments)
    train, test = moments[known & (split == "train")], moments[known & (split == "test")]
    if not len(train) or not len(test) or train.max() <= test.min():
        return []
    share = float((train > test.min()).mean())
    why = (
        f"{100 * share:.1f} % of train was taken after the first test sample: the test score does not say how well "
        "the model will do on what comes later; split by time for that"
    )
    return [finding("data", (), 0.0, why)]


def _by_pairs(ds: Dataset, pairs: Ints, kind: str, sides: tuple[Array, Array]) -> tuple[Ints, list[Finding]]:
    train, judged = sides
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


def _compared(ds: Dataset, kind: str) -> Dataset:
    """Return the dataset with the findings of a copy check that has not run yet."""
    if kind != "same_object" and kind not in ds.findings["check"].to_pylist():
        check = ExactDuplicate() if kind == "exact_duplicate" else NearDuplicate()
        if not check.unmet(ds):
            return ds.with_findings(kind, list(check.measure(ds).findings))
    return ds


def _pairs(ds: Dataset, kind: str) -> Ints:
    if kind == "same_object":
        return np.concatenate([known_pairs(ds, (kind,)), known_pairs(ds, ("near_duplicate",), below=COPY)])
    return known_pairs(ds, (kind,), least=COPY)


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
