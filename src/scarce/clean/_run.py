"""Plan, apply and revert cleaning; a plan is a list of actions that people can read and edit as JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from scarce import registry
from scarce.clean._base import AWAY, COLUMN, AbstractAction, Action
from scarce.columns import SPLITS
from scarce.dataset import Dataset
from scarce.errors import DataError, ReadError, UnknownNameError, unknown_name
from scarce.lineage import Step, canonical_json, digest

FORMAT = 2
"""Format 1 knew no merge, no resplit and no by; it reads as it is."""
ORDER = ("set_aside", "merge_duplicates", "resplit", "relabel")
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
            if action.kind in AWAY and action.apply:
                gone.update(action.samples)
    return actions


def apply(ds: Dataset, actions: Iterable[Action]) -> Dataset:
    """Carry the actions out that have ``apply``; proposals and questions are left for a person.

    Raises:
        DataError: a sample no longer is as the plan says, two actions decide the same about one sample, or an
            evaluation sample would be changed and no person said so.
        UnknownNameError: a sample or class does not exist.
    """
    chosen = [action for action in actions if action.apply and action.kind != "ask"]
    _refuse_twice(chosen)
    return _changed(ds, chosen, "apply")


def revert(ds: Dataset, actions: Iterable[Action]) -> Dataset:
    """Undo actions that were applied, all or some of them, whatever else has changed since.

    Raises:
        DataError: a sample is not in the state that the action left it in.
    """
    chosen = [action for action in actions if action.apply and action.kind != "ask"]
    return _changed(ds, chosen[::-1], "revert")


def to_json(actions: Iterable[Action], *, version: str | None = None, told: Mapping[str, str] | None = None) -> str:
    """Return a plan as JSON that people can edit: set ``apply`` to accept or refuse an action.

    Args:
        actions: the plan.
        version: the version that it was made for.
        told: sample id to what people call it; written as ``files`` beside ``samples``, and not read again.
    """
    listed = [action.to_json() for action in actions]
    for body in listed if told else ():
        body["files"] = [(told or {}).get(sample, sample) for sample in body["samples"]]
    body = {"format": FORMAT, "version": version, "actions": listed}
    return json.dumps(body, indent=2, ensure_ascii=False)


def from_json(text: str) -> list[Action]:
    """Read a plan.

    Raises:
        DataError: it is no plan, or of a newer format.
    """
    body = _body(text)
    if body["format"] not in (1, FORMAT):
        there = f"this scarce reads format {FORMAT}"
        raise DataError("clean", f"the plan has format {body['format']!r}", there, "update scarce")
    return [Action.from_json(action) for action in body["actions"]]


def version_of(text: str) -> str | None:
    """Return the version that a plan was made for, if it says so."""
    found = _body(text).get("version")
    return found if isinstance(found, str) else None


def save(
    actions: Iterable[Action], path: Path | str, *, version: str | None = None, told: Mapping[str, str] | None = None
) -> None:
    """Write a plan to a file; see :func:`to_json`."""
    part = Path(f"{path}.part")
    part.write_text(to_json(actions, version=version, told=told), encoding="utf-8")
    part.replace(path)


def load(path: Path | str) -> list[Action]:
    """Read a plan from a file.

    Raises:
        ReadError: the file is missing or no text.
        DataError: it is no plan.
    """
    return from_json(read_text(path))


def read_text(path: Path | str) -> str:
    """Return the text of a file that a person edited; a mark at its beginning, as editors leave it, is left out.

    Raises:
        ReadError: it is missing, or no text.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise ReadError("clean", f"{path} cannot be read ({reason})", do="check the path") from error


def _body(text: str) -> dict[str, Any]:
    do = "make one with scarce clean --dry-run --save FILE"
    try:
        body = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError("clean", f"this is no plan: line {error.lineno}: {error.msg}", do=do) from error
    if not isinstance(body, dict) or "format" not in body or not isinstance(body.get("actions"), list):
        raise DataError("clean", "this is no plan: it has no format and no list of actions", do=do)
    return body


def _refuse_twice(actions: Sequence[Action]) -> None:
    """Refuse a plan in which two actions decide the same about one sample."""
    decided: dict[tuple[str, str], Action] = {}
    for action in actions:
        for sample in action.samples:
            other = decided.setdefault((COLUMN[action.kind], sample), action)
            if other is not action:
                both = f"{other.id} ({other.kind}) and {action.id} ({action.kind})"
                what = f"action {action.id} is in the plan twice" if other.id == action.id else (
                    f"two actions decide about the {COLUMN[action.kind]} of sample {sample}")  # fmt: skip
                raise DataError("clean", what, both, 'leave one of them out, or set its "apply" to false')


