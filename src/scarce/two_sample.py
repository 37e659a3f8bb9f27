"""The classifier two-sample test: how well two sources of samples are told apart by their features.

Several stages ask it: the audit about cameras and batches, the screen about synthetic samples.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from scarce.dataset import Array, Floats, Ints, Mask
from scarce.errors import DataError
from scarce.probe import LinearProbe, Projection, fold_of

LEAST: Final = 8
"""Samples (and groups) that each side needs before it is compared."""
MOST_FITTED: Final = 2_000
"""Samples of each side that one fold's classifier is fitted on, at most."""
WIDER: Final = 1.12
"""The interval is so much wider because the folds' classifiers share most of what they are fitted on."""


class Shift(NamedTuple):
    """How well two sources are told apart: 0.5 = not at all, 1 = always.

    Attributes:
        auroc, low, high: area under the ROC curve with its interval; only samples of one class are compared with each
            other where classes are known, so that another mix of classes alone is no shift.
        per_class: class code to the same three numbers, for classes with at least 8 samples on both sides.
        own: (N,) out-of-fold probability of the source that the sample is from; 1 = betrays it, NaN = not judged.
    """

    auroc: float
    low: float
    high: float
    per_class: dict[int, tuple[float, float, float]]
    own: Floats


def told_apart(  # noqa: PLR0913  one knob each
    features: Array, second: Array, labels: Array | None = None, *, groups: Array | None = None, folds: int = 5,
    confidence: float = 0.95, seed: int = 0,
) -> Shift:  # fmt: skip
    """Return how well a linear classifier tells two sources apart, cross-fitted.

    No sample is judged by a classifier that saw it or its group; scores are compared inside one fold only. The interval
    counts groups as the units (DeLong's variance in Obuchowski's form for clustered data).

    Args:
        features: (N, D), finite.
        second: (N,) bool: from the second source.
        labels: (N,) class codes, -1 = unknown (compared among themselves); None = classes do not count.
        groups: (N,) names; samples of one group stay together, None = stands alone.
        folds: F >= 2.
        confidence: of the intervals.
        seed: of the folds.

    Raises:
        DataError: wrong shapes, features that are not finite, or fewer than 8 samples or groups on one side.

    Source: DeLong et al. 1988; Obuchowski 1997; classifier two-sample tests by Lopez-Paz and Oquab 2017.
    """
    rows, side, codes, member = _valid(features, second, labels, groups)
    score, fold = _cross_fitted(rows, side, codes, member, (folds, seed))
    cell = fold * (int(codes.max(initial=0)) + 2) + codes + 1
    whole = _clustered(score, side, cell, member, confidence)
    per_class = {}
    for code in np.unique(codes[codes >= 0]).tolist():
        own = codes == code
        if labels is not None and min((own & side).sum(), (own & ~side).sum()) >= LEAST:
            per_class[code] = _clustered(score[own], side[own], cell[own], member[own], confidence)
    return Shift(*whole, per_class, np.where(side, score, 1 - score))


def _valid(
    features: Array, second: Array, labels: Array | None, groups: Array | None
) -> tuple[Floats, Mask, Ints, Ints]:
    who, rows, side = "two_sample", np.asarray(features, np.float32), np.asarray(second, bool)
    codes = np.full(len(side), -1) if labels is None else np.asarray(labels, np.int64)
    if rows.ndim != 2 or side.shape != (len(rows),) or codes.shape != side.shape:
        shapes = f"features {rows.shape}, second {side.shape}, labels {codes.shape}"
        raise DataError(who, f"shapes do not fit together: {shapes}", do="pass (N, D), (N,) and (N,)")
    if not np.isfinite(rows).all():
        bad = int((~np.isfinite(rows)).any(axis=1).sum())
        raise DataError(who, f"{bad} of {len(rows)} rows have features that are not finite", do="leave them out")
    names = [f"?{row}" if groups is None or groups[row] is None else str(groups[row]) for row in range(len(side))]
    first, place = np.unique(names, return_index=True, return_inverse=True)[1:]
    member = np.argsort(np.argsort(first))[place]
    for which, told in ((side, "second"), (~side, "first")):
        units = len(np.unique(member[which]))
        if units < LEAST:
            what = f"the {told} source has {int(which.sum())} samples in {units} groups"
            raise DataError(who, what, f"at least {LEAST} groups are needed on both sides")
    return rows, side, codes, member


