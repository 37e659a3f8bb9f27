"""Labelling in rounds: ask about some samples, wait for the answers, see what they gained, ask again or stop.

Everything lies in the project: questions in the queue, answers as annotations, one row of history a round. So a round
can be begun in one process, answered in three others and ended in a fifth; whoever is killed, the next call goes on.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from scarce.dataset import Array, Dataset, Mask
from scarce.errors import ConfigError, DataError
from scarce.label import query
from scarce.label.query import stopping
from scarce.lineage import canonical_json, digest
from scarce.loop.answering import TRUTHS, freeze
from scarce.loop.asking import DOUBTED, LABEL, kind_of, put
from scarce.loop.measure import with_features, with_scan
from scarce.loop.picking import FEATURES, PROBS, Pick, as_pool, pick, reasons
from scarce.loop.standing import JUDGES, Standing, judge, nothing, probabilities, spoken

if TYPE_CHECKING:
    from scarce.project import Project

FIXED: Final = 1000
"""So many samples tell whether the models of several rounds say the same."""
DRAWN: Final = re.compile(rf"{LABEL}: (round \d+|query|production), random: ")
"""Reasons of questions that chance chose."""
VOTED: Final = f"{LABEL}: vote, "
"""Reasons of questions about samples that people voted on already."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How rounds are held.

    Args:
        budget: samples a round, >= 1.
        initial: samples of the first round, >= 1.
        target: stop when the project's metric reaches this, in [0, 1].
        rounds: stop after so many, this plan's first one included; 0 = no limit.
        strategy: name of a strategy of ``scarce.label.query``, or a mix; auto = a cold start first, then priority.
        settings: parameters by strategy.
        judge: where it is judged, one of :data:`scarce.loop.standing.JUDGES`.
        truth: how several answers become a label, one of :data:`scarce.loop.answering.TRUTHS`.
        flat_rounds: stop when so many rounds together gain less than ``flat_gain``; 0 = never.
        flat_gain: of the metric.
        stable: stop when the models of four rounds agree so far (Cohen's kappa); 1 = never.
        seed: of everything random.
        workers: threads at most; None = all cores.

    Raises:
        ConfigError: a value is out of range.
        UnknownNameError: there is no such strategy.
    """

    budget: int = 50
    initial: int = 100
    target: float = 0.95
    rounds: int = 0
    strategy: str = "auto"
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    judge: str = "auto"
    truth: str = "newest"
    flat_rounds: int = 3
    flat_gain: float = 0.005
    stable: float = 0.99
    seed: int = 0
    workers: int | None = None

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if self.budget < 1 or self.initial < 1 or self.rounds < 0 or not 0 <= self.target <= 1:
            what = f"budget {self.budget}, initial {self.initial}, rounds {self.rounds}, target {self.target}"
            raise ConfigError("label", what, do="give at least 1, 1 and 0, and a share from 0 to 1")
        if self.judge not in JUDGES:
            raise ConfigError("label", f"judge = {self.judge!r}", f"it may be {', '.join(JUDGES)}")
        if self.truth not in TRUTHS:
            raise ConfigError("label", f"truth = {self.truth!r}", f"it may be {' or '.join(TRUTHS)}")
        query.check(self.strategy, self.budget, settings=self.settings)

    @classmethod
    def of(cls, project: Project, **given: Any) -> Plan:
        """Return the project's settings [label] and [label.query], with what is given and not None in their place."""
        told = project.config.label
        settings = {"budget": told.query.budget, "initial": told.initial, "target": told.target,
                    "strategy": told.query.strategy, "settings": told.query.plugins, "stable": told.stable,
                    "flat_rounds": told.flat_rounds, "flat_gain": told.flat_gain}  # fmt: skip
        return cls(**{**settings, **{name: value for name, value in given.items() if value is not None}})


@dataclass(frozen=True)
class Now:
    """Where labelling stands.

    Attributes:
        waiting: questions of the open round that have no answer.
        stopped: why no round is open; "" = one is.
        round: history of the newest round, see :func:`history`; None before the first.
        standing: the newest judgement.
    """

    waiting: int
    stopped: str
    round: Mapping[str, Any] | None
    standing: Standing


@dataclass(eq=False)
class Loop:
    """Rounds of one project.

    Args:
        project: the project.
        plan: how rounds are held.
        pick: a strategy of your own; None = the plan's.
    """

    project: Project
    plan: Plan
    pick: Pick | None = None
    _begun: int = 0
    _known: tuple[Array, Array] | None = None

    def go_on(self) -> Now:
        """Freeze what was answered, end the round if nothing waits, and begin the next one unless it is time to stop.

        Raises:
            DataError: there is no class to answer with.
        """
        return self._step(begin=True)

    def finish(self) -> Now:
        """Freeze what was answered and end the round if nothing waits; begin no other one."""
        return self._step(begin=False)

    def _step(self, *, begin: bool) -> Now:
        freeze(self.project, truth=self.plan.truth)
        now = self._still_open()
        if now is None and not begin and not self.project.state.rounds():
            now = Now(0, "no round was begun yet", None, nothing(self.project))
        if now is not None:
            return now
        self._encoded()
        with self.project.store.locked():
            freeze(self.project, truth=self.plan.truth)
            now = self._still_open()
            if now is not None:
                return now
            rounds = self.project.state.rounds()
            if rounds and rounds[-1]["status"] == "open":
                self._end(len(rounds), rounds[-1]["body"])
            if begin:
                return self._begin()
        told = history(self.project)
        return Now(0, f"round {told[-1]['round']} is done", told[-1], Standing(**told[-1]["after"]))

    def _still_open(self) -> Now | None:
        """Return the open round while questions of it wait, which needs no features; None = there is none."""
        with self.project.store.locked():
            body = next((row["body"] for row in self.project.state.rounds()[-1:] if row["status"] == "open"), None)
            if body is None:
                return None
            self._ask(body)
            waiting = sum(row["sample"] in body["samples"] for row in self._open())
        return Now(waiting, "", history(self.project)[-1], Standing(**body["before"])) if waiting else None

    def waiting(self) -> int:
        """Return how many questions for a label wait, of this round and of later ones."""
        return len(self._open())

    def _open(self) -> list[dict[str, Any]]:
        return [row for row in self.project.state.queue() if kind_of(row["reason"]) == LABEL]

    def _begin(self) -> Now:
        ds, features = self._encoded()
        rounds = self.project.state.rounds()
        last = rounds[-1]["body"].get("after") if rounds else None
        before = Standing(**last) if last and last["judged_on"] != "nothing" else self._judged(ds, features)
        told = history(self.project)
        stop = f"{self.plan.rounds} rounds are done" if self.plan.rounds and self._begun >= self.plan.rounds else ""
        enough = "" if stop else self._enough(before, ds)
        body = {} if stop else self._choose(ds, features, before, only_waiting=bool(enough))
        if not stop and not body["samples"]:
            stop = enough or f"nothing is left to ask: {body['note']}"
        if stop:
            return Now(0, stop, told[-1] if told else None, before)
        self.project.state.open_round(body, self.project.head)
        self._begun += 1
        self._ask(body)
        return Now(len(body["samples"]), "", history(self.project)[-1], before)

    def _enough(self, now: Standing, ds: Dataset) -> str:
        """Return why no more samples need to be chosen; "" = they do."""
        if now.value is not None and stopping.target_reached(now.value, self.plan.target).stop:
            proven = now.low is not None and stopping.target_reached(now.value, self.plan.target, low=now.low).stop
            return (f"target reached: {now.metric} {now.value:.3f} ({now.low:.3f} to {now.high:.3f}, n = {now.n}, "
                    f"judged on {now.judged_on}) >= {self.plan.target:g}"
                    + "; its lower bound is still below" * (not proven))  # fmt: skip
        if not askable(self.project, ds).any() and not self._open():
            return "nothing is left to ask: every kept sample outside val and test has a label or an answer"
        return self._idle()

    def _idle(self) -> str:
        """Return why more rounds would hardly change the model; "" = they would."""
        done = [row["body"] for row in self.project.state.rounds() if row["status"] == "done"]
        scored = [body["after"] for body in done if (body["after"] or {}).get("value") is not None]
        same = [one for one in scored if (one["judged_on"], one["metric"]) == (
            scored[-1]["judged_on"], scored[-1]["metric"])]  # fmt: skip
        found = []
        if self.plan.flat_rounds:
            found.append(("the curve is ", "flat_rounds = 0", stopping.curve_is_flat(
                [one["value"] for one in same], window=self.plan.flat_rounds, least=self.plan.flat_gain)))  # fmt: skip
        if self.plan.stable < 1:
            said = [body["predicted"] for body in done if body.get("predicted")]
            alike = [one["codes"] for one in said if one["of"] == said[-1]["of"]]
            found.append(("predictions are ", "stable = 1", stopping.predictions_are_stable(
                alike, kappa=self.plan.stable)))  # fmt: skip
        return next((f"{head}{one.why}; to go on, set {off} below [label] in scarce.toml"
                     for head, off, one in found if one.stop), "")  # fmt: skip

    def _choose(self, ds: Dataset, features: Array, before: Standing, *, only_waiting: bool) -> dict[str, Any]:
        """Return the history of a new round: what waits already first, then what the strategy picks, and why."""
        if not ds.schema.classes:
            raise DataError("label", "there are no classes to answer with", do="scarce classes add NAME NAME")
        number = len(self.project.state.rounds()) + 1
        first = not (spoken(ds) & ~np.isin(ds["split"].astype(str), ("val", "test"))).any()
        free, known = askable(self.project, ds), set(ds.ids.tolist())
        wanted, pool = self.plan.initial if first else self.plan.budget, int(free.sum())
        asked = {row["sample"]: row["reason"] for row in self._open() if row["sample"] in known}
        asked = dict(list(asked.items())[:wanted])
        samples, names, notes = dict(asked), ["asked before"] * bool(asked), list[str]()
        if len(asked) < wanted and pool and not only_waiting:
            seen = as_pool(ds, free)
            probs = probabilities(seen, features)
            seen = seen if probs is None else seen.with_columns({PROBS: probs})
            picked = pick(seen, self.pick or self.plan.strategy, wanted - len(asked), settings=self.plan.settings,
                          seed=self.plan.seed + number)  # fmt: skip
            why = reasons(f"round {number}, {picked.strategy}", picked, probs, ds.schema.classes)
            samples |= {str(ds.ids[row]): text for row, text in zip(picked.rows, why, strict=True)}
            names, notes = [picked.strategy, *names], list(picked.notes)
        few = [f"{wanted} were wanted, the pool has {pool + len(asked)}"] * (pool + len(asked) < wanted)
        return {
            "round": number, "strategy": " and ".join(names), "budget": wanted, "asked": len(samples),
            "seed": self.plan.seed, "samples": samples, "before": before.to_json(), "after": None, "pool": pool,
            "note": "; ".join([*few, *notes]),
        }  # fmt: skip

    def _ask(self, body: Mapping[str, Any]) -> None:
        """Put a round's questions into the queue, those that a killed process left out included."""
        n = max(len(body["samples"]), 1)
        put(self.project, [
            {"sample": sample, "reason": reason, "priority": 1 - place / n, "version": self.project.head}
            for place, (sample, reason) in enumerate(body["samples"].items())
        ])  # fmt: skip

    def _end(self, number: int, body: Mapping[str, Any]) -> None:
        ds, features = self._encoded()
        more = {"after": self._judged(ds, features).to_json(), "predicted": predicted(ds, features)}
        self.project.state.update_round(number, {**body, **more}, status="done", version=self.project.head)

    def _judged(self, ds: Dataset, features: Array) -> Standing:
        return judge(self.project, ds, features, judge_on=self.plan.judge, picked=picked(self.project),
                     seed=self.plan.seed)  # fmt: skip

    def _encoded(self) -> tuple[Dataset, Array]:
        """Return the newest version and its features (N, D), computed once as long as the rows are the same."""
        ds = self.project.dataset()
        if self._known is None or not np.array_equal(self._known[0], ds.ids):
            ds, features = featured(self.project, workers=self.plan.workers, seed=self.plan.seed)
            self._known = (ds.ids, features)
        return ds.with_columns({FEATURES: self._known[1]}), self._known[1]


def featured(project: Project, *, workers: int | None = None, seed: int = 0) -> tuple[Dataset, Array]:
    """Return the newest version of a project and its features (N, D); cached ones are not computed again."""
    ds = project.dataset()
    full = with_features(project, with_scan(project, ds, workers=workers), workers=workers, seed=seed)
    name = next(name for name in reversed(list(full.wide)) if name.startswith("embedding."))
    return ds, np.asarray(full[name], np.float32)


def askable(project: Project, ds: Dataset, *, include: Collection[str] = ()) -> Mask:
    """Return (N,) bool: rows that a person may be asked to label.

    They are kept, real, outside val and test, no person stands behind their label, nobody was unsure about them, and no
    question about their label waits.

    Args:
        project: whose queue tells what was asked.
        ds: its newest version.
        include: evaluated splits that may be asked about after all.
    """
    free = ds["keep"].astype(bool) & (ds["origin"] == "real") & ~spoken(ds)
    free &= ~np.isin(ds["split"].astype(str), [name for name in ("val", "test") if name not in include])
    told = {row["sample"] for row in project.state.annotations(frozen=False)}
    told |= {row["sample"] for status in ("open", "done") for row in project.state.queue(status)
            if kind_of(row["reason"]) == LABEL}  # fmt: skip
    return np.asarray(free & ~np.isin(ds.ids.astype(str), list(told)))


def predicted(ds: Dataset, features: Array) -> dict[str, Any] | None:
    """Return what a model says about a fixed sample of the rows, to be compared between rounds; None = no model.

    Returns:
        ``of`` (digest of the ids, which are hashes themselves, so the first ones are a fair draw) and ``codes``.
    """
    probs = probabilities(ds, features)
    if probs is None:
        return None
    rows = np.flatnonzero(ds["keep"].astype(bool) & (ds["origin"] == "real") & np.isfinite(probs).all(1))[:FIXED]
    return {"of": digest(canonical_json(ds.ids[rows].tolist())), "codes": probs[rows].argmax(axis=1).tolist()}


def picked(project: Project) -> set[str]:
    """Return the samples that were chosen to be labelled: all that were asked about but those drawn at random.

    They come from rounds, ``scarce query``, rules, or the doubt of a model. Further votes about a sample change
    nothing: what was drawn stays drawn.
    """
    asked = [(row["sample"], row["reason"]) for row in project.state.queue("done")]
    asked += [pair for row in project.state.rounds() for pair in row["body"]["samples"].items()]
    drawn = {sample for sample, reason in asked if DRAWN.match(reason)}
    chosen = {sample for sample, reason in asked
              if kind_of(reason) in (LABEL, DOUBTED) and not reason.startswith(VOTED)}  # fmt: skip
    return chosen - drawn


def history(project: Project) -> list[dict[str, Any]]:
    """Return every round, oldest first.

    Returns:
        ``round``, ``status``, ``at``, ``strategy``, ``asked``, ``answered`` (samples that somebody named a class of),
        ``unsure`` (that all who looked were unsure about), ``seconds`` (of all answers), ``by`` (samples that each
        person answered), ``seconds_by`` (of each person), ``before`` and ``after`` (see
        :class:`~scarce.loop.standing.Standing`; ``after`` is None while it is open), ``version``, ``note`` and
        ``samples`` (id to why it was asked).
    """
    said: dict[str, list[Mapping[str, Any]]] = {}
    for row in project.state.annotations():
        said.setdefault(f"{row['sample']} {(row['note'] or '').partition('; asked: ')[2]}", []).append(row)
    found = []
    for row in project.state.rounds():
        body = row["body"]
        own = [one for sample, why in body["samples"].items() for one in said.get(f"{sample} {why}", ())]
        said_last = {(one["sample"], one["voter"]): one for one in own}
        last = [one for one in said_last.values() if not (one["note"] or "").startswith("undo")]
        by = Counter(one["voter"] for one in last)
        named = {one["sample"] for one in last if one["label"] is not None}
        seconds = {name: math.fsum(one["seconds"] or 0.0 for one in own if one["voter"] == name) for name in by}
        found.append({
            "round": body["round"], "status": row["status"], "at": row["at"], "strategy": body["strategy"],
            "asked": body["asked"], "answered": len(named),
            "unsure": len({one["sample"] for one in last} - named),
            "seconds": round(math.fsum(one["seconds"] or 0.0 for one in own), 3), "by": dict(by),
            "seconds_by": {name: round(value, 3) for name, value in seconds.items()},
            "before": body["before"], "after": body["after"], "version": row["version"],
            "note": body.get("note", ""), "samples": body["samples"],
        })  # fmt: skip
    return found
