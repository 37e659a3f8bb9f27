"""Which step of which version set each field of a sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scarce import columns
from scarce.errors import DataError, unknown_name

if TYPE_CHECKING:
    from scarce.dataset import Dataset
    from scarce.lineage import Step
    from scarce.project import Project


@dataclass(frozen=True, kw_only=True)
class FieldChange:
    """One change of one field of a sample.

    Attributes:
        name: the column.
        before, value: what it was and what it became; None = nothing.
        version: the version that made the change.
        at: when that version was made.
        step: what did it, such as ``clean.apply`` or ``audit.outlier``; ``a person`` where no step says so.
        why: the reason in one sentence: that of the action, of the finding, or the version's message.
        params: parameters of the step; of a cleaning, those of the one action.
        seed: of the step.
        action: id of the cleaning action, by which it can be undone; empty for all else.
    """

    name: str
    before: Any
    value: Any
    version: str
    at: str
    step: str
    why: str
    params: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    action: str = ""


@dataclass(frozen=True, kw_only=True)
class Blame:
    """Where every field of a sample comes from.

    Attributes:
        sample, uri: its id and file.
        version: the version that was asked for.
        fields: the change that gave each field its present value, in the order of the columns.
        history: all changes, oldest first; the fields' changes among them.
    """

    sample: str
    uri: str | None
    version: str
    fields: tuple[FieldChange, ...]
    history: tuple[FieldChange, ...]


def blame(project: Project, sample: str, version: str | None = None) -> Blame:
    """Return which step of which version set each field of a sample.

    Only the sample's own row is read from each version on the way back to the first.

    Args:
        project: an opened project.
        sample: its id or the beginning of one; its file, ``file#row`` for a row of a table, or ``#row`` alone; its uri;
            or an ending of these that no other sample has.
        version: number, tag or branch; the newest by default.

    Raises:
        UnknownNameError: there is no such sample or version.
        DataError: the name fits several samples.
    """
    store = project.store
    last = store.version(version)
    ds = store.open(last.name)
    name = find_sample(ds, sample)
    known = {item.name: item for item in store.log()}
    chain = [last]
    while chain[-1].parent in known:
        chain.append(known[str(chain[-1].parent)])
    history: list[FieldChange] = []
    row: dict[str, Any] = {}
    begun = 0
    for item in reversed(chain):
        new = store.row(item, name) or {}
        changed = [key for key in columns.order({*row, *new}) if key != "id" and row.get(key) != new.get(key)]
        if changed:
            steps = store.objects.get_steps(item.steps[0])
            fresh = steps[begun:] if len(steps) >= begun else steps
            about = None if item.findings == () else store.objects.get_findings(item.findings).to_pylist()
            for key in changed:
                story = _told(name, key, fresh, about or (), item)
                history.append(FieldChange(name=key, before=row.get(key), value=new.get(key), version=item.name,
                                           at=item.at, **story))  # fmt: skip
        row, begun = new, item.steps[1]
    latest = {change.name: change for change in history if _there(row.get(change.name))}
    fields = tuple(latest[key] for key in columns.order(latest))
    return Blame(sample=name, uri=row.get("uri"), version=last.name, fields=fields, history=tuple(history))


def find_sample(ds: Dataset, name: str) -> str:
    """Return the id of the sample that a person means.

    Raises:
        UnknownNameError: no sample has this id or uri.
        DataError: the name fits several.
    """
    ids, uris = ds.ids.tolist(), ds.table["uri"].to_pylist()
    known = list(columns.sample_names(ds.table).values())
    if name in ids:
        return name
    row = name.removeprefix("row ").removeprefix("#")
    tests = (
        lambda i: name in (uris[i], known[i]),
        lambda i: any(f"/{text}".endswith("/" + name.lstrip("/")) for text in (uris[i], known[i]) if text),
        lambda i: row != name and row.isdecimal() and known[i].endswith(f"#{row}"),
        lambda i: len(name) >= 4 and ids[i].startswith(name),
    )
    for test in tests:
        fits = [i for i in range(len(ids)) if test(i)]
        if len(fits) == 1:
            return str(ids[fits[0]])
        if fits:
            there = ", ".join(f"{ids[i]} ({ds['source'][i]}: {known[i]})" for i in fits[:5])
            raise DataError("blame", f"{name!r} fits {len(fits)} samples", there, "give the id")
    raise unknown_name("blame", "sample", name, known)


def _told(
    sample: str, column: str, steps: Sequence[Step], findings: Sequence[Mapping[str, Any]], version: Any
) -> dict[str, Any]:
    """Return what set a column in a version: the step that wrote it last, and why."""
    from scarce.clean import actions_of

    if version.restored:
        return {"step": "store.restore", "why": f"restored from {version.restored}"}
    for step in reversed(steps):
        if not _wrote(step, column):
            continue
        if (step.stage, step.name) == ("store", "edit"):
            break
        name = ".".join(filter(None, (step.stage, step.name)))
        told: dict[str, Any] = {"step": name, "seed": step.seed, "params": step.params, "why": version.message}
        if step.stage == "clean" and "actions" in step.params:
            own = next((item for item in reversed(actions_of(step)) if sample in item.samples), None)
            if own is None:
                continue
            plain = {key: value for key, value in own.to_json().items() if key not in ("samples", "id", "reason")}
            why = own.reason if step.name == "apply" else f"undone: {own.reason}"
            return {**told, "params": plain, "why": why, "action": own.id}
        if column.startswith("audit.") or step.stage == "split":
            own_findings = (
                row["why"] for row in findings
                if row["check"] in (step.name, step.stage) and sample in (row["members"] or ())
            )  # fmt: skip
            told["why"] = next(own_findings, version.message)
        return told
    return {"step": "a person" if version.owner is None else " and ".join(version.owner), "why": version.message}


def _wrote(step: Step, column: str) -> bool:
    """Return whether a step may have set a column: by the hashes that it left, else by what its stage owns."""
    if step.wrote:
        return column in step.wrote
    if column.startswith("audit."):
        return step.stage == "audit" and column.split(".")[1] == step.name
    return step.stage in columns.describe(column).owner


def _there(value: Any) -> bool:
    return value is not None and value != [] and value == value  # noqa: PLR0124  NaN is nothing
