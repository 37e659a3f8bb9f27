"""Reading a source, getting raw content, and putting sources together."""

from __future__ import annotations

import time as clock
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from os.path import relpath
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scarce import dataset, registry
from scarce.dataset import Array, Dataset, Schema
from scarce.errors import DataError, ReadError, closest, unknown_name
from scarce.io._base import AbstractReader, Options
from scarce.io._listing import LONE_CLASS, LONE_SAMPLE, NO_LABEL, natural, sample_id, to_dataset
from scarce.io._walk import is_hidden, walk, walk_once
from scarce.io.boxes import BOXES, PREDICTED, objects_in, to_cell
from scarce.lineage import Step, digest
from scarce.modality import raw, table
from scarce.modality._base import Raw


def read(  # noqa: PLR0913 - the public promise: one keyword for each thing a user may know
    path: str | Path, *, label: str | None = None, group: str | None = None, split: str | None = None,
    time: str | None = None, text: str | None = None, source: str | None = None, task: str | None = None,
) -> Dataset:  # fmt: skip
    """Read whatever lies at a path: folders, manifests, tables, texts, sounds, series. Files stay where they are.

    What was found out, guessed or could not be read is in ``findings`` under the check ``read``; samples that cannot
    be used are set aside with their reason.

    Args:
        path: a folder or a file.
        label: column of the label, ``""`` = there is none; by default found by its name.
        group: column of the user's own groups; for folders ``stem``, ``parent`` or a pattern with one (group).
        split: column of the split; for inspection folders ``given``.
        time: column of the time.
        text: column of the text.
        source: name of the source; by default the folder's or file's name.
        task: ``class`` is the only one so far.

    Raises:
        ReadError: the path does not exist or cannot be read.
        DataError: nothing there can be read, or an option names something that is not there.
    """
    path = Path(path).expanduser()
    if task not in (None, "class"):
        raise DataError("io", f"task {task!r} is not known", "known is 'class'", "leave it out")
    _must_exist(path)
    start = clock.perf_counter()
    options = Options(label=label, group=group, split=split, time=time, text=text, source=source)
    path = path.resolve()
    with walk_once():
        name, reader, path = _choose_deep(path, options)
        listing = reader.listing(path, options)
    ds = to_dataset(listing)
    given = {key: value for key, value in vars(options).items() if value is not None}
    params = {**given, "source": listing.source, "at": relpath(path, listing.base)}
    step = Step(stage="io", name=name, params=params, inputs=listing.inputs)
    return ds.with_step(step.stamped(seconds=clock.perf_counter() - start))


def fetch(ds: Dataset, rows: Sequence[int] | Array) -> list[Raw]:
    """Return the undecoded content of some rows: file bytes, text, feature row (F,), or series (T,) or (C, T).

    Raises:
        ReadError: a file is missing or cannot be read.
    """
    return raw.fetch(ds, rows)


def choose(path: Path, options: Options) -> tuple[str, AbstractReader]:
    """Return the reader that is surest about a path, and its name.

    Raises:
        DataError: none knows it; the message says what is there.
    """
    scores: dict[str, float] = {}
    plugins: dict[str, AbstractReader] = {}
    kinds = {name: registry.load("io", name, AbstractReader) for name in registry.names("io")}  # type: ignore[type-abstract]
    for name in sorted(kinds, key=lambda name: not kinds[name].exact):
        plugins[name] = kinds[name]()
        scores[name] = plugins[name].accepts(path)
        if kinds[name].exact and scores[name] >= 1.0:
            return name, plugins[name]
    if options.text and scores.get("table", 0.0) > 0:
        scores["text"] = 1.0
    best = max(sorted(scores), key=scores.__getitem__)
    if scores[best] <= 0:
        raise _unknown(path)
    return best, plugins[best]


def _choose_deep(path: Path, options: Options) -> tuple[str, AbstractReader, Path]:
    """Choose a reader, also for the only folder inside that one can read."""
    try:
        return (*choose(path, options), path)
    except DataError as error:
        if not path.is_dir() or any(item.suffix.lower() in table.SUFFIXES for item in path.iterdir()):
            raise
        inside: list[tuple[str, AbstractReader, Path]] = []
        for item in sorted(path.iterdir()):
            if item.is_dir() and not is_hidden(item.name):
                with suppress(DataError):
                    inside.append((*choose(item, options), item))
        if len(inside) == 1:
            return inside[0]
        if inside:
            there = ", ".join(item.name for _, _, item in inside[:12])
            raise DataError("io", f"{path} holds {len(inside)} data sets", there, "read one of them") from error
        raise


def _must_exist(path: Path) -> None:
    if "://" in str(path) or str(path).startswith(("http:/", "https:/")):
        raise ReadError("io", f"{path} is a web address", do="download it first: scarce reads files only")
    try:
        if path.exists():
            return
    except OSError as error:
        raise ReadError("io", f"{path} cannot be reached ({error.strerror})", do="check its rights") from error
    near = path.parent
    names = [item.name for item in near.iterdir()] if near.is_dir() else []
    there = closest(path.name, names) if names else f"the folder {near} does not exist either"
    raise ReadError("io", f"{path} does not exist", there, "check the path")


