"""What people said becomes a version: every answer is kept by itself, none overwrites another.

An answer is first written down (who, when, how many seconds, which version was seen), then frozen: the newest answer
about a sample becomes its label, or sets it aside, as an action of cleaning that can be undone. A process that is
killed in between loses nothing; the next one freezes what is not yet part of a version.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scarce import ballot, clean, label
from scarce.clean import Action
from scarce.errors import ConfigError
from scarce.lineage import Step

if TYPE_CHECKING:
    from scarce.dataset import Dataset, Mask
    from scarce.project import Project

UNDO: Final = "undo"
OBJECTS, COMMENT = "objects ", "comment "
"""Verdicts that begin so go on with JSON: what was drawn (as ``meta.boxes`` keeps it), what was written."""
COLUMN: Final = {OBJECTS: "meta.boxes", COMMENT: "meta.comment"}
RIGHT, ASIDE, UNSURE = "right", "set aside", "unsure"
ASKED: Final = "; asked: "
OWNERS: Final = ("label", "clean", "split")
UNSURE_OF: Final = "zero_shot: unsure, most like "
"""So begins the reason of a question that a model could not answer; a person's label answers it."""
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


@dataclass(frozen=True, eq=False)
class Gathered:
    """Answers that are part of no version yet, written into the head but for the labels.

    Attributes:
        dataset: the head with new votes, with what reviews decided, and with what was drawn and written.
        labels: sample to the class that its newest answer names; None = all that was said was taken back.
        actions: of cleaning, by a person.
        numbers: of these annotations.
        votes: how many became votes.
        lost: how many are about samples that are not in the data; they wait for them.
        owners: stages whose columns changed.
    """

    dataset: Dataset
    labels: Mapping[str, str | None]
    actions: tuple[Action, ...]
    numbers: tuple[int, ...]
    votes: int
    lost: int
    owners: tuple[str, ...] = OWNERS


def gather(project: Project, ds: Dataset | None = None) -> Gathered:
    """Return what people said since the last version: the one way from annotations to votes.

    Answers to questions about labels, and to none, become votes; verdicts of a review become actions of cleaning.
    Somebody who is unsure, or takes an answer back, abstains. A vote for a class that does not exist is kept as it is.

    Args:
        project: whose answers they are.
        ds: what they are written into, with samples that are new; None = the head.
    """
    said = [row for row in project.state.annotations() if row["kind"] not in ballot.MACHINES]
    ds = project.dataset() if ds is None else ds
    known = set(ds.ids.tolist())
    unfrozen = [row for row in said if row["frozen"] is None]
    fresh = [row for row in unfrozen if row["sample"] in known]
    touched = {row["sample"] for row in fresh}
    word = _last_words([row for row in said if _column_of(row) is None], touched)
    labels = {
        sample: None if row is None else row["label"]
        for sample, row in word.items() if row is None or (_is_vote(row) and row["label"] in ds.schema.classes)
    }  # fmt: skip
    after, votes = _with_votes(ds, fresh)
    verdicts = {sample: row for sample, row in word.items() if row is not None and not _is_vote(row)}
    actions = tuple(_actions(after, verdicts))
    after = _with_columns(clean.apply(after, actions), fresh)
    drawn = ("io",) if any(_column_of(row) for row in fresh) else ()
    numbers = tuple(row["number"] for row in fresh)
    return Gathered(after, labels, actions, numbers, votes, len(unfrozen) - len(fresh), (*OWNERS, *drawn))


def freeze(project: Project, *, truth: str = "newest") -> Frozen:
    """Make a version of all answers that are not part of one yet, see :func:`gather`.

    Args:
        project: whose answers they are.
        truth: one of :data:`TRUTHS`.

    Raises:
        ConfigError: there is no such truth.
    """
    if truth not in TRUTHS:
        raise ConfigError("label", f"truth = {truth!r}", f"it may be {' or '.join(TRUTHS)}")
    with project.store.locked():
        if not project.state.annotations(frozen=False):
            return Frozen(None)
        got = gather(project)
        after = labelled(project, got, truth)
        version = None
        if after is not project.dataset():
            parts = [f"{len(got.labels)} labels"] * bool(got.labels)
            parts += [f"{len(got.actions)} actions"] * bool(got.actions)
            version = project.commit(after, f"answers: {' and '.join(parts) or 'votes'}", owner=got.owners)
        project.state.freeze_annotations(got.numbers, version or project.head or "none")
        named = {sample for sample, name in got.labels.items() if name}
        over = [row["number"] for row in project.state.queue()
                if row["sample"] in named and row["reason"].startswith(UNSURE_OF)]  # fmt: skip
        project.state.settle(over, "overtaken")
    return Frozen(version, got.actions, len(got.labels))


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


