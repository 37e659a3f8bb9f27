"""What people said becomes a version: every answer is kept by itself, none overwrites another.

An answer is first written down (who, when, how many seconds, which version was seen), then frozen: the newest answer
about a sample becomes its label, or sets it aside, as an action of cleaning that can be undone. A process that is
killed in between loses nothing; the next one freezes what is not yet part of a version.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from scarce import ballot, clean, label
from scarce.clean import Action
from scarce.errors import ConfigError
from scarce.extras import available
from scarce.lineage import Step

if TYPE_CHECKING:
    from scarce.dataset import Dataset
    from scarce.project import Project

UNDO: Final = "undo"
OBJECTS, COMMENT = "objects ", "comment "
"""Verdicts that begin so go on with JSON: what was drawn (as ``meta.boxes`` keeps it), what was written."""
COLUMN: Final = {OBJECTS: "meta.boxes", COMMENT: "meta.comment"}
RIGHT, ASIDE, UNSURE = "right", "set aside", "unsure"
ASKED: Final = "; asked: "
OWNERS: Final = ("label", "clean", "split")
TRUTHS: Final = ("newest", "vote")
"""How several answers about one sample become its label: the newest one, or the project's [label.vote] method."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer of one person.

    Attributes:
        number: the question's number; None = nobody asked.
        sample: id.
        verdict: ``label`` (a class was named), ``right``, ``set aside``, ``unsure``, or ``undo``, which takes the same
            person's answer before back.
        label: the class; None = none.
        voter: who.
        seconds: how long it took; None = unknown.
        reason: of the question.
        at: when, ISO 8601 in UTC; "" = now.
    """

    number: int | None
    sample: str
    verdict: str
    label: str | None
    voter: str
    seconds: float | None = None
    reason: str = ""
    at: str = ""


@dataclass(frozen=True)
class Frozen:
    """What answers became.

    Attributes:
        version: the new version; None = nothing had to change.
        actions: of cleaning, by a person.
        labels: how many samples got their label.
    """

    version: str | None
    actions: tuple[Action, ...] = ()
    labels: int = 0


def say(project: Project, answers: Sequence[Answer]) -> None:
    """Write answers down and take their questions off the queue; an undone answer's question waits again."""
    if not answers:
        return
    state, head = project.state, project.head
    state.annotate([
        {
            "sample": item.sample, "voter": item.voter, "label": item.label, "seconds": item.seconds, "version": head,
            "note": f"{item.verdict}{ASKED}{item.reason}" if item.reason else item.verdict,
            **({"at": item.at} if item.at else {}),
        }
        for item in answers
    ])  # fmt: skip
    for status, wanted in (("done", False), ("open", True)):
        numbers = [item.number for item in answers if item.number is not None and (item.verdict == UNDO) is wanted]
        if numbers:
            state.settle(numbers, status)


def freeze(project: Project, *, truth: str = "newest") -> Frozen:
    """Make a version of all answers that are not part of one yet.

    Answers to questions about labels become votes and labels; verdicts of a review become actions of cleaning.

    Args:
        project: whose answers they are.
        truth: one of :data:`TRUTHS`.

    Raises:
        ConfigError: there is no such truth.
    """
    if truth not in TRUTHS:
        raise ConfigError("label", f"truth = {truth!r}", f"it may be {' or '.join(TRUTHS)}")
    with project.store.locked():
        said = [row for row in project.state.annotations() if row["kind"] == "human"]
        fresh = [row for row in said if row["frozen"] is None]
        if not fresh:
            return Frozen(None)
        ds = project.dataset()
        touched = {row["sample"] for row in fresh} & set(ds.ids.tolist())
        word = _last_words([row for row in said if _column_of(row) is None], touched)
        labels = {
            sample: None if row is None else row["label"]
            for sample, row in word.items() if row is None or _names_a_class(row, ds)
        }  # fmt: skip
        after = _with_labels(_with_votes(ds, [row for row in fresh if row["sample"] in touched]), labels, truth)
        actions = tuple(_actions(after, {sample: row for sample, row in word.items() if sample not in labels}))
        after = _with_columns(clean.apply(after, actions), [row for row in fresh if row["sample"] in touched])
        version = None
        if after is not ds:
            parts = [f"{len(labels)} labels"] * bool(labels) + [f"{len(actions)} actions"] * bool(actions)
            drawn = ("io",) if set(after.table.column_names) & set(COLUMN.values()) else ()
            version = project.commit(after, f"answers: {' and '.join(parts) or 'votes'}", owner=(*OWNERS, *drawn))
        project.state.freeze_annotations([row["number"] for row in fresh], version or project.head or "none")
    return Frozen(version, actions, len(labels))


