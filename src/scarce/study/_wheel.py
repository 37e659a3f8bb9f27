"""The wheel as it turns through a year: what a champion answers, what people are asked, what is promoted.

Only :meth:`Wheel.play` looks at the truth, to measure. What turns here are the parts that a project uses: the
queue, the look for drift, and the evidence of a promotion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from scarce.dataset import Array, Floats, Ints, Mask
from scarce.evaluate.out_of_distribution.detection import threshold_keeping
from scarce.evaluate.out_of_distribution.knn import Knn
from scarce.flywheel._look import look
from scarce.flywheel._paired import OPEN, WORSE, Samples, per_class
from scarce.flywheel._seen import INPUT, NEW_CLASS, Look, Seen
from scarce.flywheel.queue import AUDIT, Candidates, choose
from scarce.metric.calibration import fit_temperature
from scarce.metric.paired import gain_bounds
from scarce.probe import FittedProbe, LinearProbe, fold_of, softmax
from scarce.study._year import FIRST, HELD_OUT, Year

KEPT: Final = 0.99
RECENT: Final = 4
"""Weeks whose audit judges a promotion, as 30 days do."""
LATER: Final = 4
"""Weeks after a promotion that tell whether it was good."""
SOON: Final = 8
"""Weeks whose unanswered samples may still be asked about."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Which parts of the wheel turn.

    Attributes:
        turns: whether it turns at all.
        queue: people are asked by doubt, rarity and variety; else at random.
        audit: a tenth of the questions is drawn at random and judges; else all are picks and none judges.
        gate: challengers are compared with the champion; else each is promoted.
        person: overrides ``not provable`` where the whole is proven to lose less than the margin, and the challenger
            gets at least as much of the recent audit right.
        alarm: possible new classes are asked about first, and trained at once.
        all: everything is labelled.
    """

    turns: bool = True
    queue: bool = True
    audit: bool = True
    gate: bool = True
    person: bool = True
    alarm: bool = True
    all: bool = False


ARMS: Final[Mapping[str, Parts]] = {
    "wheel": Parts(), "no wheel": Parts(turns=False), "no queue": Parts(queue=False), "no audit": Parts(audit=False),
    "no gate": Parts(gate=False), "no override": Parts(person=False), "no alarm": Parts(alarm=False),
    "all labels": Parts(all=True),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Judge:
    """A model with its temperature and what is foreign to it."""

    probe: FittedProbe
    temperature: float
    detector: Knn
    threshold: float

    def probs(self, features: Floats) -> Floats:
        """Return (N, K) calibrated probabilities."""
        return np.asarray(softmax(self.probe.logits(features) / self.temperature))

    def foreign(self, features: Floats) -> Floats:
        """Return (N,) how foreign samples are."""
        return self.detector.score(features, self.probe.logits(features))

    def seen(self, features: Floats, classes: tuple[str, ...]) -> Seen:
        """Return samples as this model sees them."""
        probs, foreign = self.probs(features), self.foreign(features)
        verdicts = np.where(foreign > self.threshold, "unknown", "accept")
        return Seen(answers=np.array(classes)[probs.argmax(1)], sure=probs.max(1), verdicts=verdicts, foreign=foreign,
                    features=features)  # fmt: skip


def fitted(features: Floats, codes: Ints, classes: int, *, seed: int) -> Judge:
    """Return a linear probe; a fifth of the labels is held back for the temperature and the threshold."""
    held: Mask = np.asarray(fold_of(codes, None, 5, seed=seed) == 0)
    probe = LinearProbe(l2=1e-3).fit(features[~held], codes[~held], classes)
    logits = probe.logits(features[held])
    detector = Knn().fit(features[~held], probe.logits(features[~held]), codes[~held])
    known = detector.score(features[held], logits)
    return Judge(probe, fit_temperature(logits, codes[held]), detector,
                 threshold_keeping(known, min(KEPT, len(known) / (len(known) + 1))))  # fmt: skip


@dataclass(eq=False)
class Wheel:
    """One year with some of the parts.

    Args:
        year: what comes.
        parts: which turn.
        budget: labels a week.
        retrain_after: new labels before a challenger is trained.
        margin: recall that a class may lose.
        rate: false alarms of a look.
        seed: of draws and models.
    """

    year: Year
    parts: Parts
    budget: int = 100
    retrain_after: int = 100
    margin: float = 0.05
    rate: float = 0.01
    seed: int = 0
    rows: Ints = field(init=False)
    codes: Ints = field(init=False)
    promotions: list[dict[str, Any]] = field(default_factory=list, init=False)
    alarms: list[dict[str, Any]] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        """Train the first champion."""
        self.rows = self.year.of(FIRST)
        self.codes = self.year.codes[self.rows]
        self.held = self.year.of(HELD_OUT)
        self.champion = self._trained(self.rows, self.codes)
        self.new = 0
        self.audit: list[tuple[int, int, bool]] = []  # week, row, whether the champion of that week was right
        self.asked = np.zeros(len(self.year.codes), bool)
        self.naive: list[tuple[int, bool]] = []

    def play(self) -> dict[str, Any]:
        """Return what happened: right answers and samples of each class and week, labels, promotions, alarms, KPIs."""
        year, k = self.year, len(self.year.classes)
        hits, counts, labels = [], [], []
        for week in range(year.weeks):
            rows = year.of(week)
            answers = self.champion.probs(year.features[rows]).argmax(1)
            good = answers == year.codes[rows]
            hits.append(np.bincount(year.codes[rows][good], minlength=k).tolist())
            counts.append(np.bincount(year.codes[rows], minlength=k).tolist())
            if self.parts.turns:
                self._turn(week)
            labels.append(int(self.asked.sum()))
        return {"hits": hits, "counts": counts, "labels": labels, "promotions": self.promotions,
                "alarms": self.alarms, "kpi": self._kpi(np.array(hits), np.array(counts))}  # fmt: skip

    def _turn(self, week: int) -> None:
        found = self._looked(week)
        urgent = self._asked(week, found)
        spoiled = self.year.imports.get(week)
        rows, codes = self.rows, self.codes
        if spoiled is not None:
            rows, codes = np.concatenate([rows, spoiled[0]]), np.concatenate([codes, spoiled[1]])
        if self.new < self.retrain_after and not urgent and spoiled is None:
            return
        challenger = self._trained(rows, codes)
        verdict = self._verdict(week, challenger) if self.parts.gate else "promoted"
        gained = self._gain(week, challenger)
        self.promotions.append({"week": week, "verdict": verdict, "gain": gained, "import": spoiled is not None})
        if verdict in ("promoted", "overridden"):
            self.champion, self.rows, self.codes = challenger, rows, codes
        self.new = 0

    def _looked(self, week: int) -> Look | None:
        if not self.parts.alarm or self.parts.all:
            return None
        year = self.year
        sides = [self.champion.seen(year.features[rows], year.classes) for rows in (self.held, year.of(week))]
        found = look(sides[0], sides[1], rate=self.rate, seed=self.seed + week, only=frozenset({INPUT, NEW_CLASS}))
        for test in found.alarms:
            self.alarms.append({"week": week, "kind": test.kind, "name": test.name})
        return found

    def _asked(self, week: int, found: Look | None) -> bool:
        """Ask people, and return whether a challenger is urgent."""
        year, parts = self.year, self.parts
        frame = year.of(week)
        first = frame[found.groups[0].rows] if found and found.groups else frame[:0]
        pool = np.flatnonzero((year.week >= max(0, week - SOON)) & (year.week <= week) & ~self.asked)
        pool = pool[~np.isin(pool, first)]
        probs = self.champion.probs(year.features[pool])
        budget = len(frame) if parts.all else self.budget
        known = np.concatenate([self.rows, self.held])
        draw = Candidates(
            features=year.features[pool], probs=probs, frame=np.isin(pool, frame), classes=year.classes,
            known_features=year.features[known],
            known_labels=np.concatenate([self.codes, np.full(len(self.held), -1)]),
        )  # fmt: skip
        share = 1.0 if parts.all or not parts.queue else 0.1
        room = max(1, budget - min(len(first), budget // 2))
        chosen = choose(draw, room, audit=share, seed=self.seed + week)
        drawn = [pool[one.row] for one in chosen.rows if one.kind == AUDIT]
        turn = np.random.default_rng([self.seed, week]).permutation(len(drawn))
        judges = [drawn[place] for place in turn[: -(-budget // 10)]] if parts.audit else []
        first = first[: budget - room] if len(first) else first
        asked = np.array([*first, *(pool[one.row] for one in chosen.rows)], np.int64)
        self.asked[asked] = True
        answers = self.champion.probs(year.features[asked]).argmax(1) == year.codes[asked]
        self.naive += [(week, bool(good)) for good in answers]
        place = {int(row): bool(good) for row, good in zip(asked, answers, strict=True)}
        self.audit += [(week, int(row), place[int(row)]) for row in judges]
        taught = asked[~np.isin(asked, judges)]
        self.rows, self.codes = np.concatenate([self.rows, taught]), np.concatenate([self.codes, year.codes[taught]])
        self.new += len(taught)
        return bool(len(first))

    def _trained(self, rows: Ints, codes: Ints) -> Judge:
        return fitted(self.year.features[rows], codes, len(self.year.classes), seed=self.seed)

    def _verdict(self, week: int, challenger: Judge) -> str:
        """Return what ``scarce promote`` says, and what a person makes of it."""
        year = self.year
        recent = np.array([row for at, row, _ in self.audit if at > week - RECENT], np.int64)
        evidence, gains = [], []
        for source, rows in (("held-out", self.held), ("production", recent)):
            codes = year.codes[rows]
            answers = tuple(one.probs(year.features[rows]).argmax(1) for one in (self.champion, challenger))
            samples = Samples(
                source=source, labels=codes, answers=(answers[0], answers[1]), groups=np.arange(len(rows))
            )
            evidence += [row for row in per_class(samples, year.classes, margin=self.margin, seed=self.seed) if row.n]
            gains.append((answers[1] == codes).astype(int) - (answers[0] == codes))
        if any(row.verdict == WORSE for row in evidence):
            return "refused"
        if not any(row.verdict == OPEN for row in evidence):
            return "promoted"
        whole = np.concatenate(gains)
        low, _ = gain_bounds(float((whole < 0).sum()), float((whole > 0).sum()), len(whole), 0.95, groups=len(whole))
        fine = low > -self.margin and gains[1].sum() >= 0
        return "overridden" if self.parts.person and fine else "not provable"

    def _gain(self, week: int, challenger: Judge) -> float | None:
        """Return how much more of the coming weeks the challenger gets right; None at the year's end."""
        year = self.year
        rows = np.flatnonzero((year.week > week) & (year.week <= week + LATER))
        if not len(rows):
            return None
        right = [one.probs(year.features[rows]).argmax(1) == year.codes[rows] for one in (challenger, self.champion)]
        return float(right[0].mean() - right[1].mean())

    def _kpi(self, hits: Array, counts: Array) -> list[dict[str, Any]]:
        """Return for each four weeks the true accuracy, and what the audit and all answers together would say."""
        found = []
        for start in range(0, self.year.weeks, RECENT):
            weeks = range(start, min(start + RECENT, self.year.weeks))
            truth = float(hits[list(weeks)].sum() / counts[list(weeks)].sum())
            drawn = [good for week, _, good in self.audit if week in weeks]
            every = [good for week, good in self.naive if week in weeks]
            found.append({"truth": truth, "right": int(sum(drawn)), "n": len(drawn),
                          "naive": float(np.mean(every)) if every else None})  # fmt: skip
        return found
