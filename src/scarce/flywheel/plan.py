"""Where a project stands, what comes next, what it may cost, and which real samples are missing.

==================  ===================================================================================================
phase               begins where
==================  ===================================================================================================
``initial data``    fewer than two classes have ten real labelled training samples
``initial model``   they have, and no model is ``@champion`` yet
``active loop``     a champion answers
``stabilization``   the last eight weeks are stable: each half of them has a look for drift and 30 audited samples or
                    more, no look raised an alarm, and no figure of the audit differs beyond chance between the halves
==================  ===================================================================================================

Once stable, people are asked by the month; an alarm or a changed figure brings the weekly budget back.

Missing real samples (:mod:`scarce.flywheel._missing`) are named before anything is made.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from scarce.dataset import Array, Dataset
from scarce.flywheel._alarms import new_classes, told
from scarce.flywheel._blind import draws
from scarce.flywheel._missing import ENOUGH, Missing, missing
from scarce.flywheel._outcomes import labelled
from scarce.flywheel._standing import Looks, Standing, defects_wanted, looks_of, standing_of
from scarce.flywheel.kpi import MONTH, WEEK, Changes, Kpis, Outcomes, changes, periods
from scarce.flywheel.queue import budget_of
from scarce.rebalance import strategy

if TYPE_CHECKING:
    from scarce.project import Project

INITIAL_DATA, INITIAL_MODEL, LOOP, STABLE = "initial data", "initial model", "active loop", "stabilization"
WEEKS: Final = 8
"""Weeks that must be alike to be called stable."""
AUDITED: Final = 30
"""Audited samples that each half of them must have."""


@dataclass(frozen=True, kw_only=True)
class Steady:
    """Whether production is stable.

    Attributes:
        stable: whether it is.
        why: sentences for people.
        changes: the first half of the weeks against the last.
    """

    stable: bool
    why: tuple[str, ...]
    changes: Changes = field(default_factory=Changes)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"stable": self.stable, "why": list(self.why), "changes": self.changes.to_json()}


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """Labels of the present period.

    Attributes:
        every: ``week`` or ``month``.
        period: its name, UTC.
        total: labels that people can give in it.
        spent: labels that they gave; once a champion answers, questions that they were asked.
        ends: the first day of the one after the present week or month, ISO 8601.
        ahead: whether somebody drew with a clock that was ahead, so that this period is one to come.
    """

    every: str
    period: str
    total: int
    spent: int
    ends: str
    ahead: bool = False

    @property
    def left(self) -> int:
        """Labels that are left."""
        return max(self.total - self.spent, 0)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"every": self.every, "period": self.period, "total": self.total, "spent": self.spent,
                "left": self.left, "ends": self.ends, "ahead": self.ahead}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Step:
    """What to do next: a command that can be pasted, and why."""

    command: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The whole plan.

    Attributes:
        phase: one of the four; ``why`` says why.
        next: the next step.
        budget: labels of this period.
        retrain: new training samples since the newest model, and how many are wanted; None = not known.
        missing: real samples that classes lack, the most first.
        grow: what to make only after that; None = nothing.
        steady: whether production is stable; None before there is a champion.
    """

    phase: str
    why: str
    next: Step
    budget: Allowance
    retrain: tuple[int | None, int]
    missing: tuple[Missing, ...]
    grow: Step | None
    steady: Steady | None

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "phase": self.phase, "why": self.why, "next": vars(self.next), "budget": self.budget.to_json(),
            "new_samples": self.retrain[0], "retrain_after": self.retrain[1],
            "missing": [row.to_json() for row in self.missing], "then": self.grow and vars(self.grow),
            "steady": self.steady and self.steady.to_json(),
        }  # fmt: skip