def _unknown(path: Path) -> DataError:
    """Return the error for a path that no reader knows."""
    if path.is_file():
        if path.suffix.lower() in table.SUFFIXES:
            return _unknown_table(path)
        return DataError("io", f"{path} is a single file of a kind that is no data set", do="give the folder around it")
    walked = walk(path)
    tables = [item.name for item in sorted(path.iterdir()) if item.suffix.lower() in table.SUFFIXES]
    if len(tables) > 1:
        what = f"{path} holds {len(tables)} tables and it is not clear which to read"
        return DataError("io", what, ", ".join(tables[:12]), "give one of them")
    if tables:
        table.load(path / tables[0])
    if walked.denied:
        return DataError("io", f"{path} may not be entered", do="check the rights of the folder")
    if not walked.files:
        return DataError("io", f"{path} is an empty folder", do="put samples into it: one folder a class")
    kinds = sorted({file.suffix or "no ending" for file in walked.files})[:8]
    what = f"{path} holds {len(walked.files)} files, but no pictures, sounds or tables"
    return DataError("io", what, "there are " + ", ".join(kinds), "see docs/stages/io.md for what can be read")


def _unknown_table(path: Path) -> DataError:
    loaded = table.load(path).table
    what = f"{path} has no column of files, texts or numbers"
    if not loaded.num_rows:
        what = f"{path} is a table without rows"
    there = "it has the columns " + ", ".join(loaded.column_names[:20]) if loaded.num_columns else "it is empty"
    return DataError("io", what, there, "see docs/stages/io.md for what can be read")


def merge_sources(ds: Dataset, new: Dataset, class_map: Mapping[str, str] | None = None) -> Dataset:
    """Return the dataset with the rows of another source added; old rows stay as they are.

    A source that was read before (same name, same place) brings only its new samples. Another place under a known name
    gets a number behind its name, and its samples new ids.

    Args:
        ds: what there is.
        new: another source, as :func:`read` returns it.
        class_map: class of the new source, of a sample or of a box, to class of ours; what is not named keeps its name.

    Raises:
        DataError: the two are different kinds of data, or share no table of features.
        UnknownNameError: the map names a class that the new source does not have.
    """
    if ds.schema.modality != new.schema.modality:
        what = f"the new source holds {new.schema.modality} samples"
        raise DataError("io.add", what, f"the dataset holds {ds.schema.modality}", "keep them in two projects")
    names = dict(class_map or {})
    for name in names:
        if name not in new.schema.classes:
            raise unknown_name("io.add", "class", name, new.schema.classes)
    new, sources = _apart(ds, new)
    fresh = ~np.isin(new.ids.astype(str), ds.ids.astype(str))
    rows = new.take(fresh)
    labels = [None if label is None else names.get(label, label) for label in rows.table["label"].to_pylist()]
    values = {name: rows.table[name] for name in rows.table.column_names if name not in ("audit", "label")}
    values = {name: column for name, column in values.items() if column.null_count < max(len(column), 1)}
    values, boxed = _mapped_boxes(values, names)
    added = sorted(({label for label in labels if label} | boxed) - set(ds.schema.classes), key=natural)
    classes = (*ds.schema.classes, *added)
    normal = tuple(name for name in classes if name in {*ds.schema.normal_classes, *dataset.normal_classes(added)})
    schema = Schema(modality=ds.schema.modality, task=ds.schema.task, classes=classes, normal_classes=normal)
    grown = replace(ds, schema=schema, sources={**ds.sources, **sources})
    if len(rows):
        grown = grown.append({**_matching(values, ds.table), "id": rows.ids.tolist(), "label": labels})
    votes = _mapped_votes(new.votes.filter(pc.is_in(new.votes["sample"], value_set=rows.table["id"])), names)
    grown = replace(grown, votes=pa.concat_tables([grown.votes, votes]))
    read = [{"name": step.name, "params": dict(step.params)} for step in new.steps if step.stage == "io"]
    inputs = {name: value for step in new.steps for name, value in step.inputs.items()}
    params = {"source": next(iter(sources)), "steps": read, "class_map": names}
    grown = grown.with_step(Step(stage="io", name="merge", params=params, inputs=inputs))
    return grown.with_findings("read", _notes(grown, new, names))


