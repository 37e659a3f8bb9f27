"""The driver of zero-shot labels: judge, prove a threshold on held-out labels, take over what passes it."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from scarce import registry
from scarce.dataset import Array, Dataset, Floats, Ints, Mask
from scarce.errors import DataError
from scarce.label._write import EVALUATED, Labels, free_rows, spoken, with_labels
from scarce.label.zero_shot._base import AbstractZeroShot, Judgement
from scarce.label.zero_shot._gate import Gate, choose_threshold
from scarce.label.zero_shot._report import ClassResult, class_result, unlike
from scarce.lineage import Step
from scarce.metric.calibration import fit_temperature
from scarce.metric.interval import needed_for
from scarce.probe import softmax

SOURCE: Final = "zero_shot"
IMPOSSIBLE: Final = -1e3
"""Logit of a class that a method knows nothing about."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Proposal:
    """What would be labelled, and why.

    Attributes:
        method: what judged.
        rows: (M,) row numbers of the unlabelled rows that could be judged.
        probs: (M, K) probabilities after the temperature.
        taken: (M,) which become labels; the rest is for people.
        temperature: that the logits were divided by.
        gates: one for all classes under "", or one a class.
        classes: how each class does.
        notes: what a person should know.
        details: of the method, for example how each prompt did.
        settings: precision, confidence and scope that were asked for.
        proof: labelled rows that could prove something: ``rests_on`` (``drawn`` or ``picked``), ``drawn``, ``picked``.
        seconds: that it took.
    """

    method: AbstractZeroShot
    rows: Ints
    probs: Floats
    taken: Mask
    temperature: float
    gates: Mapping[str, Gate]
    classes: tuple[ClassResult, ...]
    notes: tuple[str, ...]
    details: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    proof: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def codes(self) -> Ints:
        """(M,) likeliest classes."""
        return np.asarray(self.probs.argmax(axis=1))

    def to_json(self) -> dict[str, Any]:
        """Return plain values for programs."""
        return {
            "method": self.method.plugin_name(), "params": self.method.params(), **self.settings,
            "judged": len(self.rows), "taken": int(self.taken.sum()), "unsure": int((~self.taken).sum()),
            "coverage": float(self.taken.mean()) if len(self.rows) else 0.0, "temperature": self.temperature,
            "gates": {name or "all": gate.to_json() for name, gate in self.gates.items()},
            "classes": [one.to_json() for one in self.classes], "notes": list(self.notes),
            "proof": dict(self.proof), "details": dict(self.details),
        }  # fmt: skip


def propose(  # noqa: PLR0913 - the settings of [label.zero_shot], each by keyword
    ds: Dataset,
    method: str | AbstractZeroShot = "auto",
    *,
    precision: float = 0.95,
    confidence: float = 0.95,
    per_class: bool = False,
    unproven: bool = False,
    picked: Collection[str] = (),
    cache: str | Path | None = None,
    workers: int | None = None,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
) -> Proposal:
    """Return which unlabelled rows could be labelled with the wanted precision; nothing is changed.

    The promise holds for rows of which the labelled ones are a random draw; where they clearly differ, a note says so.
    Picked samples teach the method and prove nothing; where too few others are labelled they count, and a note says so.
    A class whose own precision is not proven is left to people, unless ``unproven``; one that is surely below it always
    is. Labels of val and test are never looked at.

    Args:
        ds: N rows; features are added where they are missing.
        method: its name, the method itself, or ``auto``: ``image_text`` where the settings hold words for the classes
            or name a model, else ``prototype``.
        precision: wanted share of right ones among what is taken over, 0.5 to 1.
        confidence: chance with which that holds at least.
        per_class: choose a threshold for each class by itself, which needs labels of each.
        unproven: take classes over whose own precision is not proven, as long as that of all together is.
        picked: ids of samples that a strategy chose to be labelled, which are no random draw.
        cache: folder of known features; an interrupted run goes on where it stopped.
        workers: threads; None = one a processor.
        seed: of folds.
        settings: parameters of the method.

    Raises:
        UnknownNameError: no such method.
        DataError: fewer than two classes, or nothing to learn from.
    """
    started = time.perf_counter()
    chosen = built(method, settings)
    if len(ds.schema.classes) < 2:
        raise DataError("label.zero_shot", f"there are {len(ds.schema.classes)} classes", "two or more are wanted",
                        "name them: scarce classes add")  # fmt: skip
    known = spoken_rows(ds)
    ds = chosen.with_features(ds, cache=cache, workers=workers)
    judged = chosen.judge(ds, known, seed=seed)
    good = ~np.isnan(judged.logits).any(axis=1)
    needed = needed_for(precision, confidence) if precision < 1 else 0
    held, proof = _witnesses(ds, np.flatnonzero(known & good), picked, needed)
    pool = np.flatnonzero(wanted_rows(ds) & good)
    logits = np.where(np.isfinite(judged.logits), judged.logits, IMPOSSIBLE)
    taught = held[judged.logits[held, ds["label"][held]] > -np.inf]
    temperature = fit_temperature(logits[taught], ds["label"][taught])
    job = _Job(ds, held, pool, softmax(logits[held] / temperature), softmax(logits[pool] / temperature), precision,
               confidence)  # fmt: skip
    gates = job.gates(per_class=per_class)
    classes, taken = job.judged(gates, unproven=unproven)
    notes = (*_notes(job, judged, gates, int((wanted_rows(ds) & ~good).sum())), *_doubtful(proof))
    return Proposal(
        method=chosen, rows=pool, probs=job.pool_probs, taken=taken, temperature=temperature, gates=gates,
        classes=classes, notes=(*notes, *_left_out(job, gates, classes)), details=judged.details,
        settings={"precision": precision, "confidence": confidence, "per_class": per_class, "unproven": unproven,
                  "seed": seed},
        proof=proof, seconds=time.perf_counter() - started,
    )  # fmt: skip


