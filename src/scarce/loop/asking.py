"""Questions that a person answers later: a queue, a table that goes out, the same table with answers that comes back.

One queue serves all doors (``scarce label``, ``scarce review``, ``scarce clean --ask``, Label Studio). What a question
is about is the first word of its reason: ``label: round 2, margin: ...``; reasons without such a word are of cleaning.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from scarce._places import HIDDEN
from scarce.ballot import holds_content
from scarce.clean import Action, read_text
from scarce.clean.relabel import suggestion
from scarce.columns import sample_name
from scarce.errors import DataError, UnknownNameError, closest, unknown_name
from scarce.loop.answering import ASIDE, RIGHT, UNSURE, UNSURE_OF, Answer, Frozen, follows, freeze, say, verdict_of
from scarce.modality.raw import addresses
from scarce.modality.words import words_of

if TYPE_CHECKING:
    from scarce.dataset import Dataset
    from scarce.project import Project

HEADS: Final = (
    "number", "sample", "file", "content", "label", "split", "reason", "answer", "new_label", "suggestion",
    "probability", "seconds",
)  # fmt: skip
ANSWERS: Final = (RIGHT, ASIDE, UNSURE)
"""What ``answer`` may say; it may also be empty where ``new_label`` is given, or where there is no answer yet."""
ADD: Final = "where it is a new class: scarce label import --new-classes"
WHO: Final = "answers"
LABEL, CLEAN = "label", "clean"
BLIND: Final = f"{LABEL}: production, random: audit"
"""So begin questions about drawn samples; who answers them is shown no label, and finds none right."""
REVIEWED: Final = ("label_error", "label_conflict", "zero_shot", "synthetic")
DOUBTED: Final = "unsure"
"""Samples without a label that a zero-shot model was unsure about; ``scarce query`` and rounds may ask about them."""
KINDS: Final = (LABEL, *REVIEWED, DOUBTED, CLEAN)
KEYS: Final = "1234567890abcdefghijklmnoptvwyzrs"
"""Keys of the classes in their order, at the terminal and on the page; ``u``, ``x`` and ``q`` mean something else."""
NOBODY: Final = "a person"
"""Who answers where no name is given."""
RISKY: Final = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, kw_only=True)
class Question:
    """One question that waits.

    Attributes:
        number: its number in the queue.
        sample: id of the sample it is about.
        file: where the sample lies, relative to its source.
        label: what the sample is called now; None = nothing.
        split: where it may be used.
        reason: why it is asked.
        kind: one of :data:`KINDS`.
        suggestion: the class that a model would say; "" = none.
        probability: of the suggestion, in [0, 1].
        priority: 1 = first.
    """

    number: int
    sample: str
    file: str
    label: str | None
    split: str | None
    reason: str
    kind: str
    suggestion: str = ""
    probability: float = 0.0
    priority: float = 0.0


@dataclass(frozen=True)
class Answers:
    """What a person said.

    Attributes:
        actions: what follows from verdicts of a review; answers to questions for a label become labels directly.
        said: the answers.
        waiting: how many questions in the file have no answer yet.
    """

    actions: tuple[Action, ...]
    said: tuple[Answer, ...]
    waiting: int


def kind_of(reason: str) -> str:
    """Return what a question is about."""
    if reason.startswith(UNSURE_OF):
        return DOUBTED
    head, sign, _ = reason.partition(": ")
    return head if sign and head in KINDS else CLEAN


def is_blind(reason: str) -> bool:
    """Return whether a question is one that nobody shall be led by a label in."""
    return reason.startswith(BLIND)


def put(project: Project, rows: Sequence[Mapping[str, Any]]) -> int:
    """Put questions into the queue and return how many are new.

    What was asked in the same words is not asked again, nor is a label of a sample whose label is asked for already.

    Args:
        project: whose queue it is.
        rows: ``sample``, ``reason``, ``priority`` (1 = first) and ``version``.
    """
    with project.store.locked():
        waiting = project.state.queue()
        asked = {(row["sample"], row["reason"]) for row in (*waiting, *project.state.queue("done"))}
        wanted = {row["sample"] for row in waiting if kind_of(row["reason"]) == LABEL}
        new = [
            row for row in rows if (row["sample"], row["reason"]) not in asked
            and not (row["sample"] in wanted and kind_of(row["reason"]) == LABEL)
        ]  # fmt: skip
        return project.state.ask(new) if new else 0


def ask_people(project: Project, actions: Sequence[Action], version: str | None) -> int:
    """Put the questions of a plan into the review queue and return how many."""
    return put(project, [
        {"sample": sample, "reason": action.reason, "priority": action.score, "version": version}
        for action in actions if action.kind == "ask" for sample in action.samples
    ])  # fmt: skip


def questions(project: Project, ds: Dataset, kinds: Collection[str] = KINDS) -> list[Question]:
    """Return the questions that wait, the most urgent first.

    Args:
        project: whose queue it is.
        ds: its newest version; questions about samples that are no longer there are left out.
        kinds: of :data:`KINDS`.
    """
    known = {row["id"]: row for row in ds.table.select(["id", "uri", "label", "split"]).to_pylist()}
    found = []
    for row in project.state.queue():
        kind, sample = kind_of(row["reason"]), known.get(row["sample"])
        if kind in kinds and sample is not None:
            better, probability = suggestion(row["reason"])
            found.append(Question(
                number=row["number"], sample=row["sample"], file=sample["uri"] or "",
                label=None if is_blind(row["reason"]) else sample["label"],
                split=sample["split"], reason=row["reason"], kind=kind, probability=probability,
                suggestion=better if better in ds.schema.classes else "", priority=row["priority"],
            ))  # fmt: skip
    return found


def write_questions(project: Project, ds: Dataset, path: str | Path, kinds: Collection[str] = KINDS) -> int:
    """Write the questions that wait as CSV, the most urgent first; return how many.

    A person fills ``answer`` (``right``, ``set aside``, ``unsure``, or a class) or ``new_label``; see
    :func:`read_answers`. ``file`` is relative to its source, or the whole path of what production kept. Of texts and
    rows of tables ``content`` is all that they say. Texts that a spreadsheet would take for a formula get an apostrophe
    in front.
    """
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(HEADS)
    rows = questions(project, ds, kinds)
    at = ds.rows_of([row.sample for row in rows])
    said = words_of(ds, at) if holds_content(ds) else [""] * len(rows)
    own = (project.folder / HIDDEN).resolve()
    for row, place, words in zip(rows, addresses(ds, at), said, strict=True):
        sure = f"{row.probability:.2f}" if row.suggestion else ""
        lies = place.path.resolve()
        name = str(lies) if lies.is_relative_to(own) else sample_name(row.file)
        told = map(safe, (name, words, row.label, row.split, row.reason))
        out.writerow([row.number, row.sample, *told, "", "", safe(row.suggestion), sure, ""])
    part = Path(f"{path}.part")
    part.write_text(text.getvalue(), encoding="utf-8")
    part.replace(path)
    return len(rows)


def read_answers(project: Project, ds: Dataset, path: str | Path, *, voter: str = NOBODY) -> Answers:
    """Return what a table of :func:`write_questions` says that a person filled; nothing is changed.

    A question for a label that somebody else answered already takes one more answer of a person with a name.

    Args:
        project: whose questions they are.
        ds: its newest version.
        path: the table.
        voter: who answered, where the table has no column ``voter``.

    Raises:
        ReadError: the file cannot be read.
        DataError: it is no such table, or an answer cannot be understood.
        UnknownNameError: a class or a question does not exist.
    """
    open_rows = {row["number"]: row for row in project.state.queue()}
    done = {row["number"]: row for row in project.state.queue("done")}
    heard = {(row["sample"], row["voter"], verdict_of(row)[1]) for row in project.state.annotations()}
    names = ["id", "label", "label_source", "keep", "drop_reason"]
    known = {row["id"]: row for row in ds.table.select(names).to_pylist()}
    actions: dict[tuple[str, str], Action] = {}
    said: list[Answer] = []
    waiting = 0
    for line, row in _rows(path):
        number = int(row["number"])
        word, new = _said(row)
        if not new and word not in ANSWERS and word in ds.schema.classes:
            word, new = "", word
        if not word and not new:
            waiting += 1
            continue
        who = (row.get("voter") or "").strip() or voter
        asked = open_rows.get(number) or done.get(number)
        if number in done and (kind_of(done[number]["reason"]) != LABEL or not new or who == NOBODY
                               or (row["sample"], who, done[number]["reason"]) in heard):  # fmt: skip
            continue
        if asked is None or asked["sample"] != row["sample"]:
            raise unknown_name(WHO, f"question (line {line} of {path})", number, map(str, open_rows))
        sample = known.get(row["sample"])
        if sample is None:
            raise unknown_name(WHO, "sample", row["sample"], list(known)[:50])
        _check(word, new, line, ds.schema.classes)
        reason = asked["reason"]
        if word == RIGHT and (sample["label"] is None or is_blind(reason)):
            raise DataError(WHO, f"line {line} finds a label right", "the sample has none", "give new_label")
        for action in follows(sample, word, new, reason) if kind_of(reason) != LABEL or not new else ():
            column = "label" if action.kind == "relabel" else "keep"
            other = actions.setdefault((column, sample["id"]), action)
            if (other.kind, other.new if new else ()) != (action.kind, action.new if new else ()):
                what = f"line {line} of {path} contradicts a line before about {row['sample']}"
                raise DataError(WHO, what, f"{other.kind} and {action.kind}", "give one answer")
        label = {RIGHT: sample["label"], ASIDE: None, UNSURE: None}.get(word, new)
        seconds = _seconds(row.get("seconds"), line)
        said.append(Answer(number=number, sample=sample["id"], verdict=word or LABEL, label=label, voter=who,
                           seconds=seconds, reason=reason))  # fmt: skip
    return Answers(tuple(actions.values()), tuple(said), waiting)


def new_classes(ds: Dataset, path: str | Path) -> tuple[str, ...]:
    """Return the names in a filled table that are neither an answer nor a class of the data, sorted.

    Raises:
        ReadError: the file cannot be read.
        DataError: it is no table of questions.
    """
    names = {name for _, row in _rows(path) for name in _said(row)}
    return tuple(sorted(name for name in names - {"", *ds.schema.classes} if name.lower() not in ANSWERS))


def take(project: Project, answers: Answers) -> Frozen:
    """Keep what people said, take the questions off the queue, and commit what follows from it.

    What was said is kept first: should anything go wrong afterwards, the next call goes on from there.
    """
    say(project, answers.said)
    return freeze(project)


def _rows(path: str | Path) -> list[tuple[int, dict[str, str]]]:
    rows = csv.DictReader(io.StringIO(read_text(path)))
    heads = list(rows.fieldnames or ())
    lost = [name for name in ("number", "sample") if name not in heads]
    if lost or not {"answer", "new_label"} & set(heads):
        do = "write it with scarce clean --ask FILE, scarce label or scarce review, and fill answer or new_label"
        raise DataError(WHO, f"{path} is no table of questions", f"its columns are {', '.join(heads[:12])}", do)
    found = []
    for line, row in enumerate(rows, start=2):
        if not (row["number"] or "").strip().isdecimal():
            raise DataError(WHO, f"line {line} of {path} has no number", do="leave the column number as it was")
        found.append((line, row))
    return found


def _said(row: Mapping[str, str]) -> tuple[str, str]:
    """Return the answer, small where it is one of :data:`ANSWERS`, and the new label."""
    word, new = ((row.get(column) or "").strip() for column in ("answer", "new_label"))
    return word.lower() if word.lower() in ANSWERS else word, new


def _check(answer: str, new: str, line: int, classes: Sequence[str]) -> None:
    if answer and answer not in ANSWERS:
        there = f"it may be {', '.join(ANSWERS)}, or a class: {closest(answer, classes)}"
        raise DataError(WHO, f"the answer {answer!r} in line {line} is not understood", there, ADD)
    if new and new not in classes:
        what = f"line {line} names {new!r}, which is no class"
        raise UnknownNameError(WHO, what, closest(new, classes), ADD)
    if answer and new:
        raise DataError(WHO, f"line {line} has an answer and a new label", do="give one of them")


def _seconds(text: str | None, line: int) -> float | None:
    try:
        seconds = float(text) if (text or "").strip() else None  # type: ignore[arg-type]
    except ValueError:
        raise DataError(WHO, f"line {line} took {text!r} seconds", do="give a number, or leave it empty") from None
    return seconds if seconds is None or 0 <= seconds < float("inf") else None


def safe(value: str | None) -> str:
    """Return text that no spreadsheet takes for a formula."""
    text = value or ""
    return f"'{text}" if text.startswith(RISKY) else text