def standing(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return each person's last word on each question, oldest first; what was taken back is left out."""
    last: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: row["number"]):
        said = last.setdefault((row["sample"], row["voter"], verdict_of(row)[1]), [])
        if verdict_of(row)[0] == UNDO:
            said[-1:] = []
        else:
            said.append(row)
    return sorted((said[-1] for said in last.values() if said), key=lambda row: (row["at"], row["number"]))


def _last_words(rows: Sequence[Mapping[str, Any]], touched: Collection[str]) -> dict[str, Mapping[str, Any] | None]:
    """Return each touched sample's newest answer where it is new; None where all that was said was taken back."""
    own = [row for row in rows if row["sample"] in touched]
    undone = {row["sample"] for row in own if row["frozen"] is None and verdict_of(row)[0] == UNDO}
    newest: dict[str, Mapping[str, Any] | None] = dict.fromkeys(undone)
    newest |= {row["sample"]: row for row in standing(own) if verdict_of(row)[0] != UNSURE}
    return {
        sample: row for sample, row in newest.items() if row is None or row["frozen"] is None or sample in undone
    }  # fmt: skip


def verdict_of(row: Mapping[str, Any]) -> tuple[str, str]:
    """Return the verdict of an annotation and the reason of its question."""
    verdict, _, reason = (row["note"] or "label").partition(ASKED)
    return verdict, reason


def follows(sample: Mapping[str, Any], answer: str, new: str, asked: str) -> list[Action]:
    """Return the actions that an answer asks for; none where all is so already.

    Args:
        sample: ``id``, ``label``, ``label_source``, ``keep`` and ``drop_reason`` as they are now.
        answer: the verdict.
        new: the class that was named; "" = none.
        asked: why it was asked.
    """
    one = (str(sample["id"]),)
    more: dict[str, Any] = {"check": "review", "by": "human"}
    if answer == UNSURE:
        return []
    if answer == ASIDE:
        if not sample["keep"]:
            return []
        reason = f"a person set it aside, asked: {asked}"
        return [Action(samples=one, kind="set_aside", old=(None,), new=(reason,), reason=reason, **more)]
    back, named = [], new or sample["label"]
    if not sample["keep"]:
        reason = f"a person kept it, asked: {asked}"
        old = (sample["drop_reason"],)
        back = [Action(samples=one, kind="bring_back", old=old, new=(None,), reason=reason, **more)]
    if named is None or (named == sample["label"] and sample["label_source"] == "human"):
        return back
    said = f"a person says {named}" if new else "a person found it right"
    return [*back, Action(samples=one, kind="relabel", old=(sample["label"],), new=(named,),
                          source=(sample["label_source"],), reason=f"{said}, asked: {asked}", **more)]  # fmt: skip


def _names_a_class(row: Mapping[str, Any], ds: Dataset) -> bool:
    """Return whether an answer is a label rather than a verdict of a review."""
    return _free(row) and verdict_of(row)[0] == "label" and row["label"] in ds.schema.classes


def _free(row: Mapping[str, Any]) -> bool:
    """Return whether an answer is to a question for a label, or to none."""
    reason = verdict_of(row)[1]
    return not reason or reason.startswith("label: ")


