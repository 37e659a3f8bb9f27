"""How production does, by week and month, from samples that were drawn at random.

Feedback that was asked for because a model doubted says nothing about its accuracy: it is counted and left out. What
counts is drawn with a known probability, and weighs its inverse.

===================  ==================================================================================================
figure               share of ...
===================  ==================================================================================================
``accuracy``         answers whose class is right
``detection``        defects that were called defect
``false_defect``     sound samples that were called defect
``classes``          samples of each class that were answered as it
``calibration_gap``  not a share: mean probability of the answer minus accuracy; above 0 = surer than right
``to_person``        answers that a person had to decide: ``ask`` or ``unknown``; all are known, none is drawn
===================  ==================================================================================================

What is called a defect: the verdict ``reject``; without ``accept`` or ``reject``, the answered class.

Each interval is exact (Clopper-Pearson) where all were drawn alike, with groups counted where samples share one. Drawn
unequally, the weights leave fewer samples than there are (Kish): the exact interval of so many, and a bootstrap over
groups, whichever reaches further.

Source: see :mod:`scarce.flywheel._rate`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from scarce.dataset import Array, Dataset, Floats, Ints, Mask
from scarce.errors import DataError
from scarce.flywheel._rate import Change, Rate, counted, difference, rate

if TYPE_CHECKING:
    from scarce.project import Project

__all__ = [
    "ALL", "MONTH", "WEEK", "Changes", "Figures", "Kpis", "Outcomes", "Period", "Rate", "Traffic", "changes", "figures",
    "measure", "over_time", "periods", "rate",
]  # fmt: skip
WHO: Final = "flywheel.kpi"
WEEK, MONTH, ALL = "week", "month", "all"


@dataclass(frozen=True, kw_only=True)
class Outcomes:
    """Answers whose truth became known; N of them.

    Attributes:
        at: (N,) datetime64[s], when each was answered, UTC.
        truth: (N,) codes of the true classes.
        answer: (N,) codes of the answered ones; -1 = none.
        called: (N,) bool: was called a defect.
        probability: (N,) of the answered class; NaN = none.
        inclusion: (N,) probability with which each was drawn, in (0, 1]; NaN = it was not drawn at random.
        groups: (N,) what several share: the sample itself where it was answered twice.
    """

    at: Array
    truth: Ints
    answer: Ints
    called: Mask
    probability: Floats
    inclusion: Floats
    groups: Array

    def __post_init__(self) -> None:
        """Check lengths and probabilities.

        Raises:
            DataError: they do not fit.
        """
        lengths = {name: len(getattr(self, name)) for name in self.__dataclass_fields__}
        if len(set(lengths.values())) != 1:
            raise DataError(WHO, "columns of different lengths", ", ".join(f"{k}: {v}" for k, v in lengths.items()))
        drawn = self.inclusion[np.isfinite(self.inclusion)]
        if ((drawn <= 0) | (drawn > 1)).any() or np.isinf(self.inclusion).any():
            span = f"from {np.nanmin(self.inclusion):g} to {np.nanmax(self.inclusion):g}"
            raise DataError(WHO, "an inclusion probability is not in (0, 1]", span, "store that of the draw")

    def __len__(self) -> int:
        """Return N."""
        return len(self.truth)

    def take(self, rows: Array) -> Outcomes:
        """Return some of them, by numbers or a mask."""
        return Outcomes(**{name: getattr(self, name)[rows] for name in self.__dataclass_fields__})

    @property
    def drawn(self) -> Mask:
        """Which were drawn at random, (N,)."""
        return np.asarray(np.isfinite(self.inclusion))


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What random draws say; see the table of the module.

    Attributes:
        detection, false_defect: None where no class is known to be sound.
        drawn: samples behind it.
        left_out: confirmed or corrected ones that were not drawn at random.
    """

    accuracy: Rate
    detection: Rate | None
    false_defect: Rate | None
    calibration_gap: Rate
    classes: Mapping[str, Rate]
    drawn: int
    left_out: int

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        named = {name: getattr(self, name) for name in NAMES}
        return {
            **{name: found and found.to_json() for name, found in named.items()},
            "classes": {name: found.to_json() for name, found in self.classes.items()},
            "drawn": self.drawn, "left_out": self.left_out,
        }  # fmt: skip


