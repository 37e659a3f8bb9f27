"""The operating point: the highest recall of defects at a wanted false-alarm rate, and what it proves."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np

from scarce.dataset import Array, Floats
from scarce.errors import DataError
from scarce.evaluate._base import AbstractSection, Judged, plain
from scarce.metric.interval import clopper_pearson, group_codes, needed_for, provable
from scarce.metric.ranking import beside, false_positive_rate_at_recall, threshold_at_false_positive_rate

GOALS = (0.98, 0.99)


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A threshold that was chosen on held-out samples, before the test set is looked at.

    Attributes:
        threshold: +inf where the highest score is that of a sound sample: nothing can be rejected at the wanted rate.
        normals: held-out sound samples that it was chosen on.
        half_found_at: smallest false-alarm rate at which half of the held-out defects are found; NaN without defects.
    """

    threshold: float
    normals: int
    half_found_at: float


def choose(y_true: Array, score: Array, rate: float) -> Chosen:
    """Return the lowest threshold that keeps the wanted false-alarm rate on held-out samples.

    Fewer than 1/rate sound samples cannot show the rate; it is then the lowest threshold without a false alarm on them.

    Args:
        y_true: (M,) true for defects, with at least one sound sample.
        score: (M,) out-of-fold scores, higher = more likely a defect.
        rate: wanted share of sound samples that are rejected, in [0, 1).
    """
    y_true = np.asarray(y_true, bool)
    return Chosen(
        threshold=beside(threshold_at_false_positive_rate(y_true, score, rate), score), normals=int((~y_true).sum()),
        half_found_at=false_positive_rate_at_recall(y_true, score, 0.5),
    )  # fmt: skip


def resolved(rate: float, normals: int) -> bool:
    """Return whether one false alarm among so many sound samples is within the rate."""
    return rate * normals >= 1 - 1e-9


@dataclass(frozen=True, kw_only=True)
class Point:
    """A threshold and how it does; a sample is rejected where ``score >= threshold``.

    Attributes:
        threshold: +inf rejects nothing.
        false_positive_rate: the wanted rate.
        recall: share of defects that are rejected; ``recall_low`` its one-sided exact 95 % bound.
        false_alarm_rate: share of sound samples that are rejected; ``false_alarm_high`` its one-sided exact bound.
        defects, caught, normals, false_alarms: the counts behind them.
        defect_groups, normal_groups: groups that they come from. Where that is fewer, all bounds are counted by group:
            k of n samples from g groups count as k g/n of g.
        provable_recall: what this number of defects (of groups, where they share them) would prove without a miss.
        more_defects: for each goal, how many more defects (of other groups), all caught, would prove that recall;
            0 = proven already.
        in_sample: the threshold was chosen on the same samples: the figures are optimistic.
        held_out_normals: sound samples that the threshold was chosen on; None if it was given or chosen in-sample.
        half_found_at: smallest false-alarm rate at which half of the held-out defects are found; NaN if not known.
    """

    threshold: float
    false_positive_rate: float
    recall: float
    recall_low: float
    false_alarm_rate: float
    false_alarm_high: float
    defects: int
    caught: int
    normals: int
    false_alarms: int
    defect_groups: int
    normal_groups: int
    provable_recall: float
    more_defects: dict[str, int]
    in_sample: bool
    held_out_normals: int | None = None
    half_found_at: float = float("nan")

    @property
    def grouped(self) -> bool:
        """Whether bounds are counted by group."""
        return self.defect_groups < self.defects or self.normal_groups < self.normals

    @property
    def rate_resolved(self) -> bool:
        """Whether the samples that chose the threshold are enough to show the wanted rate."""
        return resolved(self.false_positive_rate, self.normals if self.in_sample else self.held_out_normals or 0)

    def to_json(self) -> dict[str, Any]:
        """Return plain values; an infinite threshold becomes None."""
        body: dict[str, Any] = plain(asdict(self))
        known = self.in_sample or self.held_out_normals is not None
        more = {"grouped": self.grouped, "rate_resolved": self.rate_resolved if known else None}
        return {**body, **more, "why": self.why()}

    def why(self) -> str:
        """Return a few sentences for people."""
        caught = f"{self.caught} of {self.defects} defects caught proves at least {100 * self.recall_low:.1f} % recall"
        alarms = (
            f"{self.false_alarms} of {self.normals} sound samples rejected: at most {100 * self.false_alarm_high:.1f} %"
        )
        by_group = self.defect_groups < self.defects
        many = f"{self.defect_groups} groups of defects" if by_group else f"{self.defects} defects"
        limit = f"without a miss {many} prove {100 * self.provable_recall:.1f} %"
        return " ".join([f"{caught}, {alarms} (one-sided 95 %); {limit}.", *self._asides()])

    def _asides(self) -> list[str]:
        out = []
        if self.grouped:
            out.append(
                f"The bounds are counted by group: the {self.defects} defects come from {self.defect_groups} groups, "
                f"the {self.normals} sound samples from {self.normal_groups}."
            )
        rate = f"{100 * self.false_positive_rate:g} %"
        if self.in_sample:
            out.append("The threshold was chosen on these same samples: optimistic.")
        elif self.held_out_normals is not None and not self.rate_resolved:
            told = "the threshold is the lowest one without a false alarm on them"
            beyond = "the highest score is that of a sound one, so the threshold lies beyond every score"
            out.append(
                f"{self.held_out_normals} held-out sound sample{'s' * (self.held_out_normals != 1)} cannot show {rate} "
                f"false alarms: {told if np.isfinite(self.threshold) else beyond}."
            )
        if not self.caught:
            out.append(f"At the wanted rate of {rate} false alarms no defect is found.")
            if np.isfinite(self.half_found_at):
                out.append(
                    f"Half of the held-out defects are found from {100 * self.half_found_at:.1f} % false alarms on."
                )
        return out


