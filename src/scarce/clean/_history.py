"""What cleaning has done so far, action by action, and taking one of them back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from scarce.clean._base import AWAY, COLUMN, Action
from scarce.clean._run import revert
from scarce.dataset import Dataset
from scarce.errors import DataError, unknown_name
from scarce.lineage import Step

APPLIED, UNDONE, OVERTAKEN = "applied", "undone", "overtaken"


@dataclass(frozen=True)
class Applied:
    """One action that was carried out.

    Attributes:
        action: what was done.
        step: id of the step that did it.
        at: when the version was made that holds it; empty if it is not committed.
        state: ``applied``; ``undone`` by a later step; ``overtaken`` where a later step changed one of its samples, so
            that taking it back would lose that.
    """

    action: Action
    step: str
    at: str
    state: str

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {**self.action.to_json(), "step": self.step, "at": self.at, "state": self.state}


def history(ds: Dataset) -> list[Applied]:
    """Return all actions that led to this dataset, oldest first, with what became of them."""
    done: list[Applied] = []
    for step in ds.steps:
        actions = actions_of(step)
        if step.name == "apply":
            done += [Applied(action, step.step_id, step.at, APPLIED) for action in actions]
        else:
            for action in actions:
                _mark_undone(done, action.id)
    names = {COLUMN[item.action.kind] for item in done} | {"keep"}
    columns = {name: ds.table[name].to_pylist() for name in names if name in ds.table.column_names}
    place = {sample: row for row, sample in enumerate(ds.ids.tolist())}
    return [
        replace(item, state=OVERTAKEN) if item.state == APPLIED and not _stands(item.action, columns, place) else item
        for item in done
    ]


def undo(ds: Dataset, ids: Iterable[str]) -> Dataset:
    """Take single actions back, whatever else has been done since; the others stay.

    Args:
        ds: a dataset whose lineage holds the actions.
        ids: their ids, or beginnings of ids that fit one action only.

    Raises:
        UnknownNameError: there is no such action.
        DataError: an id fits several, the action was undone or overtaken, or something later depends on it.
    """
    done = history(ds)
    chosen = [_chosen(done, name) for name in dict.fromkeys(ids)]
    for item in chosen:
        _refuse_needed(ds, item, [other for other in done if other.state == APPLIED and other not in chosen])
    return revert(ds, [item.action for item in sorted(chosen, key=done.index)])


def actions_of(step: Step) -> list[Action]:
    """Return the actions that a step of cleaning carried out or took back; none for other steps."""
    found = step.params.get("actions")
    if step.stage != "clean" or step.name not in ("apply", "revert") or not isinstance(found, list | tuple):
        return []
    return [Action.from_json(body) for body in found]


def _refuse_needed(ds: Dataset, item: Applied, others: list[Applied]) -> None:
    """Refuse to take back what something later was built on."""
    mine, action = set(item.action.samples), item.action
    if action.kind == "bring_back":
        for other in others:
            if other.action.into in mine:
                what = f"action {other.action.id} merged others into {other.action.into}, which would go"
                raise DataError("clean", what, do=f"take that back first: scarce clean --undo {other.action.id}")
    if action.kind != "relabel" or (ds["origin"] == "real").all():
        return
    columns = ds.table.select(["id", "parents", "origin", "keep", "label"]).to_pylist()
    grown = [
        row["id"] for row in columns
        if row["origin"] != "real" and row["keep"] and mine.intersection(row["parents"] or ())
        and row["label"] in action.new
    ]  # fmt: skip
    if grown:
        names = " and ".join(sorted({str(label) for label in action.new}))
        what = f"{len(grown)} samples were grown from it as {names} since, for example {grown[0]}"
        raise DataError(
            "clean", what, do="go back before they were grown (scarce restore), then undo it and grow again"
        )


def _mark_undone(done: list[Applied], name: str) -> None:
    for place in range(len(done) - 1, -1, -1):
        if done[place].action.id == name and done[place].state == APPLIED:
            done[place] = replace(done[place], state=UNDONE)
            return


def _stands(action: Action, columns: dict[str, list[Any]], place: dict[str, int]) -> bool:
    """Return whether every sample still is as the action left it."""
    values, keep = columns[COLUMN[action.kind]], columns["keep"]
    for sample, new in zip(action.samples, action.new, strict=True):
        row = place.get(sample)
        aside = None if COLUMN[action.kind] != "drop_reason" else action.kind in AWAY
        if row is None or values[row] != new or keep[row] is aside:
            return False
    return True


def _chosen(done: list[Applied], name: str) -> Applied:
    fits = [item for item in done if item.action.id.startswith(name)] if name else []
    latest = {item.action.id: item for item in fits}
    if not latest:
        raise unknown_name("clean", "action", name, [item.action.id for item in done])
    if len(latest) > 1:
        raise DataError("clean", f"{name!r} fits {len(latest)} actions", ", ".join(latest), "give more of the id")
    found = next(iter(latest.values()))
    if found.state == UNDONE:
        raise DataError("clean", f"action {found.action.id} was undone already", do="see scarce clean --list")
    if found.state == OVERTAKEN:
        first = found.action.samples[0]
        what = f"a later step changed what action {found.action.id} did to {first}"
        raise DataError("clean", what, do="take the later change back first: scarce blame shows it")
    return found