def apply(ds: Dataset, proposal: Proposal) -> Dataset:
    """Return the dataset with the sure labels written, as one step; earlier zero-shot labels that are unsure now go.

    Args:
        ds: the rows that the proposal was made for.
        proposal: what :func:`propose` returned.
    """
    stale = (ds["label_source"][proposal.rows] == SOURCE) & ~proposal.taken
    chosen = proposal.taken | stale
    codes = np.where(proposal.taken, proposal.codes, -1)[chosen]
    new = Labels(proposal.rows[chosen], codes, SOURCE, proposal.probs[chosen])
    gates = {name or "all": gate.threshold if gate.opens else None for name, gate in proposal.gates.items()}
    params = {"method": proposal.method.plugin_name(), **proposal.method.params(), **proposal.settings}
    step = Step(stage="label", name=SOURCE, params={**params, "thresholds": gates}, seed=proposal.settings.get("seed"))
    return with_labels(ds, new, step.stamped(seconds=proposal.seconds))


def run(ds: Dataset, method: str | AbstractZeroShot = "auto", **options: Any) -> Dataset:
    """Return the dataset with labels of what is sure; the options are those of :func:`propose`.

    Args:
        ds: N rows.
        method: see :func:`propose`.
        **options: see :func:`propose`.
    """
    return apply(ds, propose(ds, method, **options))


def built(method: str | AbstractZeroShot, settings: Mapping[str, Any] | None = None) -> AbstractZeroShot:
    """Return a method by name with its settings."""
    if isinstance(method, AbstractZeroShot):
        return method
    settings = settings or {}
    worded = any(settings.get(name) for name in ("prompts", "names", "templates", "model"))
    name = ("image_text" if worded else "prototype") if method == "auto" else method
    return registry.load("label.zero_shot", name, AbstractZeroShot).from_params(settings)  # type: ignore[type-abstract]


def spoken_rows(ds: Dataset) -> Mask:
    """Return (N,) rows whose label people stand behind and which are not evaluated on."""
    real = ds["keep"].astype(bool) & (ds["origin"] == "real")
    return np.asarray(real & spoken(ds) & ~np.isin(ds["split"].astype(str), EVALUATED))


def wanted_rows(ds: Dataset) -> Mask:
    """Return (N,) rows that may get a zero-shot label: without one, or with an earlier one of this kind."""
    return np.asarray(free_rows(ds, SOURCE) & ((ds["label"] < 0) | (ds["label_source"] == SOURCE)))


def _witnesses(ds: Dataset, held: Ints, picked: Collection[str], least: int) -> tuple[Ints, dict[str, Any]]:
    """Return the held-out rows that the proof rests on, and how many were drawn and picked.

    Args:
        ds: N rows.
        held: rows with a label that people stand behind.
        picked: ids that a strategy chose.
        least: rows that prove something at best; with fewer drawn ones the picked ones count, too.
    """
    drawn = held[~np.isin(ds.ids[held].astype(str), list(picked))]
    rests = "drawn" if len(drawn) == len(held) or len(drawn) >= max(least, 1) else "picked"
    told = {"rests_on": rests, "drawn": len(drawn), "picked": len(held) - len(drawn)}
    return (drawn if rests == "drawn" else held), told


