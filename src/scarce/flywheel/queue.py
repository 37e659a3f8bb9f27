"""What people are asked about: a uniform random audit first, then what is doubtful, rare and unlike the rest.

The audit is drawn before anything is left out, from everything that came since the draw before, and each of its samples
keeps the probability with which it was drawn. So every production sample is in the frame of exactly one draw: what is
left over from an earlier period may still be picked, but is never drawn again, and the sum of ``1 / inclusion`` over
the audit is the number of samples that it stands for. Only the audit estimates anything; the picks are hard on purpose.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from scarce.dataset import Array, Ints, Mask
from scarce.errors import ConfigError
from scarce.label.query import AbstractQuery, Pool, Sieve, batch_of

WHO: Final = "flywheel.queue"
AUDIT, PICK = "audit", "pick"
LEAST_AUDIT: Final = 0.1
"""Share of each draw that is drawn at random, at the least."""
WEEK, MONTH = "week", "month"
COPIES: Final = 0.98
"""Features whose cosine about the mean reaches this show one thing."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Candidates:
    """N production samples that may be asked about, beside L that are known.

    Attributes:
        features: (N, D) features; rows that are not finite may be drawn but not picked.
        probs: (N, K) what the model said; None = nothing.
        frame: (N,) bool: came since the draw before; None = all.
        answered: (N,) bool: somebody gave a label already: may be drawn, is never picked; None = none.
        groups: (N,) copies share a number; None = all differ.
        known_features: (L, D) of samples that have a label, are judged on, or wait for an answer.
        known_labels: (L,) class codes; -1 = covered, but not counted: judged on, or without a label yet.
        known_groups: (L,) copies share a number with each other and with ``groups``.
        classes: K names.
    """

    features: Array
    probs: Array | None = None
    frame: Mask | None = None
    answered: Mask | None = None
    groups: Ints | None = None
    known_features: Array | None = None
    known_labels: Ints | None = None
    known_groups: Ints | None = None
    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Return N."""
        return len(self.features)


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """One sample that was chosen.

    Attributes:
        row: which candidate.
        kind: ``audit`` or ``pick``.
        inclusion: probability with which the audit drew it, in (0, 1]; None = picked.
        utility: what a pick is worth to the strategy; 0 of the audit.
        why: one sentence for a person.
    """

    row: int
    kind: str
    inclusion: float | None = None
    utility: float = 0.0
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What was chosen.

    Attributes:
        rows: the audit first, then the picks, the most useful first.
        frame: samples that the audit was drawn from.
        strategy: who picked.
        notes: what a person should know.
    """

    rows: tuple[Chosen, ...]
    frame: int
    strategy: str
    notes: tuple[str, ...] = field(default=())


def choose(
    pool: Candidates, budget: int, *, strategy: AbstractQuery | None = None, audit: float = LEAST_AUDIT,
    copies: float = COPIES, seed: int | tuple[int, ...] = 0,
) -> Choice:  # fmt: skip
    """Choose what people are asked about: at most ``budget`` samples.

    ``audit`` of the budget, rounded up, is drawn uniformly from the whole frame, copies and answered ones included; all
    of it where the frame is smaller. A drawn sample that somebody gave a label by himself is asked about all the same:
    whoever saw the model's answer may have been led by it. The rest of the budget goes to what the strategy picks from
    all candidates, without copies of what is known, drawn or picked.

    Args:
        pool: the candidates, in an order of their own (by hash, not by time).
        budget: labels, >= 1.
        strategy: a strategy of ``scarce.label.query``; None = doubt .5, rarity .3, diversity .2.
        audit: share of the budget that is drawn at random, in [0.1, 1].
        copies: features whose cosine about the mean reaches this are copies; above 1 = not looked at.
        seed: of the draw; another one for each draw.

    Raises:
        ConfigError: budget or audit is out of range.
        DataError: the strategy needs probabilities and there are none.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> found = choose(Candidates(features=rng.normal(size=(50, 4)), probs=np.full((50, 2), 0.5)), 20)
        >>> [(one.kind, one.inclusion) for one in found.rows[:3]]
        [('audit', 0.04), ('audit', 0.04), ('pick', None)]
    """
    if budget < 1 or not LEAST_AUDIT <= audit <= 1:
        raise ConfigError(WHO, f"budget {budget}, audit {audit:g}",
                          do=f"give a budget of 1 or more, and a share from {LEAST_AUDIT:g} to 1")  # fmt: skip
    chosen = strategy or _priority()
    n = len(pool)
    answered = np.zeros(n, bool) if pool.answered is None else pool.answered.astype(bool)
    frame = np.arange(n) if pool.frame is None else np.flatnonzero(pool.frame)
    many = min(len(frame), math.ceil(audit * budget - 1e-9))
    drawn = np.sort(np.random.default_rng(seed).choice(frame, many, replace=False)) if many else frame[:0]
    share = many / len(frame) if many else 0.0
    rows = [
        Chosen(row=row, kind=AUDIT, inclusion=share, why=f"drawn at random, 1 of {1 / share:,.0f}")
        for row in drawn.tolist()
    ]
    left = budget - len(rows)
    notes: list[str] = []
    if len(frame) and many < math.ceil(audit * budget - 1e-9):
        notes.append(f"the audit is all of the {len(frame)} samples that came since the draw before")
    here = np.isfinite(pool.features).all(axis=1)
    open_ = ~answered & here
    open_[drawn] = False
    if pool.probs is not None:
        open_ &= np.isfinite(pool.probs).all(axis=1)
    if left and open_.any():
        beside = np.zeros(n, bool)
        beside[drawn] = True
        some = np.flatnonzero(open_ | (beside & here))
        found = _picked(_part(pool, some), chosen, (open_[some], beside[some]), (left, copies), notes)
        rows += [replace(one, row=int(some[one.row])) for one in found]
    return Choice(rows=tuple(rows), frame=len(frame), strategy=chosen.plugin_name(), notes=tuple(notes))