def _mapped_boxes(values: Mapping[str, Any], names: Mapping[str, str]) -> tuple[dict[str, Any], set[str]]:
    """Return columns whose boxes have our classes, and the classes of the boxes that people drew.

    A cell that cannot be read stays as it is; who needs its boxes tells so.
    """
    found, seen = dict(values), set[str]()
    for name in (*BOXES, *PREDICTED):
        column = found.get(f"meta.{name}")
        if column is None or not pa.types.is_string(column.type):
            continue
        cells = column.to_pylist()
        for row, cell in enumerate(cells):
            try:
                items = objects_in(cell) or []
            except ValueError:
                continue
            if any(item["label"] in names for item in items):
                cells[row] = to_cell([{**item, "label": names.get(item["label"], item["label"])} for item in items])
            if name in BOXES:
                seen |= {names.get(item["label"], item["label"]) for item in items}
        found[f"meta.{name}"] = pa.chunked_array([pa.array(cells, column.type)])
    return found, seen


def _mapped_votes(votes: pa.Table, names: Mapping[str, str]) -> pa.Table:
    labels = [None if label is None else names.get(label, label) for label in votes["label"].to_pylist()]
    place = votes.column_names.index("label")
    return votes.set_column(place, votes.schema.field(place), pa.array(labels, pa.string()))


def as_test(ds: Dataset) -> Dataset:
    """Return a source all of whose samples are test samples."""
    return ds.with_columns({"split": ["test"] * len(ds)}).with_step(Step(stage="io", name="as_test"))


def with_normal(ds: Dataset, names: Sequence[str]) -> Dataset:
    """Return a source whose sound classes are the named ones.

    Raises:
        UnknownNameError: a name is no class.
    """
    strange = sorted(set(names) - set(ds.schema.classes))
    if strange:
        raise unknown_name("io", "class", strange[0], ds.schema.classes)
    schema = replace(ds.schema, normal_classes=tuple(names))
    step = Step(stage="io", name="with_normal", params={"names": list(names)})
    return replace(ds, schema=schema).with_step(step)


def _notes(grown: Dataset, new: Dataset, names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return what reading noticed about both, each once, without what is true of one source alone only."""
    labels = Counter(grown.usable().table["label"].to_pylist())
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for note in pa.concat_tables([grown.findings, new.findings]).to_pylist():
        if note.pop("check") != "read":
            continue
        few = [labels[names.get(name, name)] > 1 for name in note["members"]] if LONE_SAMPLE in note["why"] else []
        if note["why"].startswith(NO_LABEL) and any(labels[name] for name in grown.schema.classes):
            continue  # true of the new source alone: its samples wait in the pool
        if any(few) or (note["why"].startswith(LONE_CLASS) and len(grown.schema.classes) > 1):
            continue
        found.setdefault((note["level"], *note["members"], note["why"]), note)
    return list(found.values())


def _matching(values: Mapping[str, Any], table_before: pa.Table) -> dict[str, Any]:
    """Return new columns in the types of the old ones of the same name."""
    found: dict[str, Any] = {}
    for name, column in values.items():
        kind = table_before.schema.field(name).type if name in table_before.column_names else column.type
        if kind != column.type:
            try:
                column = column.cast(kind)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                what, there = f"column {name} is {column.type} in the new source", f"it is {kind} in the dataset"
                raise DataError("io.add", what, there, "rename it, or make the types agree") from None
        found[name] = column
    return found


def _under(unique: str, name: str, old: str, uri: str) -> str:
    """Return the id that a sample has under another source name."""
    for turn in range(1000):
        if sample_id(name, uri, turn) == old:
            return sample_id(unique, uri, turn)
    return digest(unique, old)[:16]


def _apart(ds: Dataset, new: Dataset) -> tuple[Dataset, dict[str, str]]:
    """Return the new source under a name (and ids) that no other place has."""
    ((name, place),) = new.sources.items() if len(new.sources) == 1 else (("", ""),)
    if not name:
        raise DataError("io.add", f"the new dataset has {len(new.sources)} sources", do="add them one by one")
    same = next((old for old, where in ds.sources.items() if Path(where) == Path(place)), None)
    if same == name or (same is None and name not in ds.sources):
        return new, {name: place}
    unique, turn = same or name, 2
    while same is None and unique in ds.sources:
        unique, turn = f"{name}-{turn}", turn + 1
    uris = new.table["uri"].to_pylist()
    ids = {old: _under(unique, name, old, uri) for old, uri in zip(new.ids.tolist(), uris, strict=True)}
    body = new.table.set_column(0, "id", pa.array([ids[old] for old in new.ids], pa.string()))
    place_of = body.column_names.index("source")
    body = body.set_column(place_of, "source", pa.array([unique] * len(new), pa.string())).sort_by("id")
    old_notes = new.findings.to_pylist()
    notes = [{**note, "members": [ids.get(member, member) for member in note["members"]]} for note in old_notes]
    findings = pa.Table.from_pylist(notes, schema=new.findings.schema)
    voted = pa.array([ids.get(sample, sample) for sample in new.votes["sample"].to_pylist()], pa.string())
    votes = new.votes.set_column(0, new.votes.schema.field(0), voted)
    return replace(new, table=body, sources={unique: place}, findings=findings, votes=votes, wide={}), {unique: place}