def operating_point(
    y_true: Array, score: Array, *, false_positive_rate: float = 0.01, threshold: float | Chosen | None = None,
    groups: Array | None = None,
) -> Point:  # fmt: skip
    """Return the operating point of a defect score.

    Args:
        y_true: (N,) true for defects.
        score: (N,) higher = more likely a defect.
        false_positive_rate: wanted share of sound samples that are rejected, in [0, 1).
        threshold: one that was chosen on other samples (out-of-fold) and frozen. None = choose the lowest one that
            keeps the rate here; the figures are then in-sample and marked so.
        groups: (N,) what several samples share (the object that they show); None entries stand alone. The bounds
            count groups where there are fewer of them than samples.

    Raises:
        DataError: no defect or no sound sample, labels that are neither true and false nor 1 and 0, a score that is not
            finite, or a threshold that is NaN.

    Example:
        >>> point = operating_point(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.6, 0.9]))
        >>> point.threshold, point.recall
        (0.6, 1.0)
    """
    y_true, score = _checked(y_true, score)
    if isinstance(threshold, float | np.floating) and np.isnan(threshold):
        raise DataError("evaluate.operating_point", "threshold = nan decides nothing", do="give a number, or +inf")
    given = threshold if isinstance(threshold, Chosen) else None
    if threshold is None:
        chosen = threshold_at_false_positive_rate(y_true, score, false_positive_rate)
    else:
        chosen = threshold.threshold if isinstance(threshold, Chosen) else threshold
    flagged = score >= chosen
    codes = np.arange(len(score)) if groups is None else group_codes(groups)
    defects, normals = int(y_true.sum()), int((~y_true).sum())
    defect_groups, normal_groups = len(np.unique(codes[y_true])), len(np.unique(codes[~y_true]))
    caught, alarms = int((flagged & y_true).sum()), int((flagged & ~y_true).sum())
    hits = caught * defect_groups / defects if caught < defects else defect_groups
    return Point(
        threshold=float(chosen), false_positive_rate=false_positive_rate, recall=caught / defects,
        recall_low=clopper_pearson(caught, defects, 0.95, "lower", groups=defect_groups)[0],
        false_alarm_rate=alarms / normals,
        false_alarm_high=clopper_pearson(alarms, normals, 0.95, "upper", groups=normal_groups)[1],
        defects=defects, caught=caught, normals=normals, false_alarms=alarms,
        defect_groups=defect_groups, normal_groups=normal_groups, provable_recall=provable(defect_groups),
        more_defects={f"{goal:g}": more_defects(hits, defect_groups, goal) for goal in GOALS},
        in_sample=threshold is None, held_out_normals=given.normals if given else None,
        half_found_at=given.half_found_at if given else float("nan"),
    )  # fmt: skip


def _checked(y_true: Array, score: Array) -> tuple[Array, Floats]:
    truth, score = np.asarray(y_true), np.asarray(score, np.float64)
    if truth.dtype.kind not in "biuf" or not np.isin(truth, (0, 1)).all():
        some = ", ".join(repr(value) for value in np.unique(truth.astype(str))[:4].tolist())
        raise DataError("evaluate.operating_point", "y_true is neither true and false nor 1 and 0", f"it holds {some}",
                        "give y == defect, true for defects")  # fmt: skip
    y_true = truth.astype(bool)
    if y_true.shape != score.shape or y_true.ndim != 1:
        raise DataError("evaluate.operating_point", f"{y_true.shape} labels and {score.shape} scores differ")
    if not np.isfinite(score).all():
        raise DataError("evaluate.operating_point", f"{int((~np.isfinite(score)).sum())} scores are not finite")
    if not y_true.any() or y_true.all():
        missing = "defect" if not y_true.any() else "sound sample"
        raise DataError("evaluate.operating_point", f"there is no {missing}", f"{len(y_true)} samples", "test on both")
    return y_true, score


