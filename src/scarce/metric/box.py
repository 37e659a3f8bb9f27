"""Mean average precision of boxes, by the definition of COCO."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from scarce.dataset import Array, Floats, Mask
from scarce.errors import DataError

OVERLAPS = tuple(np.round(np.arange(0.5, 1.0, 0.05), 2).tolist())
RECALLS = np.linspace(0.0, 1.0, 101)
WHO = "metric.box"


@dataclass(frozen=True, eq=False, kw_only=True)
class Boxes:
    """Boxes of many pictures.

    Attributes:
        picture: (B,) which picture each box is on.
        corners: (B, 4) left, top, right, bottom.
        label: (B,) class codes.
        score: (B,) confidence, higher = surer; not used of true boxes.
        crowd: (B,) true where a box stands for many: matches it are neither right nor wrong; only of true boxes.
    """

    picture: Array
    corners: Array
    label: Array
    score: Array | None = None
    crowd: Array | None = None

    def __post_init__(self) -> None:
        """Refuse parts of different lengths, and boxes that are inside out or not finite."""
        n = len(self.picture)
        corners = np.asarray(self.corners, np.float64).reshape(-1, 4) if n else np.zeros((0, 4))
        lengths = {len(np.asarray(part)) for part in (self.label, self.score, self.crowd) if part is not None}
        if len(corners) != n or lengths - {n}:
            raise DataError(WHO, f"{n} boxes with parts of {sorted(lengths)} and {len(corners)} rows")
        if not np.isfinite(corners).all() or (corners[:, 2:] < corners[:, :2]).any():
            raise DataError(WHO, "a box is not finite, or ends before it begins", do="give left, top, right, bottom")


@dataclass(frozen=True, kw_only=True)
class Precision:
    """Mean average precision.

    Attributes:
        mean: over classes and overlaps .50 to .95; ``at_50`` and ``at_75`` at one overlap; NaN without true boxes.
        per_class: code to the mean over overlaps.
        recall: mean over classes and overlaps of the highest recall with at most ``most`` boxes a picture.
    """

    mean: float
    at_50: float
    at_75: float
    recall: float
    per_class: Mapping[int, float]


def mean_average_precision(truth: Boxes, found: Boxes, *, most: int = 100) -> Precision:
    """Return COCO's mean average precision: 10 overlaps, 101 recalls, each true box found once, the surest first.

    Args:
        truth: boxes that are there.
        found: boxes with scores.
        most: boxes of a class on one picture that count, the surest ones.

    Raises:
        DataError: found boxes have no scores.

    Source: Lin et al. 2014; equal to ``pycocotools`` on all areas.
    """
    if found.score is None:
        raise DataError(WHO, "the found boxes have no scores")
    table = {int(code): ranked(truth, found, int(code), most).precision() for code in np.unique(truth.label)}
    table = {code: value for code, value in table.items() if np.isfinite(value[0]).all()}
    if not table:
        nothing = float("nan")
        return Precision(mean=nothing, at_50=nothing, at_75=nothing, recall=nothing, per_class={})
    precision = np.stack([value[0] for value in table.values()])
    return Precision(
        mean=float(precision.mean()), at_50=float(precision[:, 0].mean()), at_75=float(precision[:, 5].mean()),
        recall=float(np.mean([value[1].mean() for value in table.values()])),
        per_class={code: float(value[0].mean()) for code, value in table.items()},
    )  # fmt: skip


@dataclass(frozen=True, eq=False, kw_only=True)
class Ranked:
    """The found boxes of one class, the surest first, and how many true ones there are.

    Attributes:
        right: (T, n) bool, at each overlap: it finds a true box.
        used: (T, n) bool, it is counted.
        picture: (n,) which picture each is on.
        wanted: picture to its number of true boxes.
    """

    right: Mask
    used: Mask
    picture: Array
    wanted: Mapping[int, int]

    def precision(self, weight: Array | None = None) -> tuple[Floats, Floats]:
        """Return (T,) average precision and highest recall at each overlap; NaN without a true box.

        Args:
            weight: (P,) how often each picture counts; None = once. A bootstrap draws these.
        """
        total = float(sum(n * (1 if weight is None else int(weight[row])) for row, n in self.wanted.items()))
        if not total:
            nothing = np.full(len(OVERLAPS), np.nan)
            return nothing, nothing
        if not len(self.picture):
            return np.zeros(len(OVERLAPS)), np.zeros(len(OVERLAPS))
        each = np.ones(len(self.picture), np.int64) if weight is None else np.asarray(weight)[self.picture]
        positive = np.cumsum((self.right & self.used) * each, axis=1)
        negative = np.cumsum((~self.right & self.used) * each, axis=1)
        recall = positive / total
        precision = positive / np.maximum(positive + negative, np.spacing(1))
        precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        out = np.zeros(len(OVERLAPS))
        for place in range(len(OVERLAPS)):
            at = np.searchsorted(recall[place], RECALLS, side="left")
            reached = at < recall.shape[1]
            out[place] = precision[place, at[reached]].sum() / len(RECALLS)
        return out, np.asarray(recall[:, -1])


def ranked(truth: Boxes, found: Boxes, code: int, most: int = 100) -> Ranked:
    """Return the found boxes of one class matched with the true ones."""
    true_rows, rows = np.flatnonzero(truth.label == code), np.flatnonzero(found.label == code)
    crowd = np.zeros(len(truth.label), bool) if truth.crowd is None else np.asarray(truth.crowd, bool)
    pictures, counts = np.unique(np.asarray(truth.picture)[true_rows[~crowd[true_rows]]], return_counts=True)
    wanted = dict(zip(pictures.tolist(), counts.tolist(), strict=True))
    scores, hits, counted, places = [], [], [], []
    score = np.asarray(found.score, np.float64)
    own = {picture: true_rows[truth.picture[true_rows] == picture] for picture in np.unique(truth.picture[true_rows])}
    for picture in np.unique(found.picture[rows]):
        mine = rows[found.picture[rows] == picture]
        mine = mine[np.argsort(-score[mine], kind="stable")][:most]
        there = own.get(picture, np.zeros(0, np.int64))
        right, ignored = _matched(found.corners[mine], truth.corners[there], crowd[there])
        scores.append(score[mine])
        places.append(np.asarray(found.picture)[mine])
        hits.append(right)
        counted.append(~ignored)
    if not scores:
        none = np.zeros((len(OVERLAPS), 0), bool)
        return Ranked(right=none, used=none, picture=np.zeros(0, np.int64), wanted=wanted)
    order = np.argsort(-np.concatenate(scores), kind="stable")
    right, used = np.concatenate(hits, axis=1)[:, order], np.concatenate(counted, axis=1)[:, order]
    return Ranked(right=right, used=used, picture=np.concatenate(places)[order], wanted=wanted)


def _matched(found: Array, truth: Array, crowd: Mask) -> tuple[Mask, Mask]:
    """Return (T, n) which boxes find a true one, and which of them are not counted."""
    shape = (len(OVERLAPS), len(found))
    right, ignored = np.zeros(shape, bool), np.zeros(shape, bool)
    if not len(truth):
        return right, ignored
    order = np.argsort(crowd, kind="stable")
    overlap, many = _overlap(found, truth, crowd)[:, order], crowd[order]
    for place, least in enumerate(OVERLAPS):
        taken = np.zeros(len(order), bool)
        for box in range(len(found)):
            free = ~taken | many
            good = np.flatnonzero(free & ~many & (overlap[box] >= min(least, 1 - 1e-10)))
            if not len(good):
                good = np.flatnonzero(many & (overlap[box] >= min(least, 1 - 1e-10)))
            if not len(good):
                continue
            best = good[len(good) - 1 - int(np.argmax(overlap[box, good][::-1]))]
            taken[best] = True
            right[place, box], ignored[place, box] = True, many[best]
    return right, ignored


def _overlap(found: Array, truth: Array, crowd: Mask) -> Floats:
    """Return (n, m) intersection over union; over the found box's own area where the true one is a crowd."""
    found, truth = np.asarray(found, np.float64), np.asarray(truth, np.float64)
    low = np.maximum(found[:, None, :2], truth[None, :, :2])
    high = np.minimum(found[:, None, 2:], truth[None, :, 2:])
    both = np.prod(np.maximum(high - low, 0.0), axis=2)
    area = np.prod(found[:, 2:] - found[:, :2], axis=1)[:, None]
    other = np.prod(truth[:, 2:] - truth[:, :2], axis=1)[None]
    union = np.where(crowd[None], area, area + other - both)
    return np.asarray(np.divide(both, union, out=np.zeros_like(both), where=union > 0))