def _doubtful(proof: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what is to be said about a proof that rests on picked samples."""
    if proof["rests_on"] == "drawn":
        return ()
    said = (
        f"the proof rests on picked samples: {proof['picked']} of {proof['drawn'] + proof['picked']} labelled rows "
        "were chosen by a strategy and are no random draw, so that precision and bounds are no estimate for the "
        "others; label a random draw (scarce query --strategy random)"
    )
    return (said,)


@dataclass(frozen=True)
class _Job:
    """Held-out labelled rows and unlabelled ones, with their probabilities."""

    ds: Dataset
    held: Ints
    pool: Ints
    held_probs: Floats
    pool_probs: Floats
    precision: float
    confidence: float

    @property
    def groups(self) -> Array | None:
        """Groups of the labelled rows; None where each stands alone."""
        name = next((name for name in ("split_group", "group") if name in self.ds), None)
        if name is None:
            return None
        own = zip(self.ds[name][self.held], self.ds.ids[self.held], strict=True)
        return np.array([group if group is not None else sample for group, sample in own], object)

    def gates(self, *, per_class: bool) -> dict[str, Gate]:
        """Return the gate for all, or that of each class."""
        if not per_class:
            everything = slice(None)
            return {"": self._gate(everything, everything)}
        mine, theirs = self.held_probs.argmax(axis=1), self.pool_probs.argmax(axis=1)
        return {name: self._gate(mine == code, theirs == code) for code, name in enumerate(self.ds.schema.classes)}

    def _gate(self, held: Any, pool: Any) -> Gate:
        probs, groups = self.held_probs[held], self.groups
        right = probs.argmax(axis=1) == self.ds["label"][self.held][held]
        return choose_threshold(
            self.pool_probs[pool].max(axis=1), probs.max(axis=1), right, precision=self.precision,
            confidence=self.confidence, groups=None if groups is None else groups[held],
        )  # fmt: skip

    def judged(self, gates: Mapping[str, Gate], *, unproven: bool) -> tuple[tuple[ClassResult, ...], Mask]:
        """Return how each class does, and (M,) which unlabelled rows become labels."""
        names = self.ds.schema.classes
        cuts = np.array([gates.get(name, gates.get("")).threshold for name in names])  # type: ignore[union-attr]
        codes = self.pool_probs.argmax(axis=1)
        taken = self.pool_probs.max(axis=1) >= cuts[codes]
        held = self.held_probs.max(axis=1) >= cuts[self.held_probs.argmax(axis=1)]
        # a class that is shut by the gate is judged on all of its proposals, so that a bad prompt is seen all the same
        shown = held | ~np.isfinite(cuts[self.held_probs.argmax(axis=1)])
        labels = self.ds["label"][self.held]
        classes = tuple(
            class_result(name, code, (labels, self.held_probs, shown, self.groups), (codes, taken),
                         wanted=self.precision, confidence=self.confidence, unproven=unproven)
            for code, name in enumerate(names)
        )  # fmt: skip
        takes = np.array([one.taken > 0 for one in classes])
        return classes, np.asarray(taken & takes[codes])


def _left_out(job: _Job, gates: Mapping[str, Gate], classes: Sequence[ClassResult]) -> tuple[str, ...]:
    """Return which classes would pass the gate and stay with people all the same, and what to do about it."""
    names = [
        f"{one.name} ({one.n})" for one in classes
        if one.verdict == "unproven" and one.proposed and not one.taken and gates.get(one.name, gates.get("")).opens  # type: ignore[union-attr]
    ]  # fmt: skip
    if not names:
        return ()
    needed = needed_for(job.precision, job.confidence) if job.precision < 1 else "no number of them"
    said = (
        f"a precision of {job.precision:g} is proven for all together and not for {', '.join(names)}: left to people "
        f"(held-out labels in brackets; {needed} without an error prove it); label more of them, or take them over all "
        "the same: --unproven"
    )
    return (said,)


def _notes(job: _Job, judged: Judgement, gates: Mapping[str, Gate], lost: int) -> tuple[str, ...]:
    notes = list(judged.notes)
    notes += [f"{name}: {gate.reason}" if name else gate.reason for name, gate in gates.items() if not gate.opens]
    if len(job.held) and len(job.pool):
        notes.append(unlike(job.held_probs, job.pool_probs))
    if not len(job.pool):
        notes.append("there is no unlabelled row that may be labelled")
    if lost:
        notes.append(f"{lost} rows have no features and were not judged: their files cannot be opened")
    return tuple(note for note in notes if note)