def plan(project: Project, kpis: Kpis, ds: Dataset | None = None, *, now: datetime | None = None) -> Plan:
    """Return where a project stands and what comes next.

    Args:
        project: any, an empty one too.
        kpis: from :func:`scarce.flywheel.kpi.measure`.
        ds: its newest data, where it is open already.
        now: the time; None = now.

    Raises:
        StoreError: the database cannot be read.
    """
    now = now or datetime.now(UTC)
    if ds is None and project.head:
        ds = project.dataset()
    settings, place = project.config.flywheel, str(project.folder)
    standing = standing_of(project, ds)
    looks = looks_of(project, standing.champion)
    classes = ds.schema.classes if ds is not None else ()
    codes = [classes.index(name) for name in standing.normal]
    steady = None
    if standing.champion is not None:
        steady = steadiness(kpis.outcomes, classes, codes, looks=looks, now=now)
    name, why = phase(standing, steady)
    every = {"auto": MONTH if name == STABLE else WEEK}.get(settings.period, settings.period)
    budget = allowance(labelled(project.state, ds), every, settings.labels_per_month if every == MONTH
                       else settings.labels_per_week, now=now)  # fmt: skip
    if standing.champion is not None:  # what scarce queue keeps to: questions, answered or not
        kept = budget_of(draws(project), every, budget.total, now)
        budget = replace(budget, spent=kept.spent, period=kept.period, ahead=kept.ahead)
    short = missing(standing.train, standing.test, standing.normal, margin=settings.margin,
                    more_defects=defects_wanted(project, standing.champion))  # fmt: skip
    step = next_step(standing, place, budget, retrain_after=settings.retrain_after,
                     alarms=looks.open)  # fmt: skip
    return Plan(phase=name, why=why, next=step, budget=budget, retrain=(standing.fresh, settings.retrain_after),
                missing=short, grow=growing(standing, short, place), steady=steady)  # fmt: skip


def phase(standing: Standing, steady: Steady | None) -> tuple[str, str]:
    """Return the phase and why; see the table of the module."""
    enough = [name for name, n in standing.train.items() if n >= ENOUGH]
    if standing.champion is not None:
        if steady is not None and steady.stable:
            return STABLE, steady.why[0]
        return LOOP, f"it is not called stable: {steady.why[0]}" if steady else f"{standing.champion} answers"
    if standing.version is None:
        return INITIAL_DATA, "there is no data yet"
    if len(enough) < 2:
        return (
            INITIAL_DATA,
            f"{len(enough)} of {len(standing.train)} classes have {ENOUGH} real labelled training samples",
        )
    return INITIAL_MODEL, f"{len(enough)} classes have {ENOUGH} real training samples or more, and nothing answers yet"


