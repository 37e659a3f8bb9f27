"""`Dataset`, `Sample` and `FoldView`: the one thing that flows through every stage."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scarce import columns
from scarce._own import own_step
from scarce.errors import DataError, LeakError, unknown_name
from scarce.lineage import Step, Traces, packages

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Floats: TypeAlias = np.ndarray[Any, np.dtype[np.floating[Any]]]
Ints: TypeAlias = np.ndarray[Any, np.dtype[np.integer[Any]]]
Mask: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]

NORMAL_NAMES = frozenset(
    "good ok okay normal free sound clean pass passed healthy intact perfect undamaged defect_free no_defect "
    "nodefect non_defective nondefective defectfree".split()
)


@dataclass(frozen=True, kw_only=True)
class Schema:
    """What kind of data this is.

    Args:
        modality: ``image``, ``text``, ``tabular``, ``audio`` or ``time_series``.
        task: ``class`` (one label a sample); other tasks are reserved for later.
        classes: class names; probabilities and codes follow this order.
        normal_classes: the sound ones; all others are defects.
    """

    modality: str = "image"
    task: str = "class"
    classes: tuple[str, ...] = ()
    normal_classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse repeated classes and normal classes that do not exist."""
        if len(set(self.classes)) != len(self.classes):
            raise DataError("schema", f"a class is named twice in {list(self.classes)}")
        strange = sorted(set(self.normal_classes) - set(self.classes))
        if strange:
            raise unknown_name("schema", "class", strange[0], self.classes)

    @property
    def defect_codes(self) -> tuple[int, ...]:
        """Codes of the classes that are not normal; empty if no normal class is known."""
        if not self.normal_classes:
            return ()
        return tuple(code for code, name in enumerate(self.classes) if name not in self.normal_classes)