def _cross_fitted(rows: Floats, side: Mask, codes: Ints, member: Ints, draw: tuple[int, int]) -> tuple[Floats, Ints]:
    """Return (N,) probability of the second source, and the fold that each row was left out in."""
    cell = (codes + 1) * 2 + side
    fold = fold_of(cell, member.astype(str), draw[0], seed=draw[1])
    rng = np.random.default_rng([draw[1], 0x5353])
    score = np.full(len(side), 0.5)
    # The projection knows no sources, so one is enough for all folds.
    rows = _within(rows, codes)
    projection = Projection.fit(rows[_some(np.arange(len(rows)), rng)], components=128)
    flat, known = projection(rows), Projection.identity(projection.basis.shape[1])
    for number in range(draw[0]):
        out, train = fold == number, np.flatnonzero(fold != number)
        if not out.any() or len(np.unique(side[train])) < 2:
            continue
        train = np.concatenate([_some(train[side[train] == which], rng) for which in (False, True)])
        # Both sources weigh the same in every class, or the mix of classes would be learned in place of the look.
        kinds, place, counts = np.unique(cell[train], return_inverse=True, return_counts=True)
        both = np.isin(kinds ^ 1, kinds)
        weights = np.where(both, (counts + counts[np.searchsorted(kinds, kinds ^ 1) % len(kinds)]) / (2 * counts), 0.1)
        fitted = LinearProbe().fit(
            flat[train], side[train].astype(np.int64), 2, weights=weights[place], projection=known
        )
        score[out] = fitted.predict_proba(flat[out])[:, 1]
    return score, fold


def _within(rows: Floats, codes: Ints) -> Floats:
    """Return (N, D) differences from the mean of the row's class, both sources together.

    What the class explains would only hide what the source does.
    """
    place = np.unique(codes, return_inverse=True)[1]
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(place.max(initial=-1) + 1))
    sums = np.add.reduceat(rows[order], starts, axis=0, dtype=np.float64) if len(rows) else np.zeros((1, rows.shape[1]))
    means = (sums / np.bincount(place)[:, None]).astype(np.float32)
    return rows - means[place]


def _some(rows: Ints, rng: np.random.Generator) -> Ints:
    return rows if len(rows) <= MOST_FITTED else np.sort(rng.choice(rows, MOST_FITTED, replace=False))


def _clustered(score: Floats, side: Mask, cell: Ints, member: Ints, confidence: float) -> tuple[float, float, float]:
    """Return AUROC over pairs of one cell (fold and class), with the interval over groups."""
    from scipy.stats import rankdata, t

    from scarce.metric.interval import clopper_pearson

    wins, rivals = np.zeros(len(score)), np.zeros(len(score))
    for one in np.unique(cell):
        rows = np.flatnonzero(cell == one)
        up, down = rows[side[rows]], rows[~side[rows]]
        if len(up) and len(down):
            ranks = rankdata(np.concatenate([score[up], score[down]]))
            wins[up] = ranks[: len(up)] - rankdata(score[up])
            wins[down] = len(up) - (ranks[len(up) :] - rankdata(score[down]))
            rivals[up], rivals[down] = len(down), len(up)
    pairs = rivals[side].sum()
    if not pairs:
        return float("nan"), 0.0, 1.0
    auroc = float(wins[side].sum() / pairs)
    # Each sample's share of the excess; both sides of a group add up, so that what they share is counted.
    part = (wins - auroc * rivals) / pairs
    by_group = np.bincount(member, part)
    units = min(len(np.unique(member[side & (rivals > 0)])), len(np.unique(member[~side & (rivals > 0)])))
    spread = float(np.sqrt((by_group**2).sum() * units / max(units - 1, 1)))
    z = WIDER * float(t.ppf((1 + confidence) / 2, max(units - 1, 1)))
    # Perfect separation of a few groups proves no more than so many successes do.
    sure = clopper_pearson(units, units, confidence, "two")[0]
    low = min(auroc - z * spread, max(0.5, sure) if auroc > 0.5 else 1.0)
    return auroc, max(low, 0.0), min(auroc + z * spread, 1.0)