NAMES: Final = ("detection", "false_defect", "accuracy", "calibration_gap")


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """What was answered, and labels that people gave.

    Attributes:
        day: (D,) datetime64[D], UTC, none twice.
        answered: (D,) answers.
        asked: (D,) of them for a person to decide.
        fresh: (D,) samples that were met for the first time: what full labelling would label.
        labels: (L,) datetime64[s] when people gave a label, one for each sample.
    """

    day: Array
    answered: Ints
    asked: Ints
    fresh: Ints
    labels: Array


@dataclass(frozen=True, kw_only=True)
class Period:
    """One week, month, or all of it.

    Attributes:
        name: ``2026-W47`` (ISO week, from Monday, UTC), ``2026-11`` or ``all``.
        figures: what random draws say.
        to_person: share of the answers that a person had to decide.
        answered: answers.
        labels_spent: samples that people labelled.
        labels_full: samples met for the first time: what full labelling would have cost.
    """

    name: str
    figures: Figures
    to_person: Rate
    answered: int
    labels_spent: int
    labels_full: int

    @property
    def labels_saved(self) -> int:
        """Labels saved against labelling every sample; counted, so that it has no interval."""
        return max(self.labels_full - self.labels_spent, 0)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "period": self.name, "answered": self.answered, "labels_spent": self.labels_spent,
            "labels_full": self.labels_full, "labels_saved": self.labels_saved,
            "share_saved": self.labels_saved / self.labels_full if self.labels_full else None,
            "to_person": self.to_person.to_json(), **self.figures.to_json(),
        }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Kpis:
    """Figures of a project, the latest last.

    Attributes:
        weeks, months: the latest ones.
        whole: over all time; None = nothing was answered.
        outcomes, traffic: what they were counted from.
        untold: drawn samples without an answer: ``open`` and ``unsure``.
    """

    weeks: tuple[Period, ...]
    months: tuple[Period, ...]
    whole: Period | None
    outcomes: Outcomes
    traffic: Traffic
    untold: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"weeks": [row.to_json() for row in self.weeks], "months": [row.to_json() for row in self.months],
                "all": self.whole and self.whole.to_json(), "untold": dict(self.untold)}  # fmt: skip


def measure(project: Project, ds: Dataset | None = None, *, weeks: int = 12, months: int = 12) -> Kpis:
    """Return how production does.

    Args:
        project: with a log of predictions.
        ds: its newest data, where it is open already.
        weeks: so many of the latest weeks.
        months: so many of the latest months.

    Raises:
        StoreError: the database cannot be read.
    """
    from scarce.flywheel._blind import untold
    from scarce.flywheel._outcomes import outcomes, sound_of, traffic

    if ds is None and project.head:
        ds = project.dataset()
    classes = ds.schema.classes if ds is not None else ()
    normal = [classes.index(name) for name in sound_of(project, ds)]
    found, passed = outcomes(project, ds), traffic(project, ds)
    rows = {every: over_time(found, passed, classes, normal, every=every, most=most)
            for every, most in ((WEEK, weeks), (MONTH, months), (ALL, 1))}  # fmt: skip
    return Kpis(weeks=tuple(rows[WEEK]), months=tuple(rows[MONTH]), whole=rows[ALL][0] if rows[ALL] else None,
                outcomes=found, traffic=passed, untold=untold(project))  # fmt: skip


def figures(
    found: Outcomes, classes: Sequence[str], normal: Sequence[int], *, confidence: float = 0.95, seed: int = 0
) -> Figures:
    """Return what the randomly drawn ones say.

    Args:
        found: answers with their truth; those that were not drawn at random are counted and left out.
        classes: names.
        normal: codes of the sound classes; empty = no class is known to be sound.
        confidence: of each interval, two-sided.
        seed: of the bootstrap.
    """
    own = found.take(found.drawn)
    right = own.answer == own.truth
    sound = np.isin(own.truth, list(normal))

    def share(hits: Mask, rows: Mask) -> Rate:
        return rate(hits[rows], own.inclusion[rows], own.groups[rows], confidence=confidence, seed=seed)

    everything = np.ones(len(own), bool)
    return Figures(
        accuracy=share(right, everything),
        detection=share(own.called, ~sound) if len(normal) else None,
        false_defect=share(own.called, sound) if len(normal) else None,
        calibration_gap=_gap(own, share(right, np.isfinite(own.probability))),
        classes={name: share(right, own.truth == code) for code, name in enumerate(classes)},
        drawn=len(own), left_out=len(found) - len(own),
    )  # fmt: skip