@dataclass(frozen=True)
class Sample:
    """One row, for people and for plugins that look at samples one by one."""

    id: str
    uri: str
    path: Path | None
    label: str | None
    row: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Dataset:
    """An immutable table of samples with its lineage; every change is a new value.

    Args:
        schema: modality, task and classes.
        table: the narrow Arrow table, one row a sample; see :mod:`scarce.columns`.
        sources: source name to the folder (or file) that its uris are relative to.
        wide: arrays aligned with the rows: ``embedding.<encoder>`` (N, D), ``pred_probs.<model>`` (N, K),
            ``scan.<property>`` (N,) of the one pass over the bytes.
        findings: long table of findings; see :data:`scarce.columns.FINDING`.
        votes: long table of votes; see :data:`scarce.columns.VOTE`.
        steps: what was done so far, oldest first.
        traces: step id to the table that the step left, until a commit has hashed it; see :func:`scarce.lineage.seal`.
    """

    schema: Schema
    table: pa.Table
    sources: Mapping[str, str] = field(default_factory=dict)
    wide: Mapping[str, Array] = field(default_factory=dict)
    findings: pa.Table = field(default_factory=columns.FINDING.empty_table)
    votes: pa.Table = field(default_factory=columns.VOTE.empty_table)
    steps: tuple[Step, ...] = ()
    traces: Traces = field(default_factory=dict, repr=False)

    @classmethod
    def from_columns(
        cls, schema: Schema, values: Mapping[str, Any], *, sources: Mapping[str, str] | None = None
    ) -> Dataset:
        """Build a dataset from column values; missing columns get their defaults.

        Args:
            schema: modality, task, classes.
            values: name to sequence of N values; ``id`` is required.
            sources: source name to folder.

        Raises:
            DataError: a column has another length than ``id``, or values of a wrong type.
        """
        if "id" not in values:
            raise DataError("dataset", "there is no column 'id'", f"given are {list(values)}")
        n = len(values["id"])
        arrays = {name: _arrow(name, value) for name, value in values.items()}
        for name, array in arrays.items():
            if len(array) != n:
                raise DataError("dataset", f"{name} has {len(array)} values", f"id has {n}")
        for column in columns.NARROW:
            if not column.name.endswith("*") and column.name not in arrays:
                arrays[column.name] = columns.empty(column.name, n)
        table = pa.table({name: arrays[name] for name in columns.order(arrays)}).sort_by("id")
        return cls(schema, table, sources or {})

    def __repr__(self) -> str:
        """Return one line: rows, classes, splits, kind of data, last step."""
        splits = pc.value_counts(self.table["split"]).to_pylist() if "split" in self.table.column_names else []
        sizes = {item["values"]: item["counts"] for item in splits if item["values"] is not None}
        parts = [f"{len(self)} rows", f"{len(self.schema.classes)} classes"]
        parts += [f"{name} {sizes[name]}" for name in columns.SPLITS if name in sizes]
        parts += [self.schema.modality]
        parts += [f"last step {'.'.join(filter(None, (step.stage, step.name)))}" for step in self.steps[-1:]]
        return f"Dataset({', '.join(parts)})"

    def __len__(self) -> int:
        """Return N, set-aside rows included."""
        return int(self.table.num_rows)

    def __contains__(self, name: str) -> bool:
        """Return whether a column is present and not entirely empty."""
        if name in self.wide:
            return True
        return name in self.table.column_names and self.table[name].null_count < max(len(self), 1)

    def __getitem__(self, name: str) -> Array:
        """Return a column as a NumPy array of N values.

        ``label`` comes as (N,) int64 codes in ``schema.classes`` order, -1 = unlabelled; ``label_probs`` as (N, K)
        float32 with NaN rows where absent; ``wide`` columns as they are; text columns as object arrays with None.

        Raises:
            UnknownNameError: no such column.
        """
        if name in self.wide:
            return self.wide[name]
        if name not in self.table.column_names:
            raise unknown_name("dataset", "column", name, [*self.table.column_names, *self.wide])
        if name == "label":
            return self._codes
        column = self.table[name]
        if name == "label_probs":
            rows = column.to_pylist()
            empty = [np.nan] * len(self.schema.classes)
            return np.array([row or empty for row in rows], np.float32).reshape(len(rows), len(self.schema.classes))
        return np.asarray(column.to_numpy(zero_copy_only=False))

    @cached_property
    def _codes(self) -> Ints:
        found = pc.index_in(self.table["label"], value_set=pa.array(self.schema.classes, pa.string()))
        return np.asarray(pc.fill_null(found, -1).to_numpy(zero_copy_only=False), np.int64)

    @cached_property
    def ids(self) -> Array:
        """(N,) sample ids in row order."""
        return np.asarray(self.table["id"].to_numpy(zero_copy_only=False))

    def samples(self) -> Iterator[Sample]:
        """Yield the samples one by one."""
        for row in self.table.to_pylist():
            base = self.sources.get(row["source"] or "")
            path = Path(base) / columns.split_uri(row["uri"])[0] if base and row["uri"] else None
            yield Sample(row["id"], row["uri"], path, row["label"], row)

    def rows_of(self, ids: Sequence[str] | Array) -> Ints:
        """Return (len(ids),) row numbers of the given ids.

        Raises:
            UnknownNameError: an id is not in this dataset.
        """
        found = pc.index_in(pa.array(ids, pa.string()), value_set=self.table["id"].combine_chunks())
        if found.null_count:
            lost = [name for name, row in zip(ids, found.to_pylist(), strict=True) if row is None]
            raise unknown_name("dataset", "sample id", lost[0], self.ids[:50])
        return np.asarray(found.to_numpy(zero_copy_only=False), np.int64)

    def take(self, rows: Array) -> Dataset:
        """Return the dataset of some rows: a (N,) mask or row numbers. Findings stay whole."""
        rows = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        wide = {name: array[rows] for name, array in self.wide.items()}
        return replace(self, table=self.table.take(pa.array(rows, pa.int64())), wide=wide)

    def usable(self, split: str | None = None) -> Dataset:
        """Return the rows that are kept, optionally of one split only."""
        mask = self["keep"].astype(bool)
        return self.take(mask if split is None else mask & (self["split"] == split))

    def with_columns(self, values: Mapping[str, Any]) -> Dataset:
        """Return the dataset with columns set; (N, D) arrays and names like ``embedding.x`` go to ``wide``."""
        table, wide = self.table, dict(self.wide)
        for name, value in values.items():
            if name.partition(".")[0] in columns.WIDE:
                if len(value) != len(self):
                    raise DataError("dataset", f"{name} has {len(value)} rows", f"the dataset has {len(self)}")
                wide[name] = np.asarray(value)
                continue
            if name == "label" and isinstance(value, np.ndarray) and value.dtype.kind in "iu":
                value = [None if code < 0 else self.schema.classes[code] for code in value]
            array = _arrow(name, value)
            if len(array) != len(self):
                raise DataError("dataset", f"{name} has {len(array)} values", f"the dataset has {len(self)} rows")
            place = table.column_names.index(name) if name in table.column_names else -1
            table = table.append_column(name, array) if place < 0 else table.set_column(place, name, array)
        return replace(self, table=table.select(columns.order(table.column_names)), wide=wide)

    def with_findings(self, check: str, rows: Sequence[Mapping[str, Any]]) -> Dataset:
        """Return the dataset with the findings of one check replaced."""
        kept = self.findings.filter(pc.not_equal(self.findings["check"], check))
        new = pa.Table.from_pylist([{"check": check, **row} for row in rows], schema=columns.FINDING)
        return replace(self, findings=pa.concat_tables([kept, new]))

    def with_step(self, step: Step) -> Dataset:
        """Return the dataset with one more step in its lineage."""
        parents = (self.steps[-1].step_id,) if self.steps else ()
        at = step.at or datetime.now(UTC).isoformat(timespec="seconds")
        step = replace(step, parents=parents, packages=packages(), at=at)
        traces = {**self.traces, step.step_id: (self.table, asdict(self.schema))}
        return replace(self, steps=(*self.steps, step), traces=traces)

    def apply(self, function: Callable[..., Dataset], *, seed: int | None = None, **params: Any) -> Dataset:
        """Return what a function of your own makes of the dataset, as one step of the lineage like ours.

        Recorded are its place and source, the parameters, the seed, the time, and on commit the hashes of what it got,
        left and wrote. Steps that it takes inside are part of it and not told apart.

        Args:
            function: called as ``function(dataset, **params)``, and with ``seed=`` if one is given.
            seed: of what it draws; None = nothing.
            **params: plain values.

        Raises:
            DataError: it returns no dataset, or a parameter cannot be recorded.

        Example:
            >>> ds.apply(drop_dark, below=20)  # doctest: +SKIP
        """
        step, started = own_step(function, params, seed=seed), time.perf_counter()
        made = function(self, **params, **({} if seed is None else {"seed": seed}))
        if not isinstance(made, Dataset):
            raise DataError("apply", f"{step.params['function']} returned {type(made).__name__}", do="return a dataset")
        seconds = time.perf_counter() - started
        return replace(made, steps=self.steps, traces=self.traces).with_step(step.stamped(seconds=seconds))

    def append(self, values: Mapping[str, Any]) -> Dataset:
        """Return the dataset with rows added, sorted by id again; wide arrays get NaN (or 0) rows.

        Raises:
            DataError: an id is already present or occurs twice.
        """
        new = Dataset.from_columns(self.schema, values).table
        names = columns.order({*self.table.column_names, *new.column_names})
        parts = _alike([_fill(part, names, other) for part, other in ((self.table, new), (new, self.table))])
        joined = pa.concat_tables(parts, promote_options="permissive")
        ids = joined["id"].to_numpy(zero_copy_only=False)
        unique, counts = np.unique(ids.astype(str), return_counts=True)
        if (counts > 1).any():
            raise DataError("dataset", f"id {unique[counts > 1][0]} is already present", do="append each sample once")
        rank = np.argsort(ids.astype(str), kind="stable")
        wide = {}
        for name, array in self.wide.items():
            unknown = np.nan if array.dtype.kind == "f" else 0
            padding = np.full((len(new), *array.shape[1:]), unknown, array.dtype)
            wide[name] = np.concatenate([array, padding])[rank]
        return replace(self, table=joined.take(pa.array(rank)), wide=wide)

    def fold(self, train_ids: Sequence[str] | Array, eval_ids: Sequence[str] | Array) -> FoldView:
        """Return the view that training and evaluation take; see :class:`FoldView`."""
        return FoldView(self, tuple(train_ids), tuple(eval_ids))