def _with_votes(ds: Dataset, rows: Sequence[Mapping[str, Any]]) -> Dataset:
    """Return the dataset with new answers about labels as votes; what was taken back is an abstention."""
    known = {(vote["sample"], vote["voter"], vote["when"]) for vote in ds.votes.to_pylist()}
    votes = [
        {"sample": row["sample"], "voter": row["voter"], "label": row["label"], "when": _time(row["at"]),
         "seconds": row["seconds"]}
        for row in rows if _names_a_class(row, ds) or (_free(row) and verdict_of(row)[0] in (UNDO, UNSURE))
    ]  # fmt: skip
    new = [vote for vote in votes if (vote["sample"], vote["voter"], vote["when"]) not in known]
    return ballot.with_votes(ds, new) if new else ds


def _with_labels(ds: Dataset, labels: Mapping[str, str | None], truth: str) -> Dataset:
    """Return the dataset with the newest answers as labels, or with those of the votes together."""
    if not labels:
        return ds
    if truth == "vote":
        return _voted(ds)
    return with_answers(ds, labels)


def with_answers(ds: Dataset, answers: Mapping[str, str | None]) -> Dataset:
    """Return the dataset with a person's labels, as one step that can be done again from its record.

    Args:
        ds: the data set.
        answers: sample to class; None takes a label away.
    """
    codes = [-1 if name is None else ds.schema.classes.index(name) for name in answers.values()]
    wanted = label.Labels(ds.rows_of(list(answers)), np.array(codes, np.int64), "human")
    step = Step(stage="label", name="answers", params={"answers": [list(item) for item in sorted(answers.items())]})
    return label.with_labels(ds, wanted, step)


def _column_of(row: Mapping[str, Any]) -> str | None:
    """Return the column that an answer fills; None where it is about the label."""
    verdict = verdict_of(row)[0]
    return next((column for head, column in COLUMN.items() if verdict.startswith(head)), None)


def _with_columns(ds: Dataset, rows: Sequence[Mapping[str, Any]]) -> Dataset:
    """Return the dataset with what was drawn and written, the newest of each sample."""
    for head, column in COLUMN.items():
        told = {row["sample"]: json.loads(verdict_of(row)[0].removeprefix(head)) for row in rows
                if _column_of(row) == column}  # fmt: skip
        if not told:
            continue
        cells = ds.table[column].to_pylist() if column in ds.table.column_names else [None] * len(ds)
        for place, sample in zip(ds.rows_of(list(told)), told, strict=True):
            value = told[sample]
            compact = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
            cells[place] = value if column == "meta.comment" else compact
        params = {"samples": sorted(told)}
        ds = ds.with_columns({column: cells}).with_step(Step(stage="label", name=column[5:], params=params))
    return ds


def _voted(ds: Dataset) -> Dataset:
    """Return the dataset with the labels that the votes of all people give together."""
    if not available("scarce.label.vote"):
        raise ConfigError("label", "truth = 'vote' needs scarce.label.vote", do="take --truth newest")
    out: Dataset = importlib.import_module("scarce.label.vote").run(ds).dataset
    return out


def _actions(ds: Dataset, newest: Mapping[str, Mapping[str, Any] | None]) -> list[Action]:
    """Return what verdicts ask for."""
    names = ["id", "label", "label_source", "keep", "drop_reason"]
    samples = ds.table.select(names).take(ds.rows_of(list(newest))).to_pylist() if newest else []
    found: list[Action] = []
    for sample in samples:
        row = newest[sample["id"]]
        verdict, reason = verdict_of(row) if row is not None else (UNDO, "")
        new = row["label"] if row is not None and row["label"] in ds.schema.classes and verdict == "label" else ""
        if verdict in (RIGHT, ASIDE) or new:
            found += follows(sample, verdict, new, reason)
    return found


def _time(text: str) -> datetime:
    """Return a time without its zone, in UTC, as votes keep it."""
    at = datetime.fromisoformat(text)
    return at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at