def _changed(ds: Dataset, actions: Sequence[Action], verb: str) -> Dataset:
    if not actions:
        return ds
    started = time.perf_counter()
    names = ("keep", "drop_reason", "label", "label_source", "split")
    columns: dict[str, list[Any]] = {name: ds.table[name].to_pylist() for name in names}
    for action in actions:
        rows = _rows(ds, action)
        if verb == "apply" and action.by != "human":
            _spare(columns["split"], rows, action)
        if action.kind == "relabel":
            _relabel(columns, rows, action, ds.schema.classes, verb)
        elif action.kind == "resplit":
            _resplit(columns, rows, action, verb)
        else:
            if action.into is not None and verb == "apply":
                _check_keeper(ds, columns["keep"], action)
            _set_aside(columns, rows, action, verb)
    plain = [action.to_json() for action in actions]
    step = Step(stage="clean", name=verb, params={"actions": plain}, inputs={"plan": digest(canonical_json(plain))})
    known = {name: ds.table[name].to_pylist() for name in names}
    return ds.with_columns({name: values for name, values in columns.items() if values != known[name]}).with_step(
        step.stamped(seconds=time.perf_counter() - started)
    )


def _rows(ds: Dataset, action: Action) -> list[int]:
    try:
        return ds.rows_of(action.samples).tolist()  # type: ignore[no-any-return]
    except UnknownNameError as error:
        what = f"{error.what}, which the action {action.id} ({action.kind}) names"
        there, do = f"{len(ds):,} samples are there", "check that the plan was made for this project, or plan again"
        raise UnknownNameError("clean", what, there, do) from error


def _spare(splits: Sequence[str | None], rows: list[int], action: Action) -> None:
    """Refuse to change evaluation samples, unless a person decided."""
    for row, sample in zip(rows, action.samples, strict=True):
        if splits[row] in ("val", "test"):
            do = 'evaluation samples stay as given, unless a person decides: set "by": "human" in the plan'
            raise DataError("clean", f"sample {sample} is in {splits[row]}", f"the action is {action.kind}", do)


def _check_keeper(ds: Dataset, keep: Sequence[bool], action: Action) -> None:
    keeper = str(action.into)
    if keeper in action.samples:
        raise DataError("clean", f"action {action.id} merges {keeper} into itself", do="name the others only")
    if keeper not in set(ds.ids.tolist()):
        raise unknown_name("clean", "sample", keeper, ds.ids[:50])
    if not keep[int(ds.rows_of([keeper])[0])]:
        raise _stale(action, keeper, "set aside, though it was to stay for the others,")


def _set_aside(columns: dict[str, list[Any]], rows: list[int], action: Action, verb: str) -> None:
    """Set samples aside or bring them back: the one is the other undone."""
    going = (action.kind in AWAY) == (verb == "apply")
    reasons = action.new if action.kind in AWAY else action.old
    for row, sample, reason in zip(rows, action.samples, reasons, strict=True):
        kept, why = columns["keep"][row], columns["drop_reason"][row]
        if kept is not going or (not going and why != reason):
            raise _stale(action, sample, "kept" if kept else f"set aside: {why}")
        columns["keep"][row], columns["drop_reason"][row] = not going, reason if going else None


def _resplit(columns: dict[str, list[Any]], rows: list[int], action: Action, verb: str) -> None:
    before, after = (action.old, action.new) if verb == "apply" else (action.new, action.old)
    for row, sample, was, now in zip(rows, action.samples, before, after, strict=True):
        if now is not None and now not in SPLITS:
            raise unknown_name("clean", "split", now, SPLITS)
        if columns["split"][row] != was:
            raise _stale(action, sample, f"in {columns['split'][row]}")
        columns["split"][row] = now


def _relabel(columns: dict[str, list[Any]], rows: list[int], action: Action, classes: Sequence[str], verb: str) -> None:
    before, after = (action.old, action.new) if verb == "apply" else (action.new, action.old)
    sources = action.source or (None,) * len(rows)
    for row, sample, was, now, source in zip(rows, action.samples, before, after, sources, strict=True):
        if now is not None and now not in classes:
            raise unknown_name("clean", "class", now, classes)
        if columns["label"][row] != was:
            raise _stale(action, sample, f"labelled {columns['label'][row]!r}")
        columns["label"][row] = now
        columns["label_source"][row] = action.by if verb == "apply" else source


def _stale(action: Action, sample: str, state: str) -> DataError:
    return DataError(
        "clean", f"the plan is out of date for sample {sample} ({action.kind})", f"it is {state} now", "plan again"
    )
