"""Questions that a person answers later: a table that goes out, the same table with answers that comes back."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from scarce.clean import Action, read_text
from scarce.columns import sample_name
from scarce.errors import DataError, unknown_name

if TYPE_CHECKING:
    from scarce.dataset import Dataset
    from scarce.project import Project

HEADS: Final = ("number", "sample", "file", "label", "split", "reason", "answer", "new_label")
RIGHT, ASIDE = "right", "set aside"
ANSWERS: Final = (RIGHT, ASIDE)
"""What ``answer`` may say; it may also be empty where ``new_label`` is given, or where there is no answer yet."""
RISKY: Final = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Answers:
    """What a person said.

    Attributes:
        actions: what follows from it, by a person.
        settled: numbers of the questions that were answered.
        said: rows for the annotations.
        waiting: how many questions in the file have no answer yet.
    """

    actions: tuple[Action, ...]
    settled: tuple[int, ...]
    said: tuple[Mapping[str, Any], ...]
    waiting: int


def ask_people(project: Project, actions: Sequence[Action], version: str | None) -> int:
    """Put the questions of a plan into the review queue and return how many.

    What waits there already, or was answered, is not asked again.
    """
    asked = {(row["sample"], row["reason"]) for status in ("open", "done") for row in project.state.queue(status)}
    rows = [
        {"sample": sample, "reason": action.reason, "priority": action.score, "version": version}
        for action in actions if action.kind == "ask" for sample in action.samples
        if (sample, action.reason) not in asked
    ]  # fmt: skip
    return project.state.ask(rows) if rows else 0


def write_questions(project: Project, ds: Dataset, path: str | Path) -> int:
    """Write the questions that wait as CSV, the most urgent first; return how many.

    A person fills ``answer`` (``right`` or ``set aside``) or ``new_label``; see :func:`read_answers`. Texts that a
    spreadsheet would take for a formula get an apostrophe in front.
    """
    names = ("id", "uri", "label", "split")
    known = {row["id"]: row for row in ds.table.select(names).to_pylist()}
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(HEADS)
    rows = [row for row in project.state.queue() if row["sample"] in known]
    for row in rows:
        sample = known[row["sample"]]
        told = (sample_name(sample["uri"]), sample["label"], sample["split"], row["reason"])
        out.writerow([row["number"], row["sample"], *map(_safe, told), "", ""])
    part = Path(f"{path}.part")
    part.write_text(text.getvalue(), encoding="utf-8")
    part.replace(path)
    return len(rows)


def read_answers(project: Project, ds: Dataset, path: str | Path, *, voter: str = "a person") -> Answers:
    """Return what follows from a table of :func:`write_questions` that a person filled; nothing is changed.

    Args:
        project: whose questions they are.
        ds: its newest version.
        path: the table.
        voter: who answered.

    Raises:
        ReadError: the file cannot be read.
        DataError: it is no such table, or an answer cannot be understood.
        UnknownNameError: a class or a question does not exist.
    """
    open_rows = {row["number"]: row for row in project.state.queue()}
    done = {row["number"] for row in project.state.queue("done")}
    names = ["id", "label", "label_source", "keep", "drop_reason"]
    known = {row["id"]: row for row in ds.table.select(names).to_pylist()}
    actions: dict[tuple[str, str], Action] = {}
    settled, said, waiting = [], [], 0
    for line, row in _rows(path):
        number = int(row["number"])
        answer, new = (row.get("answer") or "").strip().lower(), (row.get("new_label") or "").strip()
        if not answer and not new:
            waiting += 1
            continue
        if number in done:
            continue
        if number not in open_rows or open_rows[number]["sample"] != row["sample"]:
            raise unknown_name("clean", f"question (line {line} of {path})", number, map(str, open_rows))
        sample = known.get(row["sample"])
        if sample is None:
            raise unknown_name("clean", "sample", row["sample"], list(known)[:50])
        _check(answer, new, line, ds.schema.classes)
        for action in _follows(sample, answer, new, open_rows[number]["reason"]):
            column = "label" if action.kind == "relabel" else "keep"
            other = actions.setdefault((column, sample["id"]), action)
            if (other.kind, other.new if new else ()) != (action.kind, action.new if new else ()):
                what = f"line {line} of {path} contradicts a line before about {row['sample']}"
                raise DataError("clean", what, f"{other.kind} and {action.kind}", "give one answer")
        settled.append(number)
        label = None if answer == ASIDE else new or sample["label"]
        said.append({"sample": sample["id"], "voter": voter, "label": label, "note": answer or None})
    return Answers(tuple(actions.values()), tuple(settled), tuple(said), waiting)


def settle(project: Project, answers: Answers, version: str | None) -> None:
    """Note who said what, and take the questions off the queue."""
    state = project.state
    before = {row["number"] for row in state.annotations()}
    state.annotate([{**row, "version": version} for row in answers.said])
    if version is not None:
        state.freeze_annotations([row["number"] for row in state.annotations() if row["number"] not in before], version)
    state.settle(answers.settled)


def _rows(path: str | Path) -> list[tuple[int, dict[str, str]]]:
    rows = csv.DictReader(io.StringIO(read_text(path)))
    heads = list(rows.fieldnames or ())
    lost = [name for name in ("number", "sample") if name not in heads]
    if lost or not {"answer", "new_label"} & set(heads):
        do = "write it with scarce clean --ask FILE and fill answer or new_label"
        raise DataError("clean", f"{path} is no table of questions", f"its columns are {', '.join(heads[:12])}", do)
    found = []
    for line, row in enumerate(rows, start=2):
        if not (row["number"] or "").strip().isdecimal():
            raise DataError("clean", f"line {line} of {path} has no number", do="leave the column number as it was")
        found.append((line, row))
    return found


def _check(answer: str, new: str, line: int, classes: Sequence[str]) -> None:
    if answer and answer not in ANSWERS:
        there = f"it may be {' or '.join(ANSWERS)}, or empty beside a new_label"
        raise DataError("clean", f"the answer {answer!r} in line {line} is not understood", there)
    if new and new not in classes:
        raise unknown_name("clean", f"class (line {line})", new, classes)
    if answer and new:
        raise DataError("clean", f"line {line} has an answer and a new label", do="give one of them")


def _follows(sample: Mapping[str, Any], answer: str, new: str, asked: str) -> list[Action]:
    """Return the actions that an answer asks for; none where all is so already."""
    one = (str(sample["id"]),)
    more: dict[str, Any] = {"check": "review", "by": "human"}
    if answer == ASIDE:
        if not sample["keep"]:
            return []
        reason = f"a person set it aside, asked: {asked}"
        return [Action(samples=one, kind="set_aside", old=(None,), new=(reason,), reason=reason, **more)]
    back, label = [], new or sample["label"]
    if not sample["keep"]:
        reason = f"a person kept it, asked: {asked}"
        old = (sample["drop_reason"],)
        back = [Action(samples=one, kind="bring_back", old=old, new=(None,), reason=reason, **more)]
    if label is None or (label == sample["label"] and sample["label_source"] == "human"):
        return back
    said = f"a person says {label}" if new else "a person found it right"
    return [*back, Action(samples=one, kind="relabel", old=(sample["label"],), new=(label,),
                          source=(sample["label_source"],), reason=f"{said}, asked: {asked}", **more)]  # fmt: skip


def _safe(value: str | None) -> str:
    text = value or ""
    return f"'{text}" if text.startswith(RISKY) else text