def _is_vote(row: Mapping[str, Any]) -> bool:
    """Return whether an answer is a label rather than a verdict of a review."""
    return _free(row) and verdict_of(row)[0] == "label"


def vote_of(row: Mapping[str, Any]) -> tuple[str, str, datetime] | None:
    """Return sample, voter and time of the vote that an annotation becomes in the data; None = it becomes none."""
    return (row["sample"], row["voter"], _time(row["at"])) if _is_vote(row) else None


def _free(row: Mapping[str, Any]) -> bool:
    """Return whether an answer is to a question for a label, or to none."""
    reason = verdict_of(row)[1]
    return not reason or reason.startswith("label: ")


def _with_votes(ds: Dataset, rows: Sequence[Mapping[str, Any]]) -> tuple[Dataset, int]:
    """Return the dataset with new answers about labels as votes, and how many; what was taken back abstains."""
    names = pa.array(sorted({row["sample"] for row in rows}), pa.string())
    there = ds.votes.filter(pc.is_in(ds.votes["sample"], value_set=names)).to_pylist()
    known = {(vote["sample"], vote["voter"], vote["when"]) for vote in there}
    votes = [
        {"sample": row["sample"], "voter": row["voter"], "kind": row["kind"], "label": row["label"],
         "prob": row["prob"], "when": _time(row["at"]), "seconds": row["seconds"]}
        for row in rows if _is_vote(row) or (_free(row) and verdict_of(row)[0] in (UNDO, UNSURE))
    ]  # fmt: skip
    new = [vote for vote in votes if (vote["sample"], vote["voter"], vote["when"]) not in known]
    return (ballot.with_votes(ds, new) if new else ds), len(new)


def labelled(project: Project, got: Gathered, truth: str = "newest") -> Dataset:
    """Return the dataset with the newest answers as labels, or with those of the votes together."""
    if not got.labels or truth == "newest":
        return with_answers(got.dataset, got.labels) if got.labels else got.dataset
    from scarce.loop.voting import consensus

    gone = {sample: None for sample, name in got.labels.items() if name is None}
    ds = with_answers(got.dataset, gone) if gone else got.dataset
    if not ballot.ratings_of(ds)[1]:
        return ds
    return consensus(project, ds).dataset


def only_answered(project: Project, ds: Dataset) -> Mask:
    """Return (N,) bool: rows whose label of source ``human`` came from answers, and that no review decided about."""
    rows = standing(row for row in project.state.annotations() if row["kind"] not in ballot.MACHINES)
    voted = {row["sample"] for row in rows if _is_vote(row)}
    judged = {row["sample"] for row in rows if not _free(row) and verdict_of(row)[0] in (RIGHT, "label")}
    return np.asarray(np.isin(ds.ids.astype(str), list(voted - judged)))


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


def _actions(ds: Dataset, newest: Mapping[str, Mapping[str, Any]]) -> list[Action]:
    """Return what verdicts ask for."""
    names = ["id", "label", "label_source", "keep", "drop_reason"]
    samples = ds.table.select(names).take(ds.rows_of(list(newest))).to_pylist() if newest else []
    found: list[Action] = []
    for sample in samples:
        row = newest[sample["id"]]
        verdict, reason = verdict_of(row)
        new = row["label"] if row["label"] in ds.schema.classes and verdict == "label" else ""
        if verdict in (RIGHT, ASIDE) or new:
            found += follows(sample, verdict, new, reason)
    return found


def _time(text: str) -> datetime:
    """Return a time without its zone, in UTC, as votes keep it."""
    at = datetime.fromisoformat(text)
    return at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at
