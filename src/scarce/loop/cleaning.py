"""What should be done about the findings of a project."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from scarce.errors import DataError, UnknownNameError
from scarce.registry import canonical

if TYPE_CHECKING:
    from scarce.clean import Action
    from scarce.dataset import Dataset
    from scarce.project import Project


OWNERS = ("clean", "split")
"""Cleaning writes its own columns, and re-splitting those of the split."""


def carry_out(project: Project, ds: Dataset, actions: Sequence[Action], *, made_for: str | None = None) -> str | None:
    """Apply a plan and commit it; None where nothing in it is to be carried out.

    Args:
        project: that the dataset is of.
        ds: its newest version.
        actions: the plan.
        made_for: the version that the plan was made for, if it is known.

    Raises:
        DataError: the plan does not fit the data; where it was made for another version, the message says so.
    """
    from scarce import clean

    if not any(action.apply and action.kind != "ask" for action in actions):
        return None
    try:
        after = clean.apply(ds, actions)
    except (DataError, UnknownNameError) as error:
        if made_for in (None, project.head):
            raise
        there = (
            f"{error.there}. " * bool(error.there) + f"The plan was made for {made_for}, the newest is {project.head}"
        )
        raise type(error)(error.who, error.what, there, error.do) from error
    return project.commit(after, "clean", owner=OWNERS)


def take_back(project: Project, ds: Dataset, ids: Sequence[str]) -> tuple[list[Action], str]:
    """Undo single actions, whatever came later, and commit that; return them and the version.

    Raises:
        UnknownNameError: there is no such action.
        DataError: an action was undone or overtaken, or something later depends on it.
    """
    from scarce import clean

    after = clean.undo(ds, ids)
    actions = clean.actions_of(after.steps[-1])
    message = "clean: undo " + ", ".join(action.id for action in actions)
    return actions, project.commit(after, message, owner=OWNERS)


def proposed_questions(project: Project, ds: Dataset) -> int:
    """Return how many questions a cleaning would ask that were never put into the queue; 0 where nothing was audited.

    Args:
        project: whose settings are used.
        ds: its newest version.
    """
    if not any(name.startswith("audit.") for name in ds.table.column_names):
        return 0
    known = {(row["sample"], row["reason"]) for status in ("open", "done") for row in project.state.queue(status)}
    plan = cleaning_plan(project, ds)
    wanted = {(sample, action.reason) for action in plan if action.kind == "ask" for sample in action.samples}
    return len(wanted - known)


def cleaning_plan(
    project: Project, ds: Dataset, only: Sequence[str] | None = None, *, relabel: bool = False
) -> list[Action]:
    """Return what should be done about the findings, with the project's settings; nothing is changed.

    Args:
        project: whose settings are used.
        ds: an audited version of it.
        only: names of the cleaning plugins to ask; None = all.
        relabel: carry out better labels too, which are otherwise only proposed.

    Raises:
        DataError: nothing was audited yet.
        UnknownNameError: a name is no cleaning plugin.
    """
    from scarce import clean

    if not any(name.startswith("audit.") for name in ds.table.column_names):
        raise DataError("clean", "nothing was audited yet", do=f"scarce audit {project.folder}")
    settings = {name: dict(values) for name, values in project.config.clean.plugins.items()}
    settings.setdefault("relabel", {})["apply"] = relabel or project.config.clean.relabel
    asked = {
        name: values for name, values in settings.items() if only is None or canonical(name) in map(canonical, only)
    }
    return clean.plan(ds, only=only or None, **asked)
