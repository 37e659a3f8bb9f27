"""Who was asked about a drawn sample: only what people say then, without seeing what a model said, judges a model.

Feedback about such a sample comes from somebody who saw the answer, and by choice: a person who confirms all that is
shown would prove any model right. So a drawn sample is always asked about, and feedback about it stays feedback.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from scarce import ballot
from scarce.flywheel.queue import AUDIT
from scarce.loop.answering import UNDO, UNSURE, standing, verdict_of
from scarce.state import DRAWS

if TYPE_CHECKING:
    from scarce.project import Project

Row = dict[str, Any]
WITHDRAWN: Final = "withdrawn"
"""Verdict of a row that takes the draw of the same name back."""


def draws(project: Project) -> list[Row]:
    """Return all draws that hold, oldest first: those that the contract refused are taken back."""
    rows = project.state.ledger(DRAWS)
    gone = {row["draw"] for row in rows if row["verdict"] == WITHDRAWN}
    return [row for row in rows if row["draw"] not in gone]


def drawn_rows(project: Project) -> list[Row]:
    """Return what the ledger keeps of each sample that chance drew, oldest first."""
    return [row for one in draws(project) for row in one["rows"] if row["kind"] == AUDIT]


def blind_answers(project: Project) -> dict[str, str]:
    """Return id to class of the drawn samples that somebody who was asked about them gave a name, the newest one."""
    asked = {(row["id"], row["reason"]) for row in drawn_rows(project)}
    people = [row for row in project.state.annotations() if row["kind"] not in ballot.MACHINES]
    return {
        row["sample"]: row["label"] for row in standing(people)
        if row["label"] is not None and verdict_of(row)[0] not in (UNDO, UNSURE)
        and (row["sample"], verdict_of(row)[1]) in asked
    }  # fmt: skip


def untold(project: Project) -> Mapping[str, int]:
    """Return how many drawn samples nobody has named: ``open``, the question waits; ``unsure``, the asked cannot tell.

    They are left out of every figure, and nothing says that they are like the others.
    """
    told = blind_answers(project)
    missing = {(row["id"], row["reason"]) for row in drawn_rows(project) if row["id"] not in told}
    waiting = {(row["sample"], row["reason"]) for row in project.state.queue()}
    return {"open": len(missing & waiting), "unsure": len(missing - waiting)}