def more_defects(caught: float, defects: int, recall: float) -> int:
    """Return how many more defects, all of them caught, would prove a recall (one-sided 95 %); 0 = proven.

    Counted by group, ``caught`` may be a fraction.

    Example:
        >>> more_defects(150, 150, 0.99)
        149
    """
    misses = defects - caught
    if clopper_pearson(caught, defects, 0.95, "lower")[0] >= recall:
        return 0
    low, high = defects, max(needed_for(recall), defects) + 1
    while provable(high, misses) < recall:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if provable(middle, misses) >= recall else (middle, high)
    return high - defects


def defect_score(probs: Floats, normal: tuple[int, ...]) -> Floats:
    """Return (N,) 1 - p(normal), summed over all sound classes."""
    return np.asarray(1.0 - np.asarray(probs)[:, list(normal)].sum(1), np.float64)


@final
@dataclass(frozen=True, kw_only=True)
class OperatingPoint(AbstractSection):
    """The highest recall of defects at the wanted false-alarm rate, with bounds on both.

    Use when parts are accepted or rejected. The threshold comes from out-of-fold scores and is frozen before the test
    set is looked at; without them it is chosen on the test set and marked ``in_sample``. Where fewer held-out sound
    samples exist than 1/rate, it is the lowest one without a false alarm on them.
    Needs: labels and probabilities; a normal class, otherwise the section is null and ``one_vs_rest`` stands in.
    Writes: see :class:`Point`, and ``per_class``: recall of every defect class at that threshold with its lower bound.
    All bounds are counted by group where samples share one.
    ``at_detection_rate``: the fewest false alarms at the wanted detection rate, its threshold chosen out of fold.
    Source: Clopper and Pearson 1934 for the bounds.

    Args:
        detection_rate: wanted share of defects that are found, in (0, 1].
    """

    detection_rate: float = 0.99

    def measure(self, judged: Judged) -> dict[str, Any] | None:
        """Return the point, or None without a normal class or where one side is empty."""
        defect = ~np.isin(judged.y, judged.normal)
        if not judged.normal or not defect.any() or defect.all():
            return None
        score = defect_score(judged.probs, judged.normal)
        frozen = self._frozen(judged)
        point = operating_point(
            defect, score, false_positive_rate=judged.false_positive_rate, threshold=frozen, groups=judged.groups
        )
        per_class = {}
        for code in np.unique(judged.y[defect]):
            own = judged.y == code
            caught = int((score[own] >= point.threshold).sum())
            per_class[judged.classes[code]] = {
                "n": int(own.sum()), "caught": caught, "recall": caught / int(own.sum()),
                "groups": (groups := judged.group_count(own)),
                "low": clopper_pearson(caught, int(own.sum()), 0.95, "lower", groups=groups)[0],
            }  # fmt: skip
        wished = self._at_detection_rate(judged, defect, score)
        return {**point.to_json(), "per_class": plain(per_class), "at_detection_rate": wished}

    def _at_detection_rate(self, judged: Judged, defect: Array, score: Floats) -> dict[str, Any] | None:
        from scarce.evaluate.threshold import at_detection_rate

        labels, probs = judged.out_of_fold or (np.zeros(0, np.int64), np.zeros((0, judged.n_classes)))
        sound = np.isin(labels, judged.normal)
        if not sound.any() or sound.all():
            return None
        chosen = at_detection_rate(~sound, defect_score(probs, judged.normal), self.detection_rate)
        found = operating_point(defect, score, threshold=chosen.threshold, groups=judged.groups)
        return {"detection_rate": self.detection_rate, **found.to_json()}

    def _frozen(self, judged: Judged) -> Chosen | None:
        if judged.out_of_fold is None:
            return None
        labels, probs = judged.out_of_fold
        sound = np.isin(labels, judged.normal)
        if not sound.any():
            return None
        return choose(~sound, defect_score(probs, judged.normal), judged.false_positive_rate)


def one_vs_rest(judged: Judged) -> dict[str, Any]:
    """Return the operating point of every class against the rest, for data without a normal class."""
    table: dict[str, Any] = {}
    for code, name in enumerate(judged.classes):
        inside: Array = judged.y == code
        if not inside.any() or inside.all():
            continue
        frozen = None
        if judged.out_of_fold is not None and (judged.out_of_fold[0] != code).any():
            labels, probs = judged.out_of_fold
            frozen = choose(labels == code, probs[:, code], judged.false_positive_rate)
        point = operating_point(
            inside, judged.probs[:, code], false_positive_rate=judged.false_positive_rate, threshold=frozen,
            groups=judged.groups,
        )  # fmt: skip
        table[name] = point.to_json()
    return table
