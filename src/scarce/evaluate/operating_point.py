"""The operating point: the highest recall of defects at a wanted false-alarm rate, and what it proves."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np

from scarce.dataset import Array, Floats, Ints
from scarce.errors import DataError
from scarce.evaluate._base import AbstractSection, Judged, plain
from scarce.metric.interval import clopper_pearson, needed_for, provable
from scarce.metric.ranking import threshold_at_false_positive_rate

GOALS = (0.98, 0.99)


@dataclass(frozen=True, kw_only=True)
class Point:
    """A threshold and how it does; a sample is rejected where ``score >= threshold``.

    Attributes:
        threshold: +inf rejects nothing.
        false_positive_rate: the wanted rate.
        recall: share of defects that are rejected; ``recall_low`` its one-sided exact 95 % bound.
        false_alarm_rate: share of sound samples that are rejected; ``false_alarm_high`` its one-sided exact bound.
        defects, caught, normals, false_alarms: the counts behind them.
        provable_recall: what this number of defects would prove if none were missed.
        more_defects: for each goal, how many more defects, all caught, would prove that recall; 0 = proven already,
            None = a miss stands against it (more than that number is needed).
        in_sample: the threshold was chosen on the same samples: the figures are optimistic.
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
    provable_recall: float
    more_defects: dict[str, int]
    in_sample: bool

    def to_json(self) -> dict[str, Any]:
        """Return plain values; an infinite threshold becomes None."""
        body: dict[str, Any] = plain(asdict(self))
        return {**body, "why": self.why()}

    def why(self) -> str:
        """Return one or two sentences for people."""
        caught = f"{self.caught} of {self.defects} defects caught proves at least {self.recall_low:.1%} recall"
        alarms = f"{self.false_alarms} of {self.normals} sound samples rejected: at most {self.false_alarm_high:.1%}"
        limit = f"without a miss {self.defects} defects prove {self.provable_recall:.1%}"
        origin = " The threshold was chosen on these same samples: optimistic." if self.in_sample else ""
        return f"{caught}, {alarms} (one-sided 95 %); {limit}.{origin}"


def operating_point(
    y_true: Array, score: Array, *, false_positive_rate: float = 0.01, threshold: float | None = None
) -> Point:
    """Return the operating point of a defect score.

    Args:
        y_true: (N,) true for defects.
        score: (N,) higher = more likely a defect.
        false_positive_rate: wanted share of sound samples that are rejected, in [0, 1).
        threshold: one that was chosen on other samples (out-of-fold) and frozen. None = choose the lowest one that
            keeps the rate here; the figures are then in-sample and marked so.

    Raises:
        DataError: no defect or no sound sample, or a score is not finite.

    Example:
        >>> point = operating_point(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.6, 0.9]))
        >>> point.threshold, point.recall
        (0.6, 1.0)
    """
    y_true, score = np.asarray(y_true).astype(bool), np.asarray(score, np.float64)
    if y_true.shape != score.shape or y_true.ndim != 1:
        raise DataError("evaluate.operating_point", f"{y_true.shape} labels and {score.shape} scores differ")
    if not np.isfinite(score).all():
        raise DataError("evaluate.operating_point", f"{int((~np.isfinite(score)).sum())} scores are not finite")
    if not y_true.any() or y_true.all():
        missing = "defect" if not y_true.any() else "sound sample"
        raise DataError("evaluate.operating_point", f"there is no {missing}", f"{len(y_true)} samples", "test on both")
    chosen = threshold_at_false_positive_rate(y_true, score, false_positive_rate) if threshold is None else threshold
    flagged = score >= chosen
    defects, normals = int(y_true.sum()), int((~y_true).sum())
    caught, alarms = int((flagged & y_true).sum()), int((flagged & ~y_true).sum())
    return Point(
        threshold=float(chosen), false_positive_rate=false_positive_rate,
        recall=caught / defects, recall_low=clopper_pearson(caught, defects, 0.95, "lower")[0],
        false_alarm_rate=alarms / normals, false_alarm_high=clopper_pearson(alarms, normals, 0.95, "upper")[1],
        defects=defects, caught=caught, normals=normals, false_alarms=alarms,
        provable_recall=provable(defects), more_defects={f"{g:g}": more_defects(caught, defects, g) for g in GOALS},
        in_sample=threshold is None,
    )  # fmt: skip


def more_defects(caught: int, defects: int, recall: float) -> int:
    """Return how many more defects, all of them caught, would prove a recall (one-sided 95 %); 0 = proven.

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
    set is looked at; without them it is chosen on the test set and marked ``in_sample``.
    Needs: labels and probabilities; a normal class, otherwise the section is null and ``one_vs_rest`` stands in.
    Writes: see :class:`Point`, and ``per_class``: recall of every defect class at that threshold with its lower bound.
    Source: Clopper and Pearson 1934 for the bounds.
    """

    def measure(self, judged: Judged) -> dict[str, Any] | None:
        """Return the point, or None without a normal class or where one side is empty."""
        defect = ~np.isin(judged.y, judged.normal)
        if not judged.normal or not defect.any() or defect.all():
            return None
        score = defect_score(judged.probs, judged.normal)
        frozen = self._frozen(judged)
        point = operating_point(defect, score, false_positive_rate=judged.false_positive_rate, threshold=frozen)
        per_class = {}
        for code in np.unique(judged.y[defect]):
            own = judged.y == code
            caught = int((score[own] >= point.threshold).sum())
            per_class[judged.classes[code]] = {
                "n": int(own.sum()), "caught": caught, "recall": caught / int(own.sum()),
                "low": clopper_pearson(caught, int(own.sum()), 0.95, "lower")[0],
            }  # fmt: skip
        groups = judged.group_count(defect)
        body = point.to_json()
        if groups < point.defects:
            body["why"] += f" The {point.defects} defects come from {groups} groups only: the bounds are too narrow."
        return {**body, "defect_groups": groups, "per_class": plain(per_class)}

    def _frozen(self, judged: Judged) -> float | None:
        if judged.out_of_fold is None:
            return None
        labels, probs = judged.out_of_fold
        sound = np.isin(labels, judged.normal)
        if not sound.any():
            return None
        score = defect_score(probs, judged.normal)
        return threshold_at_false_positive_rate(~sound, score, judged.false_positive_rate)


def one_vs_rest(judged: Judged) -> dict[str, Any]:
    """Return the operating point of every class against the rest, for data without a normal class."""
    table: dict[str, Any] = {}
    for code, name in enumerate(judged.classes):
        inside: Ints | Array = judged.y == code
        if not inside.any() or inside.all():
            continue
        frozen = None
        if judged.out_of_fold is not None and (judged.out_of_fold[0] != code).any():
            labels, probs = judged.out_of_fold
            frozen = threshold_at_false_positive_rate(labels == code, probs[:, code], judged.false_positive_rate)
        point = operating_point(
            inside, judged.probs[:, code], false_positive_rate=judged.false_positive_rate, threshold=frozen
        )
        table[name] = point.to_json()
    return table
