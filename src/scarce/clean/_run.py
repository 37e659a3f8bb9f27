"""Plan, apply and revert cleaning; a plan is a list of actions that people can read and edit as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from scarce import registry
from scarce.clean._base import AbstractAction, Action
from scarce.dataset import Dataset
from scarce.errors import DataError, unknown_name
from scarce.lineage import Step, canonical_json, digest

FORMAT = 1
ORDER = ("set_aside", "merge_duplicates", "relabel")
Settings = Mapping[str, Mapping[str, Any]]


def plan(ds: Dataset, only: str | Sequence[str] | None = None, **settings: Mapping[str, Any]) -> list[Action]:
    """Return what should be done about the findings; nothing is changed.

    Args:
        ds: an audited dataset.
        only: names of the plugins to ask; None = all.
        settings: parameters per plugin, for example ``relabel={"apply": True}``.

    Raises:
        UnknownNameError: a name is no cleaning plugin.
    """
    known = registry.names("clean")
    wanted = (
        known if only is None else [registry.canonical(name) for name in ([only] if isinstance(only, str) else only)]
    )
    for name in (*wanted, *settings):
        if registry.canonical(name) not in known:
            raise unknown_name("scarce.clean", "action", name, known)
    params = {registry.canonical(name): values for name, values in settings.items()}
    actions: list[Action] = []
    gone: set[str] = set()
    for name in sorted(wanted, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name)):
        plugin = registry.load("clean", name, AbstractAction).from_params(params.get(name, {}))  # type: ignore[type-abstract]
        for action in plugin.propose(ds):
            if action.kind == "ask" or not gone.intersection(action.samples):
                actions.append(action)
            if action.kind == "set_aside" and action.apply:
                gone.update(action.samples)
    return actions


def apply(ds: Dataset, actions: Iterable[Action]) -> Dataset:
    """Carry the actions out that have ``apply``; proposals and questions are left for a person.

    Raises:
        DataError: a sample no longer is as the plan says, or an evaluation sample would be relabelled.
        UnknownNameError: a sample or class does not exist.
    """
    chosen = [action for action in actions if action.apply and action.kind != "ask"]
    return _changed(ds, chosen, "apply")


def revert(ds: Dataset, actions: Iterable[Action]) -> Dataset:
    """Undo actions that were applied, all or some of them, whatever else has changed since.

    Raises:
        DataError: a sample is not in the state that the action left it in.
    """
    chosen = [action for action in actions if action.apply and action.kind != "ask"]
    return _changed(ds, chosen[::-1], "revert")


def to_json(actions: Iterable[Action]) -> str:
    """Return a plan as JSON that people can edit: set ``apply`` to accept or refuse an action."""
    return json.dumps(
        {"format": FORMAT, "actions": [action.to_json() for action in actions]}, indent=2, ensure_ascii=False
    )


def from_json(text: str) -> list[Action]:
    """Read a plan.

    Raises:
        DataError: it is no plan, or of a newer format.
    """
    try:
        body = json.loads(text)
        if body["format"] != FORMAT:
            raise DataError(
                "clean", f"the plan has format {body['format']}", f"this scarce reads format {FORMAT}", "update scarce"
            )
        return [Action.from_json(action) for action in body["actions"]]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise DataError("clean", f"this is no plan ({error!r})", do="make one with scarce clean --dry-run") from error


def save(actions: Iterable[Action], path: Path | str) -> None:
    """Write a plan to a file."""
    Path(path).write_text(to_json(actions), encoding="utf-8")


def load(path: Path | str) -> list[Action]:
    """Read a plan from a file."""
    return from_json(Path(path).read_text(encoding="utf-8"))


def _changed(ds: Dataset, actions: Sequence[Action], verb: str) -> Dataset:
    table = ds.table
    names = ("keep", "drop_reason", "label", "label_source")
    columns: dict[str, list[Any]] = {name: table[name].to_pylist() for name in names}
    split = ds["split"]
    for action in actions:
        rows = ds.rows_of(action.samples).tolist()
        if action.kind == "relabel":
            _relabel(columns, rows, action, (split, ds.schema.classes), verb)
        else:
            _set_aside(columns, rows, action, verb)
    if not actions:
        return ds
    body = canonical_json([action.to_json() for action in actions])
    step = Step(stage="clean", name=verb, params={"actions": len(actions)}, inputs={"plan": digest(body)})
    return ds.with_columns(columns).with_step(step)


def _set_aside(columns: dict[str, list[Any]], rows: list[int], action: Action, verb: str) -> None:
    before, after = (True, False) if verb == "apply" else (False, True)
    reasons: Sequence[str | None] = action.new if verb == "apply" else (None,) * len(rows)
    for row, sample, reason, left in zip(rows, action.samples, reasons, action.new, strict=True):
        stale = columns["keep"][row] is not before or (verb == "revert" and columns["drop_reason"][row] != left)
        if stale:
            raise _stale(
                action, sample, "kept" if columns["keep"][row] else f"set aside: {columns['drop_reason'][row]}"
            )
        columns["keep"][row], columns["drop_reason"][row] = after, reason


def _relabel(
    columns: dict[str, list[Any]], rows: list[int], action: Action, context: tuple[Any, Sequence[str]], verb: str
) -> None:
    split, classes = context
    before, after = (action.old, action.new) if verb == "apply" else (action.new, action.old)
    sources = action.source or (None,) * len(rows)
    for row, sample, was, now, source in zip(rows, action.samples, before, after, sources, strict=True):
        if now is not None and now not in classes:
            raise unknown_name("clean", "class", now, classes)
        if verb == "apply" and split[row] in ("val", "test"):
            raise DataError(
                "clean", f"sample {sample} is in {split[row]}", do="evaluation labels stay as given; ask a person"
            )
        if columns["label"][row] != was:
            raise _stale(action, sample, f"labelled {columns['label'][row]!r}")
        columns["label"][row] = now
        columns["label_source"][row] = "model" if verb == "apply" else source


def _stale(action: Action, sample: str, state: str) -> DataError:
    return DataError(
        "clean", f"the plan is out of date for sample {sample} ({action.kind})", f"it is {state} now", "plan again"
    )