def steadiness(
    found: Outcomes, classes: Sequence[str], normal: Sequence[int], *, looks: Looks, now: datetime, weeks: int = WEEKS,
) -> Steady:  # fmt: skip
    """Say whether the last weeks were stable.

    Args:
        found: answers with their truth; only those that were drawn at random count.
        classes: names.
        normal: codes of the sound classes.
        looks: for drift.
        now: the time.
        weeks: how many weeks, an even number; the present one is not over and does not count.
    """
    end = np.datetime64(monday(now).date(), "s")
    start, half = end - np.timedelta64(7 * weeks, "D"), end - np.timedelta64(7 * weeks // 2, "D")
    parts = found.take((found.at >= start) & (found.at < half)), found.take((found.at >= half) & (found.at < end))
    compared = changes(*parts, classes, normal)
    middle = monday(now) - timedelta(weeks=weeks // 2)
    since = monday(now) - timedelta(weeks=weeks)
    late = [at for at, _ in looks.alarms if at >= since]
    why = []
    if late:
        why.append(f"{len(late)} alarm{'s' * (len(late) != 1)} of drift in the last {weeks} weeks")
    if not (any(since <= at < middle for at in looks.at) and any(at >= middle for at in looks.at)):
        why.append(f"nobody looked for drift in each half of the last {weeks} weeks: scarce drift")
    if min(compared.drawn) < AUDITED:
        why.append(f"the random audit of the last {weeks} weeks has {compared.drawn[0]} and {compared.drawn[1]} "
                   f"samples in its halves; {AUDITED} of each are needed to call them alike")  # fmt: skip
    why += [f"{row.name} changed by {100 * row.value:+.1f} points ({100 * row.low:+.1f} to {100 * row.high:+.1f})"
            for row in compared.proven]  # fmt: skip
    if why:
        return Steady(stable=False, why=tuple(why), changes=compared)
    widest = max((max(row.high - row.value, row.value - row.low) for row in compared.figures
                  if row.name == "accuracy"), default=1.0)  # fmt: skip
    text = f"no alarm and no figure changed beyond chance in {weeks} weeks; of accuracy {100 * widest:.0f} points would"
    return Steady(stable=True, why=(f"{text} have shown",), changes=compared)


def allowance(labels: Array, every: str, total: int, *, now: datetime) -> Allowance:
    """Return what the present week or month may still cost.

    Args:
        labels: (L,) datetime64[s] when labels were given.
        every: ``week`` or ``month``.
        total: labels of it.
        now: the time.
    """
    today = now.astimezone(UTC)
    period = str(periods(np.array([today.replace(tzinfo=None)], "datetime64[s]"), every)[0])
    next_month = (today.replace(day=1) + timedelta(days=32)).replace(day=1)
    ends = next_month if every == MONTH else monday(today) + timedelta(weeks=1)
    return Allowance(every=every, period=period, total=total, spent=int((periods(labels, every) == period).sum()),
                     ends=ends.date().isoformat())  # fmt: skip


def next_step(
    standing: Standing, place: str, budget: Allowance, *, retrain_after: int, alarms: Sequence[Mapping[str, Any]] = (),
) -> Step:  # fmt: skip
    """Return what to do next.

    Args:
        standing: what is there.
        place: the project's folder.
        budget: labels of this period.
        retrain_after: new training samples before a model is trained again.
        alarms: of drift that no round has told yet.
    """
    at = shlex.quote(place)
    if standing.champion is None:
        return _first_steps(standing, at)
    if standing.proposed:
        why = f"{standing.challenger} is proven and waits for a person"
        return Step(command=f"scarce promote {at}", why=why)
    if new_classes(alarms):
        why = f"a new class? {told(alarms, standing.modality)[0]} A round asks about them at once"
        return Step(command=f"scarce round {at}", why=why)
    if alarms:
        said = told(alarms, standing.modality)
        return Step(command=f"scarce drift {at}", why=" ".join(dict.fromkeys([said[0], said[-1]])))
    if standing.asked:
        return Step(command=f"scarce label session {at}", why=f"{standing.asked:,} questions wait for an answer")
    if standing.answers:
        return Step(command=f"scarce collect {at}", why=f"{standing.answers:,} answers are not in the data yet")
    if standing.challenger not in (None, standing.champion) and not standing.judged:
        return Step(command=f"scarce promote {at}", why=f"the challenger {standing.challenger} wants to be judged")
    if standing.fresh is not None and standing.fresh >= retrain_after:
        why = f"{standing.fresh:,} new training samples since the newest model; {retrain_after:,} were wanted"
        return Step(command=f"scarce round {at}", why=why)
    return _asking_step(standing, at, budget)


def _asking_step(standing: Standing, at: str, budget: Allowance) -> Step:
    """Return the next step where nothing waits."""
    if standing.unserved:
        why = f"{standing.champion} {standing.unserved}, which is not answered over HTTP, so that nothing is queued: "
        why += "put new labelled data in place of DATA; scarce predict answers"
        return Step(command=f"scarce add DATA --project {at}", why=why)
    if budget.left:
        why = f"{budget.left:,} of {budget.total:,} labels of {budget.period} are left"
        return Step(command=f"scarce queue {at}", why=why)
    return Step(command=f"scarce status {at}", why=f"the labels of {budget.period} are spent; look again on "
                f"{budget.ends}")  # fmt: skip


def _first_steps(standing: Standing, at: str) -> Step:
    """Return the next step of a project that has no champion."""
    if standing.version is None:
        return Step(command=f"scarce add PHOTOS --project {at}", why="put your folder in place of PHOTOS")
    few = [name for name, n in standing.train.items() if n < ENOUGH]
    named = ", ".join(few[:5]) + (f" and {len(few) - 5} more" if len(few) > 5 else "")
    if len(standing.train) - len(few) < 2:
        if standing.unlabelled:
            why = f"{standing.unlabelled:,} samples have no label; {named or 'every class'} needs {ENOUGH}"
            return Step(command=f"scarce label session {at}", why=why)
        why = f"more real samples of {named or 'two classes'}; put your folder in place of PHOTOS"
        return Step(command=f"scarce add PHOTOS --project {at}", why=why)
    if not standing.split or not any(standing.test.values()):
        return Step(command=f"scarce split {at}", why="nothing is held out to judge by")
    if not standing.models:
        return Step(command=f"scarce train {at}", why="the data is enough for a first model")
    return Step(command=f"scarce promote {at}", why="there is a model, and nothing answers yet")


def growing(standing: Standing, short: Sequence[Missing], place: str) -> Step | None:
    """Return what may be made of real samples where more of them cannot be had; None = nothing has to grow."""
    if not any(n > 0 for n in standing.train.values()):
        return None
    found = strategy.choose(standing.train, modality=standing.modality, normal_classes=standing.normal)
    rare = [row for row in short if row.to_learn and row.train and row.name in found.targets]
    if not rare or not {"augment", "synthesize"} & set(found.steps):
        return None
    how = "synthesize" if "synthesize" in found.steps else "augment"
    named = ", ".join(f"{row.name} (+{row.to_learn:,})" for row in rare[:5])
    why = f"only where real samples cannot be had: {how} {named}; the ledger keeps what helps on real samples"
    return Step(command=f"scarce run {shlex.quote(place)}", why=why)


def monday(now: datetime) -> datetime:
    """Return the start of the week of a time, UTC."""
    day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day - timedelta(days=day.weekday())
