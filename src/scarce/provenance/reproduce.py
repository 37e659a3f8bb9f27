"""Making a version again from its lineage, step by step, and saying where the two part."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow.types as kinds

from scarce import lineage, progress
from scarce.dataset import Dataset, Schema
from scarce.lineage import Changes, Step
from scarce.provenance._again import DECISION, REFUSALS, Scene, again

if TYPE_CHECKING:
    from scarce.project import Project

SAME, CLOSE, PARTED, UNKNOWN = "same", "close", "parted", "unknown"
TOLERANCE: Final = 1e-4
"""Scores that another processor or library computes may differ by this much; labels, splits and reasons never."""


@dataclass(frozen=True, kw_only=True)
class Redone:
    """What became of one step.

    Attributes:
        name: stage and name, such as ``split.grouped``.
        state: ``same`` hash; ``close``: only scores differ, by no more than :data:`TOLERANCE`; ``parted``; ``unknown``
            where an older scarce recorded no hash.
        recorded, found: hash of what the step left, then and now.
        columns: those that differ.
        seconds: how long it took now.
        why: what went otherwise, in one sentence.
    """

    name: str
    state: str
    recorded: str = ""
    found: str = ""
    columns: tuple[str, ...] = ()
    seconds: float = 0.0
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Reproduced:
    """A version made again.

    Attributes:
        version: its name.
        same: whether content and hashes agree, up to ``close`` scores.
        content_id, found: hash of its content as it was committed, and as it was made now; empty if it was not made.
        steps: what became of each, up to the first that parted.
        changes: how the samples differ from the version's; None where they were not made.
        packages: name to (version then, version now), where they differ.
        inputs: name to (hash then, hash now) of what comes from outside, where it differs.
        notes: sentences for people.
    """

    version: str
    same: bool
    content_id: str
    found: str
    steps: tuple[Redone, ...]
    changes: Changes | None
    packages: Mapping[str, tuple[str, str]]
    inputs: Mapping[str, tuple[str, str]]
    notes: tuple[str, ...] = ()

    @property
    def parted(self) -> Redone | None:
        """The first step that went otherwise."""
        return next((step for step in self.steps if step.state == PARTED), None)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {**asdict(self), "parted": asdict(self.parted) if self.parted else None}


def reproduce(
    project: Project, version: str | None = None, *, functions: Mapping[str, Callable[..., Dataset]] | None = None,
    fresh: bool = False, workers: int | None = None,
) -> Reproduced:  # fmt: skip
    """Do all steps of a version again, from reading the sources on, and compare the hashes. Nothing is committed.

    Args:
        project: an opened project.
        version: number, tag or branch; the newest by default.
        functions: the user's own functions that are steps, by name or ``module:name``; none is imported by itself.
        fresh: measure and encode again what the caches remember.
        workers: threads at most.

    Raises:
        UnknownNameError: there is no such version.
    """
    target = project.store.version(version)
    ds = project.store.open(target.name)
    scene = Scene(None if fresh else project.features, ds.sources, functions or {}, workers=workers)
    made, done, inputs = redo(ds.steps, scene, Past(ends_of(project, ds.steps), project.store.open), target.name)
    finished = len(done) == len(ds.steps) and all(item.state != PARTED for item in done)
    found = lineage.content_id(made.table, asdict(made.schema)) if finished else ""
    changes = None
    if finished:
        lists = (ds.schema.classes, made.schema.classes)
        changes = lineage.compare(ds.table, made.table, classes=lists)
    notes = []
    if scene.left_out:
        notes.append(f"{scene.left_out} samples came into the sources later; they were left out")
    if any(step.name == "edit" and step.stage == "store" for step in ds.steps):
        notes.append("values that were edited without a step were taken as the version holds them")
    if not ds.steps:
        notes.append("no step led to this version")
    close = any(item.state == CLOSE for item in done)
    return Reproduced(
        version=target.name, content_id=target.content_id, found=found, steps=tuple(done), changes=changes,
        same=finished and bool(ds.steps) and (found == target.content_id or close),
        packages=_packages(ds.steps), inputs=inputs, notes=tuple(notes),
    )  # fmt: skip


@dataclass(frozen=True)
class Past:
    """What is still known about the versions that steps led to.

    Args:
        ends: number of steps to the version that ends with them.
        opened: name of a version to its data; None = they are gone, and only the record is left.
    """

    ends: Mapping[int, str]
    opened: Callable[[str], Dataset] | None = None


def redo(
    steps: Sequence[Step], scene: Scene, past: Past, title: str,
    seen: Callable[[Step, Dataset], None] | None = None,
) -> tuple[Dataset, list[Redone], dict[str, tuple[str, str]]]:  # fmt: skip
    """Do steps again up to the first that parts.

    Args:
        steps: oldest first.
        scene: what they are done with; its sources are those of the record.
        past: the versions on the way.
        title: shown while it runs.
        seen: called with each step and what it left.
    """
    made = Dataset.from_columns(Schema(), {"id": []})
    sources = dict(scene.sources)
    known: dict[str, str] = {}
    done: list[Redone] = []
    inputs: dict[str, tuple[str, str]] = {}
    for place, step in enumerate(progress.track(list(steps), f"reproduce {title}")):
        nearest = next((past.ends[end] for end in sorted(past.ends) if end > place), None)
        scene.recorded = past.opened(nearest) if nearest and past.opened else None
        scene.sources = {**sources, **(scene.recorded.sources if scene.recorded else {})}
        if place in past.ends and DECISION not in step.params:  # a version was opened: what lay beside it was gone
            made, scene.candidates = replace(made, wide={}), {}
        known = _after(known, step)
        started = time.perf_counter()
        try:
            made = again(made, step, scene)
        except REFUSALS as error:
            said = str(error) or type(error).__name__
            done.append(Redone(name=_name(step), state=PARTED, recorded=step.after, why=f"it cannot be done: {said}"))
            break
        inputs |= _inputs(step, made)
        result, made = _judged(step, made, known, scene.recorded)
        done.append(replace(result, seconds=round(time.perf_counter() - started, 3)))
        if result.state == PARTED:
            break
        if seen is not None:
            seen(step, made)
    return made, done, inputs


def ends_of(project: Project, steps: Sequence[Step]) -> dict[int, str]:
    """Return number of steps to the first version that ends with them."""
    found: dict[int, str] = {}
    for version in reversed(project.store.log()):
        count = version.steps[1]
        if 0 < count <= len(steps) and count not in found:
            own = project.store.objects.get_steps(version.steps[0])
            if own[-1].step_id == steps[count - 1].step_id:
                found[count] = version.name
    return found


def _judged(step: Step, made: Dataset, known: Mapping[str, str], kept: Dataset | None) -> tuple[Redone, Dataset]:
    """Compare what a step left with what it left then; scores that are close give way to the recorded ones.

    Args:
        step: as it was recorded.
        made: what it left now.
        known: column to hash of what it left then.
        kept: a later version; where its column has that hash, the values themselves can be compared.
    """
    trace = (made.table, asdict(made.schema))
    ids = lineage.column_ids(made.table)
    found = lineage.state_id(ids, trace)
    base = Redone(name=_name(step), state=SAME, recorded=step.after, found=found)
    if not step.after:
        return replace(base, state=UNKNOWN, why="an older scarce recorded no hash"), made
    if step.after == found:
        return base, made
    off = tuple(sorted(name for name in {*ids, *known} if ids.get(name) != known.get(name)))
    if not off:
        return replace(base, state=PARTED, why=f"number of samples or classes: {len(made)}, {_classes(made)}"), made
    why = f"{', '.join(off)} came out otherwise"
    if kept is None or not kept.table["id"].equals(made.table["id"]):
        return replace(base, state=PARTED, columns=off, why=why), made
    then = lineage.column_ids(kept.table)
    if any(then.get(name) != known.get(name) for name in off):
        return replace(base, state=PARTED, columns=off, why=why), made
    why += "".join(_worst(kept, made, name) for name in off[:3])
    if all(_near(kept, made, name) for name in off):
        why = f"{', '.join(off)} differ by no more than {TOLERANCE:g}"
        mended = made.with_columns({name: kept.table[name] for name in off})
        return replace(base, state=CLOSE, columns=off, why=why), mended
    return replace(base, state=PARTED, columns=off, why=why), made


def _worst(kept: Dataset, made: Dataset, name: str) -> str:
    """Say how many samples differ in a column, with the first of them."""
    if not {name} <= {*kept.table.column_names} & {*made.table.column_names}:
        return f"; {name} is in one of the two only"
    rows = np.flatnonzero(lineage.differs(kept.table[name], made.table[name]))
    if not len(rows):
        return ""
    then, now = (table[name][int(rows[0])].as_py() for table in (kept.table, made.table))
    return f"; {name} of {len(rows)} samples, first {kept.ids[rows[0]]}: {then!r} then, {now!r} now"


def _near(kept: Dataset, made: Dataset, name: str) -> bool:
    if not {name} <= {*kept.table.column_names} & {*made.table.column_names}:
        return False
    left, right = kept.table[name], made.table[name]
    if not (kinds.is_floating(left.type) and kinds.is_floating(right.type)):
        return False
    then, now = (np.asarray(column.to_numpy(zero_copy_only=False), np.float64) for column in (left, right))
    return bool(np.allclose(then, now, rtol=0.0, atol=TOLERANCE, equal_nan=True))


def _after(known: Mapping[str, str], step: Step) -> dict[str, str]:
    """Return column to hash after a step, as it was recorded."""
    return {name: value for name, value in {**known, **step.wrote}.items() if value}


def _inputs(step: Step, made: Dataset) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield what came from outside a step and is otherwise now."""
    last = made.steps[-1] if made.steps else step
    for name, then in step.inputs.items() if last.stage == step.stage and last.name == step.name else ():
        now = last.inputs.get(name, "")
        if now != then:
            yield name, (then, now)


