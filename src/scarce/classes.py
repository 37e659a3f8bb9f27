"""Changing the classes of a data set: add, rename, merge, split.

Each change is a new value with labels, soft labels, votes and normal classes in agreement, and one step in its lineage.
Old probabilities are dropped, and models that were trained before the step are stale: see :func:`is_stale`.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scarce import columns
from scarce.dataset import Array, Dataset, Schema
from scarce.errors import DataError, unknown_name
from scarce.lineage import Step, digest

STAGE = "classes"


def by_origin(ds: Dataset) -> dict[str, dict[str, int]]:
    """Return class to how many kept rows of it are real, augmented and synthetic."""
    kept = ds["keep"].astype(bool) & (ds["label"] >= 0)
    found: dict[str, dict[str, int]] = {name: {} for name in ds.schema.classes}
    for origin in columns.ORIGINS:
        counts = np.bincount(ds["label"][kept & (ds["origin"] == origin)], minlength=len(found))
        for name, count in zip(found, counts, strict=True):
            found[name][origin] = int(count)
    return found


def add(ds: Dataset, names: Sequence[str], *, normal: bool = False) -> Dataset:
    """Return the data set with more classes, behind the present ones; no sample has them yet.

    Args:
        ds: the data set.
        names: new class names.
        normal: whether they are sound parts.

    Raises:
        DataError: a class exists already.
    """
    _refuse_known(ds, names)
    old = ds.schema
    schema = replace(
        old, classes=(*old.classes, *names), normal_classes=(*old.normal_classes, *(names if normal else ()))
    )
    spread = np.eye(len(old.classes), len(schema.classes), dtype=np.float32)
    step = Step(stage=STAGE, name="add", params={"names": list(names), "normal": normal})
    return _changed(ds, schema, ds.table["label"], spread, step)


def rename(ds: Dataset, names: Mapping[str, str]) -> Dataset:
    """Return the data set with classes called otherwise, in the same order; old to new names.

    Raises:
        UnknownNameError: an old name is no class.
        DataError: two classes would have one name; use :func:`merge`.
    """
    _check_known(ds, names)
    classes = tuple(names.get(name, name) for name in ds.schema.classes)
    if len(set(classes)) < len(classes):
        there = f"classes are {list(ds.schema.classes)}"
        raise DataError("classes", f"{dict(names)} gives two classes one name", there, "merge them instead")
    normal = tuple(names.get(name, name) for name in ds.schema.normal_classes)
    schema = replace(ds.schema, classes=classes, normal_classes=normal)
    spread = np.eye(len(classes), dtype=np.float32)
    step = Step(stage=STAGE, name="rename", params={"names": dict(names)})
    return _voted(_changed(ds, schema, _mapped(ds.table["label"], names), spread, step), names)


def merge(ds: Dataset, names: Sequence[str], into: str) -> Dataset:
    """Return the data set with several classes made one, at the place of the first; soft labels add up.

    The new class is normal only if all of them were.

    Args:
        ds: the data set.
        names: classes to merge, at least two; ``into`` may be one of them.
        into: name of the class that they become.

    Raises:
        UnknownNameError: one of the names is no class.
        DataError: fewer than two names, or ``into`` is another class.
    """
    _check_known(ds, names)
    if len(set(names)) < 2:
        raise DataError("classes", f"{list(names)} are not two classes", do="name at least two, or rename one")
    if into not in names:
        _refuse_known(ds, [into])
    old, gone = ds.schema, set(names)
    first = next(name for name in old.classes if name in gone)
    classes = tuple(into if name == first else name for name in old.classes if name == first or name not in gone)
    normal = set(old.normal_classes) - gone | ({into} if gone <= set(old.normal_classes) else set())
    schema = replace(old, classes=classes, normal_classes=tuple(name for name in classes if name in normal))
    names_after = dict.fromkeys(names, into)
    spread = np.zeros((len(old.classes), len(classes)), np.float32)
    for code, name in enumerate(old.classes):
        spread[code, classes.index(names_after.get(name, name))] = 1.0
    step = Step(stage=STAGE, name="merge", params={"names": sorted(gone), "into": into})
    return _voted(_changed(ds, schema, _mapped(ds.table["label"], names_after), spread, step), names_after)


def split(ds: Dataset, name: str, parts: Mapping[str, Sequence[str]]) -> Dataset:
    """Return the data set with one class divided by hand.

    Samples that no part names keep the old class; it goes when none is left. Normal stays normal. The moved labels are
    human ones now.

    Args:
        ds: the data set.
        name: the class to divide.
        parts: new class name to the ids of its samples.

    Raises:
        UnknownNameError: the class or an id does not exist.
        DataError: an id is named twice or belongs to another class, or a new class exists already.
    """
    _check_known(ds, [name])
    _refuse_known(ds, [part for part in parts if part != name])
    rows = {part: ds.rows_of(list(ids)) for part, ids in parts.items()}
    moved = np.concatenate([np.zeros(0, np.int64), *rows.values()])
    labels = np.asarray(ds.table["label"].to_pylist(), object)
    strange = [str(sample) for sample in ds.ids[moved][labels[moved] != name]]
    if strange or len(np.unique(moved)) < len(moved):
        what = f"{strange[0]} is not of class {name!r}" if strange else "a sample is named in two parts"
        raise DataError("classes", what, do="give each part its own samples of that class")
    sources = np.asarray(ds.table["label_source"].to_pylist(), object)
    for part, chosen in rows.items():
        labels[chosen], sources[chosen] = part, "human"
    old, stays = ds.schema, name in labels or name in parts
    fresh = tuple(part for part in parts if part != name)
    after = (name, *fresh) if stays else fresh
    if not after:
        raise DataError("classes", f"no part of {name!r} was named", do="name at least one new class")
    classes = tuple(item for known in old.classes for item in (after if known == name else (known,)))
    normal = tuple(
        item for item in classes if item in old.normal_classes or (item in after and name in old.normal_classes)
    )
    schema = replace(old, classes=classes, normal_classes=normal)
    spread = np.zeros((len(old.classes), len(classes)), np.float32)
    for code, known in enumerate(old.classes):
        targets = ((name,) if stays else fresh) if known == name else (known,)
        spread[code, [classes.index(item) for item in targets]] = 1.0 / len(targets)
    inputs = {part: digest(*sorted(ids)) for part, ids in parts.items()}
    named = {part: [str(sample) for sample in ids] for part, ids in parts.items()}
    step = Step(stage=STAGE, name="split", params={"name": name, "parts": named}, inputs=inputs)
    new = _changed(ds, schema, pa.array(labels, pa.string()), spread, step)
    new = new.with_columns({"label_source": pa.array(sources, pa.string())})
    done = _divided(ds, new, name, rows)
    return replace(done, steps=ds.steps, traces=ds.traces).with_step(new.steps[-1])  # it ends here, not before


def parts_by_column(ds: Dataset, name: str, column: str) -> dict[str, list[str]]:
    """Return ``<class>_<value>`` to the ids of a class's samples, by the values of a column, for :func:`split`.

    Raises:
        UnknownNameError: there is no such column.
    """
    full = column if column in ds.table.column_names else f"meta.{column}"
    if full not in ds.table.column_names:
        raise unknown_name("classes", "column", column, [item.removeprefix("meta.") for item in ds.table.column_names])
    found: dict[str, list[str]] = {}
    rows = zip(ds.ids.tolist(), ds.table["label"].to_pylist(), ds.table[full].to_pylist(), strict=True)
    for sample, label, value in rows:
        if label == name and value is not None:
            found.setdefault(f"{name}_{value}", []).append(sample)
    return found


def parts_in_file(ds: Dataset, file: str | Path) -> dict[str, list[str]]:
    """Return class to ids as a CSV file with the columns id (or path) and class lists them, for :func:`split`.

    Raises:
        DataError: the file has other columns.
        UnknownNameError: a sample does not exist.
    """
    with Path(file).open(encoding="utf-8-sig", newline="") as lines:
        rows = list(csv.DictReader(lines))
    key = next((item for item in ("id", "path", "uri") if rows and item in rows[0]), None)
    if key is None or "class" not in rows[0]:
        there = f"its columns are {', '.join(rows[0])}" if rows else "it is empty"
        raise DataError("classes", f"{file} does not list samples", there, "it needs the columns id (or path), class")
    ids = ds.ids.tolist()
    known = dict(zip(ids if key == "id" else ds.table["uri"].to_pylist(), ids, strict=True))
    found: dict[str, list[str]] = {}
    for row in rows:
        if row[key] not in known:
            raise unknown_name("classes", "sample", row[key], known)
        found.setdefault(row["class"], []).append(known[row[key]])
    return found


def is_stale(ds: Dataset, step_id: str) -> bool:
    """Return whether the classes changed after a step, so that what was made then no longer fits.

    Args:
        ds: the data set as it is now.
        step_id: the last step of the data that a model or its probabilities were made from; an unknown one is stale.
    """
    names = [step.step_id for step in ds.steps]
    if step_id not in names:
        return True
    return any(step.stage == STAGE for step in ds.steps[names.index(step_id) + 1 :])


def _check_known(ds: Dataset, names: Sequence[str] | Mapping[str, Any]) -> None:
    for name in names:
        if name not in ds.schema.classes:
            raise unknown_name("classes", "class", name, ds.schema.classes)


def _refuse_known(ds: Dataset, names: Sequence[str]) -> None:
    for name in names:
        if name in ds.schema.classes or not name.strip():
            raise DataError("classes", f"there is a class {name!r} already" if name.strip() else "a class needs a name",
                            f"classes are {list(ds.schema.classes)}")  # fmt: skip


def _mapped(labels: pa.ChunkedArray, names: Mapping[str, str]) -> pa.ChunkedArray:
    place = pc.index_in(labels, value_set=pa.array(list(names), pa.string()))
    return pc.coalesce(pa.chunked_array([pa.array(list(names.values()), pa.string())]).take(place), labels)


def _changed(ds: Dataset, schema: Schema, labels: Any, spread: Array, step: Step) -> Dataset:
    """Return the data set with new classes; (K, K') ``spread`` says where each class's probability goes."""
    values: dict[str, Any] = {"label": labels}
    if "label_probs" in ds:
        old = ds["label_probs"]
        values["label_probs"] = _soft(np.nan_to_num(old) @ spread, np.isnan(old).all(axis=1))
    wide = {name: array for name, array in ds.wide.items() if not name.startswith("pred_probs")}
    findings = ds.findings.filter(pc.not_equal(pc.fill_null(ds.findings["level"], ""), "class"))
    params = {**step.params, "stale": ["models", "pred_probs"], "classes": list(schema.classes)}
    new = replace(ds, schema=schema, wide=wide, findings=findings)
    return new.with_columns(values).with_step(replace(step, params=params))


def _soft(probs: Array, absent: Any) -> list[list[float] | None]:
    return [None if gone else row.tolist() for row, gone in zip(probs, absent, strict=True)]


def _voted(ds: Dataset, names: Mapping[str, str]) -> Dataset:
    place = ds.votes.column_names.index("label")
    votes = ds.votes.set_column(place, columns.VOTE.field("label"), _mapped(ds.votes["label"], names))
    return replace(ds, votes=votes)


def _divided(before: Dataset, ds: Dataset, name: str, rows: Mapping[str, Array]) -> Dataset:
    """Move soft labels and votes of the named samples to their parts; a vote for a class that is gone abstains."""
    if "label_probs" in ds:
        old, soft = before["label_probs"], ds["label_probs"].copy()
        code = before.schema.classes.index(name)
        targets = [item for item in ds.schema.classes if item == name or item in rows]
        places = [ds.schema.classes.index(item) for item in targets]
        for part, chosen in rows.items():
            known = np.asarray(chosen)[~np.isnan(soft[chosen]).all(axis=1)]
            soft[known[:, None], places] = 0.0
            soft[known, ds.schema.classes.index(part)] = old[known, code]
        ds = ds.with_columns({"label_probs": _soft(soft, np.isnan(soft).all(axis=1))})
    part_of = {str(sample): part for part, chosen in rows.items() for sample in ds.ids[chosen]}
    rest = name if name in ds.schema.classes else None
    labels = [
        part_of.get(sample, rest) if label == name else label
        for sample, label in zip(ds.votes["sample"].to_pylist(), ds.votes["label"].to_pylist(), strict=True)
    ]
    place = ds.votes.column_names.index("label")
    votes = ds.votes.set_column(place, columns.VOTE.field("label"), pa.array(labels, pa.string()))
    return replace(ds, votes=votes)