def over_time(  # noqa: PLR0913 - one knob each
    found: Outcomes, traffic: Traffic, classes: Sequence[str], normal: Sequence[int], *, every: str = WEEK,
    confidence: float = 0.95, most: int | None = None,
) -> list[Period]:  # fmt: skip
    """Return one period after another in which anything happened, the oldest first.

    Answers count when they were given, not when their truth became known.

    Args:
        found: answers with their truth.
        traffic: what was answered, and labels given.
        classes: names.
        normal: codes of the sound classes.
        every: ``week``, ``month`` or ``all``.
        confidence: of each interval, two-sided.
        most: only so many of the latest; None = all.
    """
    of_found, of_days, of_labels = (periods(times, every) for times in (found.at, traffic.day, traffic.labels))
    out = []
    names = sorted({*of_found.tolist(), *of_days.tolist(), *of_labels.tolist()})
    for name in names[-most:] if most else names:
        days = of_days == name
        answered, asked = int(traffic.answered[days].sum()), int(traffic.asked[days].sum())
        out.append(Period(
            name=name, answered=answered, labels_spent=int((of_labels == name).sum()),
            labels_full=int(traffic.fresh[days].sum()), to_person=counted(asked, answered, confidence),
            figures=figures(found.take(of_found == name), classes, normal, confidence=confidence),
        ))  # fmt: skip
    return out


def periods(times: Array, every: str = WEEK) -> Array:
    """Return (N,) names of the periods that times lie in, which sort as the times do.

    Example:
        >>> periods(np.array(["2027-01-03", "2027-01-04"], "datetime64[s]")).tolist()
        ['2026-W53', '2027-W01']
    """
    days = np.asarray(times).astype("datetime64[D]")
    if every == ALL:
        return np.full(len(days), ALL)
    if every == MONTH:
        return np.asarray(days.astype("datetime64[M]").astype(str), str)
    if every != WEEK:
        raise DataError(WHO, f"every {every!r}", f"there are {WEEK}, {MONTH} and {ALL}")
    known, place = np.unique(days, return_inverse=True)
    parts = [day.isocalendar() for day in known.tolist()]
    names = np.array([f"{part.year}-W{part.week:02d}" for part in parts], str)
    return names[place] if len(names) else np.zeros(0, str)


@dataclass(frozen=True, kw_only=True)
class Changes:
    """All figures at two times, compared so that the chance of any false claim is kept.

    Attributes:
        figures: those that both times can say something about.
        drawn: randomly drawn samples of the earlier and of the later time.
    """

    figures: tuple[Change, ...] = field(default=())
    drawn: tuple[int, int] = (0, 0)

    @property
    def proven(self) -> tuple[Change, ...]:
        """Those that differ beyond chance."""
        return tuple(row for row in self.figures if row.proven)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"figures": [row.to_json() for row in self.figures], "drawn": list(self.drawn)}


def changes(
    earlier: Outcomes, later: Outcomes, classes: Sequence[str], normal: Sequence[int], *, alpha: float = 0.05
) -> Changes:
    """Compare two times, all figures but those of single classes; the chance of any false claim is about ``alpha``.

    Args:
        earlier: answers with their truth; those that were not drawn at random are left out.
        later: the same of another time.
        classes: names.
        normal: codes of the sound classes.
        alpha: shared by all figures (Bonferroni).
    """
    rough = [_named(figures(part, classes, normal)) for part in (earlier, later)]
    names = [name for name in rough[0] if rough[0][name].value is not None and rough[1][name].value is not None]
    level = 1 - alpha / max(len(names), 1)
    old, new = (_named(figures(part, classes, normal, confidence=level)) for part in (earlier, later))
    rows = tuple(difference(name, old[name], new[name]) for name in names)
    return Changes(figures=rows, drawn=(int(earlier.drawn.sum()), int(later.drawn.sum())))


def _named(found: Figures) -> dict[str, Rate]:
    rows = {name: getattr(found, name) for name in NAMES}
    return {name: row for name, row in rows.items() if row is not None}


def _gap(own: Outcomes, accuracy: Rate) -> Rate:
    """Return mean probability minus accuracy; its interval is that of the accuracy, the probabilities are known."""
    if accuracy.value is None:
        return Rate(value=None, low=-1.0, high=1.0, n=0, groups=0, effective=0.0, why=accuracy.why)
    known = np.isfinite(own.probability)
    weights = 1 / own.inclusion[known]
    mean = float(weights @ own.probability[known] / weights.sum())
    return Rate(value=mean - accuracy.value, low=mean - accuracy.high, high=mean - accuracy.low, n=accuracy.n,
                groups=accuracy.groups, effective=accuracy.effective)  # fmt: skip