def _packages(steps: Sequence[Step]) -> dict[str, tuple[str, str]]:
    """Return the packages whose version is another one now than when they last touched a step."""
    then: dict[str, str] = {}
    for step in steps:
        then |= step.packages
    now = lineage.packages()
    return {name: (version, now[name]) for name, version in then.items() if name in now and now[name] != version}


def _classes(ds: Dataset) -> str:
    return f"classes {', '.join(ds.schema.classes)}"


def _name(step: Step) -> str:
    return ".".join(filter(None, (step.stage, step.name)))


def functions_of(path: Path) -> dict[str, Callable[..., Dataset]]:
    """Return the functions that a Python file defines, by name; the file is run for that.

    Raises:
        ReadError: it cannot be read or run.
    """
    import importlib.util

    from scarce.errors import ReadError

    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ReadError("reproduce", f"{path} is no Python file", do="give the file that your functions are in")
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)  # what it defines looks itself up there
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the user's own code
        raise ReadError("reproduce", f"{path} cannot be run ({type(error).__name__}: {error})") from error
    return {name: value for name, value in vars(module).items() if callable(value) and not name.startswith("_")}


__all__ = ["CLOSE", "PARTED", "SAME", "UNKNOWN", "Redone", "Reproduced", "functions_of", "reproduce"]