@dataclass(frozen=True, eq=False)
class FoldView:
    """A train side and an evaluation side that cannot leak into each other.

    ``train`` holds the kept rows of ``train_ids`` and every grown row all of whose parents are among ``train_ids``.
    ``eval`` holds the rows of ``eval_ids``, which must be real. No split group may be on both sides.

    Raises:
        LeakError: a sample or a split group is on both sides, or an evaluation sample is not real.
    """

    dataset: Dataset
    train_ids: tuple[str, ...]
    eval_ids: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse a view that leaks."""
        both = set(self.train_ids) & set(self.eval_ids)
        if both:
            raise LeakError("fold", f"{len(both)} samples are in train and evaluation, for example {min(both)}")
        rows = self.dataset.rows_of(self.eval_ids)
        origin = self.dataset["origin"][rows]
        if (origin != "real").any():
            raise LeakError(
                "fold", f"{int((origin != 'real').sum())} evaluation samples are {origin[origin != 'real'][0]}",
                do="evaluate on real samples only",
            )  # fmt: skip
        if "split_group" in self.dataset:
            groups = self.dataset["split_group"]
            train_groups = {group for group in groups[self.dataset.rows_of(self.train_ids)] if group is not None}
            shared = train_groups & {group for group in groups[rows] if group is not None}
            if shared:
                what = f"{len(shared)} groups are in train and evaluation, for example {min(shared)}"
                raise LeakError("fold", what, do="split by split_group")

    def __repr__(self) -> str:
        """Return the sizes of both sides."""
        return f"FoldView(train={len(self.train_ids):,} real samples, eval={len(self.eval_ids):,})"

    @cached_property
    def train(self) -> Dataset:
        """The rows that may be fitted on."""
        return self.dataset.take(self.train_rows)

    @cached_property
    def train_rows(self) -> Ints:
        """Row numbers of :attr:`train` in the dataset."""
        origin, keep = self.dataset["origin"], self.dataset["keep"].astype(bool)
        wanted, shut = (np.zeros(len(self.dataset), bool) for _ in range(2))
        wanted[self.dataset.rows_of(self.train_ids)] = True
        shut[self.dataset.rows_of(self.eval_ids)] = True
        mask = wanted & keep & ~shut & (origin == "real")
        grown = np.flatnonzero(keep & ~shut & (origin != "real"))
        if len(grown):
            allowed = set(self.dataset.ids[wanted & (origin == "real")])
            families = self.dataset.table["parents"].take(pa.array(grown)).to_pylist()
            pairs = zip(families, origin[grown] == "synthetic", strict=True)  # without parents: made from words
            mask[grown] = [allowed.issuperset(family) if family else free for family, free in pairs]
        return np.flatnonzero(mask)

    @cached_property
    def eval(self) -> Dataset:
        """The real rows that are judged on, labels as they stand in the dataset."""
        return self.dataset.take(self.dataset.rows_of(self.eval_ids))


def normal_classes(classes: Sequence[str]) -> tuple[str, ...]:
    """Return the classes whose name says that the part is sound (``good``, ``ok``, ``normal`` ...)."""
    return tuple(name for name in classes if name.strip().lower().replace("-", "_").replace(" ", "_") in NORMAL_NAMES)


def _arrow(name: str, value: Any) -> pa.Array | pa.ChunkedArray:
    if isinstance(value, pa.Array | pa.ChunkedArray):
        return value
    kind = columns.describe(name).type
    if isinstance(value, np.ndarray) and value.ndim > 1:
        value = list(value)
    try:
        return pa.array(value) if pa.types.is_null(kind) else pa.array(value, type=kind, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        if not pa.types.is_null(kind):
            raise DataError("dataset", f"{name} has values of a wrong type ({error})", f"{kind} is wanted") from error
    return pa.array([None if item is None else str(item) for item in value], pa.string())


def _alike(parts: list[pa.Table]) -> list[pa.Table]:
    """Turn columns of the manifest to text where the parts disagree about their type, as with 3 and "n/a"."""
    for name in parts[0].column_names:
        kinds = {part[name].type for part in parts}
        if len(kinds) > 1 and not all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in kinds):
            if any(pa.types.is_null(kind) for kind in kinds):
                continue
            if not name.startswith("meta."):
                found = " and ".join(sorted(map(str, kinds)))
                raise DataError("dataset", f"{name} is {found}", do="append the same type")
            parts = [
                part.set_column(part.column_names.index(name), name, pc.cast(part[name], pa.string())) for part in parts
            ]
    return parts


def _fill(part: pa.Table, names: Sequence[str], other: pa.Table) -> pa.Table:
    for name in names:
        if name not in part.column_names:
            kind = other[name].type
            part = part.append_column(name, pa.nulls(part.num_rows, kind))
    return part.select(list(names))