def _priority() -> AbstractQuery:
    from scarce.label.query.priority import Priority

    return Priority()


def _part(pool: Candidates, rows: Ints) -> Candidates:
    """Return some of the candidates beside the same known samples."""
    groups = np.arange(len(pool)) if pool.groups is None else pool.groups
    probs = None if pool.probs is None else pool.probs[rows]
    return replace(pool, features=pool.features[rows], probs=probs, groups=groups[rows], frame=None, answered=None)


def _picked(
    pool: Candidates, chosen: AbstractQuery, masks: tuple[Mask, Mask], limits: tuple[int, float], notes: list[str]
) -> list[Chosen]:
    """Return what the strategy picks of the open rows, beside what is known and what was drawn.

    Args:
        pool: n open and drawn rows, all with features.
        chosen: the strategy.
        masks: (n,) which rows are open, and which were drawn.
        limits: how many to pick, and from which cosine on rows are copies.
        notes: takes what a person should know.
    """
    open_, drawn = (np.flatnonzero(mask) for mask in masks)
    n, d = pool.features.shape
    known = np.zeros((0, d), np.float32) if pool.known_features is None else pool.known_features
    labels = np.full(len(known), -1, np.int64) if pool.known_labels is None else pool.known_labels
    groups = np.arange(n) if pool.groups is None else pool.groups
    theirs = np.arange(len(known)) + groups.max(initial=-1) + 1 if pool.known_groups is None else pool.known_groups
    fine = np.isfinite(known).all(axis=1)
    features = np.concatenate([pool.features.astype(np.float32), known[fine].astype(np.float32)])
    probs = None
    if pool.probs is not None:
        probs = np.full((len(features), pool.probs.shape[1]), np.nan, np.float32)
        probs[:n] = pool.probs
    codes = np.concatenate([np.full(n, -1, np.int64), labels[fine]])
    covered = np.flatnonzero(codes[n:] < 0) + n
    sieve = Sieve(np.concatenate([groups, theirs[fine]]), np.arange(len(features)), features, limits[1])
    free = sieve.cover(np.concatenate([drawn, np.arange(n, len(features))]), open_)
    if len(free) < len(open_):
        notes.append(f"{len(open_) - len(free)} samples are copies of known or drawn ones and are not asked about")
    if not len(free):
        return []
    names = pool.classes or tuple(map(str, range(0 if probs is None else probs.shape[1])))
    seen = Pool(labels=codes, candidates=free, asked=np.concatenate([drawn, covered]), embeddings=features,
                pred_probs=probs, classes=names)  # fmt: skip
    picked, value, why = batch_of(chosen, seen, sieve, limits[0], notes)
    return [
        Chosen(row=row, kind=PICK, utility=float(worth), why=reason)
        for row, worth, reason in zip(picked, value, why, strict=True)
    ]  # fmt: skip


def period_of(at: datetime, kind: str = WEEK) -> str:
    """Return the ISO week or the month of a time, in UTC; later ones sort behind earlier ones.

    Example:
        >>> period_of(datetime(2027, 1, 3, 23, tzinfo=UTC)), period_of(datetime(2027, 1, 3, tzinfo=UTC), MONTH)
        ('2026-W53', '2027-01')
    """
    at = at.astimezone(UTC)
    if kind == MONTH:
        return f"{at.year:04d}-{at.month:02d}"
    year, week, _ = at.isocalendar()
    return f"{year:04d}-W{week:02d}"


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What a period may cost and what it did.

    Attributes:
        kind: ``week`` or ``month``.
        period: which one, in UTC.
        total: labels that may be asked for in it.
        spent: questions that were asked in it, answered or not.
        ahead: whether an earlier draw belongs to a later period than this machine's clock says.
    """

    kind: str
    period: str
    total: int
    spent: int
    ahead: bool = False

    @property
    def left(self) -> int:
        """Labels that may still be asked for."""
        return max(0, self.total - self.spent)


def budget_of(draws: Iterable[Mapping[str, Any]], kind: str, total: int, now: datetime) -> Budget:
    """Return what may still be asked for in the present period.

    The period never goes back: where another machine's clock was ahead and spent of a later period, that one counts, so
    that clocks that disagree cannot spend one budget twice.

    Args:
        draws: earlier draws: ``week``, ``month`` and ``asked`` of each.
        kind: ``week`` or ``month``.
        total: labels of a period.
        now: the time.
    """
    rows = list(draws)
    today = period_of(now, kind)
    last = max((str(row[kind]) for row in rows), default=today)
    period = max(today, last)
    spent = sum(int(row["asked"]) for row in rows if row[kind] == period)
    return Budget(kind=kind, period=period, total=total, spent=spent, ahead=last > today)
