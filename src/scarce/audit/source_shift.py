"""Sources that a classifier can tell apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple, final

import numpy as np

from scarce.audit._base import COPIES, AbstractCheck, Finding, Measurement, ds_embedding, finding
from scarce.audit._group import tied
from scarce.dataset import Array, Dataset, Floats, Ints, Mask
from scarce.errors import DataError

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
    who, rows, side = "audit.source_shift", np.asarray(features, np.float32), np.asarray(second, bool)
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
    from scarce.probe import LinearProbe, Projection, fold_of

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


@final
@dataclass(frozen=True, kw_only=True)
class SourceShift(AbstractCheck):
    """Tell sources apart by their features: public and own data, training and service, two cameras.

    Use when samples come from more than one place, or when new data is to be compared with what was trained on.
    Do not use as a reason to drop a source: it says that sources differ, not which one is right. A model may learn to
    know the source in place of the class, above all where a class comes from one source only.
    Needs: embedding (N, D), scan.* where it is there; a column with two values or more (``source`` by default).
    Samples of one group, of one split group, and known copies stay in one fold.
    Writes: score (N,) = probability of the sample's own source, out of fold, times how far the sources are told apart
    (0 at AUROC 0.5, 1 at 1; the lower end counts); data findings with the AUROC and its interval, class findings,
    and the samples that betray their source most.
    Source: classifier two-sample tests, Lopez-Paz and Oquab 2017; the comparison within classes is ours.

    Args:
        column: what separates the sources: ``source``, ``split`` or ``meta.<name>``.
        first: one value of it; empty = all that are not ``second``.
        second: another value; empty = every value in turn against all others.
        encoder: whose features; empty = the newest.
        folds: of the cross-fitting.
        shown: samples of each side that are named where sources are told apart.
        most: values that are compared, the largest first.
        seed: of the folds.
    """

    needs: ClassVar[tuple[str, ...]] = ("embedding",)
    after: ClassVar[tuple[str, ...]] = COPIES
    column: str = "source"
    first: str = ""
    second: str = ""
    encoder: str = ""
    folds: int = 5
    shown: int = 6
    most: int = 12
    seed: int = 0

    def unmet(self, ds: Dataset) -> str:
        """Return why it cannot run: no features, or nothing to compare."""
        return AbstractCheck.unmet(self, ds) or self._alone(ds)

    def _alone(self, ds: Dataset) -> str:
        if self.column not in ds:
            return f"there is no column {self.column}"
        pairs = self._pairs(ds)
        return "" if pairs else f"column {self.column} has no two values with {LEAST} samples or more"

    def _pairs(self, ds: Dataset) -> list[tuple[str, Mask, Mask]]:
        """Return what is compared: in words, the second source's rows, the first source's rows."""
        known = np.array(["" if value is None else str(value) for value in ds[self.column]], object)
        names, counts = np.unique(known[known != ""].astype(str), return_counts=True)
        names = names[np.argsort(-counts, kind="stable")][: self.most]
        if self.second or (self.first and len(names) == 2):
            second = self.second or str(names[names != self.first][0])
            asked = [(second, self.first)]
        elif len(names) == 2:
            asked = [(str(names[1]), str(names[0]))]
        else:
            asked = [(str(name), self.first) for name in names if name != self.first]
        found = []
        for second, first in asked:
            one, two = known == second, known == first if first else (known != second) & (known != "")
            if min(one.sum(), two.sum()) >= LEAST:
                found.append((f"{second!r} and {first!r}" if first else f"{second!r} and the rest", one, two))
        return found

    def measure(self, ds: Dataset) -> Measurement:
        """Compare each pair of sources."""
        features = np.hstack([ds_embedding(ds, self.encoder)[1], _measurements(ds)])
        finite = np.isfinite(features).all(axis=1)
        score, overall, details = np.full(len(ds), np.nan), [], []
        parts = tied(ds)
        pairs, order = self._pairs(ds), np.argsort(ds.ids.astype(str), kind="stable")
        for words, one, two in pairs:
            rows = order[((one | two) & finite)[order]]
            try:
                shift = told_apart(
                    features[rows], one[rows], ds["label"][rows], groups=parts[rows], folds=self.folds,
                    confidence=1 - 0.05 / len(pairs), seed=self.seed,
                )  # fmt: skip
            except DataError as error:
                overall.append(finding("data", (), 0.0, f"{self.column} {words} cannot be compared: {error.what}"))
                continue
            apart = max(0.0, 2 * shift.low - 1)
            score[rows] = np.fmax(score[rows], apart * shift.own)
            overall.append(self._told(words, shift, (int(one[rows].sum()), int(two[rows].sum()))))
            if apart > 0:
                details += self._classes(ds, words, shift)
                details += self._betrayed(ds, rows, shift, (words, one[rows]))
        overall.sort(key=lambda item: -item["score"])
        return Measurement(score, [*overall, *details])

    def _told(self, words: str, shift: Shift, sizes: tuple[int, int]) -> Finding:
        sure = f"AUROC {shift.auroc:.3f}, interval {shift.low:.3f} to {shift.high:.3f}"
        verdict = _verdict(shift.auroc, shift.low)
        why = f"{self.column} {words} {verdict} ({sure}; {sizes[0]} and {sizes[1]} samples)"
        return finding("data", (), max(0.0, 2 * shift.auroc - 1) if shift.low > 0.5 else 0.0, why)

    def _classes(self, ds: Dataset, words: str, shift: Shift) -> list[Finding]:
        known = [item for item in shift.per_class.items() if item[1][1] > 0.5]
        return [
            finding("class", (ds.schema.classes[code],), 2 * auroc - 1,
                    f"{ds.schema.classes[code]}: {self.column} {words} {_verdict(auroc, low)} "
                    f"(AUROC {auroc:.3f}, interval {low:.3f} to {high:.3f})")
            for code, (auroc, low, high) in sorted(known, key=lambda item: -item[1][0])
        ]  # fmt: skip

    def _betrayed(self, ds: Dataset, rows: Ints, shift: Shift, what: tuple[str, Mask]) -> list[Finding]:
        found = []
        for side in (True, False):
            here = np.flatnonzero(what[1] == side)
            worst = here[np.lexsort((ds.ids[rows[here]].astype(str), -shift.own[here]))][: self.shown]
            found += [
                finding("sample", [ds.ids[rows[place]]], max(0.0, 2 * shift.low - 1) * shift.own[place],
                        f"betrays its {self.column} {ds[self.column][rows[place]]!r}: probability "
                        f"{shift.own[place]:.3f} ({what[0]})")
                for place in worst if shift.own[place] > 0.5
            ]  # fmt: skip
        return found


def _measurements(ds: Dataset) -> Floats:
    """Return (N, M) brightness, sharpness, sizes and whatever else the one pass over the bytes measured.

    Encoders are trained to overlook what tells cameras apart.
    """
    found = []
    for name, values in ds.wide.items():
        if name.startswith("scan.") and name != "scan.bytes" and values.ndim == 1 and values.dtype.kind in "fi":
            column = values.astype(np.float32)
            column = np.sign(column) * np.log1p(np.abs(column)) if values.dtype.kind == "i" else column
            known = np.isfinite(column)
            found.append(np.where(known, column, np.median(column[known]) if known.any() else 0.0))
    return np.stack(found, axis=1).astype(np.float32) if found else np.zeros((len(ds), 0), np.float32)


def _verdict(auroc: float, low: float) -> str:
    if not low > 0.5:
        return "are not proven to differ"
    return f"are {next(word for limit, word in WORDS if auroc < limit)} told apart"


WORDS: Final = ((0.6, "barely"), (0.75, "often"), (0.9, "mostly"), (1.1, "nearly always"))
