"""The rules that no version may break, whatever the user's own contract says; checked at every commit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scarce import columns
from scarce.dataset import Array, Dataset, Mask
from scarce.errors import ContractError
from scarce.lineage import compare

EXAMPLES = 10
FIXED = ("origin", "parents", "recipe")
PROBABILITY_TOLERANCE = 1e-3


@dataclass(frozen=True, kw_only=True)
class Violation:
    """One rule that does not hold.

    Args:
        rule: short name of the rule, for example ``unique_ids`` or ``min_per_class``.
        what: one sentence with the offending values.
        count: how many rows, classes or columns break it.
        examples: at most ten of them.
        do: what can be done about it.
    """

    rule: str
    what: str
    count: int = 1
    examples: tuple[str, ...] = ()
    do: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {**asdict(self), "examples": list(self.examples)}


Found = Iterator[Violation]


def invariants(ds: Dataset, parent: Dataset | None = None, owner: str | Sequence[str] | None = None) -> list[Violation]:
    """Return every rule of the data type that a version would break.

    Args:
        ds: what is to be committed.
        parent: the version it was made from; without it nothing is compared.
        owner: the stage (or stages) that made the change and may only write its own columns; None = a person, who may
            write all.
    """
    broken = [*_ids(ds)]
    if broken:  # every later rule joins by id
        return broken
    for rule in (_values, _probabilities, _families, _split_groups):
        broken += rule(ds)
    if parent is not None:
        owners = (owner,) if isinstance(owner, str) else tuple(owner or ())
        if "io" not in owners:  # a source that is read again may have lost files; the version before still names them
            broken += _vanished(ds, parent)
        if owner is not None:
            broken += _owned(ds, parent, owners)
    return broken


def refuse(who: str, broken: Sequence[Violation]) -> None:
    """Raise one error that names all violations, if there are any.

    Raises:
        ContractError: the list is not empty.
    """
    if broken:
        lines = [f"{item.rule}: {item.what}" for item in broken]
        raise ContractError(
            who, f"{len(broken)} rule{'s' * (len(broken) > 1)} would be broken: " + "; ".join(lines[:5]),
            do="; ".join(dict.fromkeys(item.do for item in broken if item.do)),
        )  # fmt: skip


def at(ds: Dataset, mask: Mask) -> tuple[int, tuple[str, ...]]:
    """Return how many rows a mask marks, and the ids of the first few."""
    return int(mask.sum()), tuple(str(name) for name in ds.ids[mask][:EXAMPLES])


def column_of(ds: Dataset, name: str) -> Array:
    """Return a column, or its defaults where the table lacks it."""
    if name in ds.table.column_names:
        return np.asarray(ds.table[name].to_numpy(zero_copy_only=False))
    return np.asarray(columns.empty(name, len(ds)).to_numpy(zero_copy_only=False))


def _ids(ds: Dataset) -> Found:
    ids = ds.table["id"]
    if ids.null_count or pc.any(pc.equal(ids, "")).as_py():
        yield Violation(rule="ids_present", what=f"{ids.null_count} rows have no id", count=max(1, ids.null_count))
        return
    counts = pc.value_counts(ids.combine_chunks())
    twice = counts.filter(pc.greater(counts.field("counts"), 1)).field("values").to_pylist()
    if twice:
        what = f"{len(twice)} ids occur more than once, for example {twice[0]}"
        yield Violation(
            rule="unique_ids",
            what=what,
            count=len(twice),
            examples=tuple(twice[:EXAMPLES]),
            do="append each sample once",
        )


def _values(ds: Dataset) -> Found:
    for name in ds.table.column_names:
        allowed = list(ds.schema.classes) if name == "label" else list(columns.describe(name).values)
        if not allowed and name != "label":
            continue
        column = ds.table[name]
        fine = pc.or_(pc.is_null(column), pc.is_in(column, value_set=pa.array(allowed, pa.string())))
        wrong = np.asarray(pc.invert(fine).to_numpy(), bool)
        if wrong.any():
            count, examples = at(ds, wrong)
            value = column[int(np.flatnonzero(wrong)[0])].as_py()
            rule = "known_labels" if name == "label" else "known_values"
            do = "add the class first (scarce.classes.add)" if name == "label" else ""
            what = f"{name} {value!r} of {count} rows is not one of {allowed[:12]}"
            yield Violation(rule=rule, what=what, count=count, examples=examples, do=do)
    keep = ds.table["keep"] if "keep" in ds.table.column_names else None
    if keep is not None and keep.null_count:
        yield Violation(rule="keep_is_known", what=f"{keep.null_count} rows are neither kept nor set aside",
                        count=keep.null_count)  # fmt: skip


def _probabilities(ds: Dataset) -> Found:
    if "label_probs" in ds.table.column_names and "label_probs" in ds:
        column, k = ds.table["label_probs"].combine_chunks(), len(ds.schema.classes)
        lengths = pc.fill_null(pc.list_value_length(column), k).to_numpy(zero_copy_only=False)
        wrong = lengths != k
        if not wrong.any():
            probs = ds["label_probs"]
            known = ~np.isnan(probs).all(axis=1)
            with np.errstate(invalid="ignore"):
                off = ~(np.abs(probs.sum(axis=1) - 1.0) <= PROBABILITY_TOLERANCE) | ~(probs >= 0.0).all(axis=1)
            wrong = known & off
        if wrong.any():
            count, examples = at(ds, wrong)
            yield Violation(rule="probabilities", count=count, examples=examples,
                            what=f"label_probs of {count} rows are not {k} numbers >= 0 that sum to 1")  # fmt: skip
    for name in ds.table.column_names:
        if name == "weight" or name.startswith("audit."):
            values = np.asarray(column_of(ds, name), float)
            top = np.inf if name == "weight" else 1.0
            wrong = (values < 0) | (values > top) | (np.isinf(values))
            if wrong.any():
                count, examples = at(ds, wrong)
                limits = ">= 0 and finite" if name == "weight" else "in [0, 1], 1 = worst"
                yield Violation(rule="ranges", what=f"{name} of {count} rows is not {limits}", count=count,
                                examples=examples)  # fmt: skip


def _families(ds: Dataset) -> Found:
    """Check grown rows: parents known, only in train, never descended from val or test."""
    origin, keep = column_of(ds, "origin"), column_of(ds, "keep").astype(bool)
    child, parent, lost = _edges(ds)
    if lost:
        yield Violation(rule="known_parents", what=f"{len(lost)} parents do not exist, for example {lost[0]}",
                        count=len(lost), examples=tuple(lost[:EXAMPLES]))  # fmt: skip
    split = column_of(ds, "split")
    grown = np.asarray([value not in ("real", None) for value in origin], bool) if len(ds) else np.zeros(0, bool)
    judged = np.isin(split.astype(str), ("val", "test"))
    wrong = grown & keep & (judged | (split == "pool"))
    if wrong.any():
        count, examples = at(ds, wrong)
        yield Violation(rule="grown_only_in_train", count=count, examples=examples,
                        what=f"{count} augmented or synthetic rows are outside train",
                        do="grow rows after the split, from train only")  # fmt: skip
    tainted = judged.copy()
    while True:
        more = np.zeros(len(ds), bool)
        more[child[tainted[parent]]] = True
        if not (more & ~tainted).any():
            break
        tainted |= more
    wrong = tainted & grown & keep & ~judged
    if wrong.any():
        count, examples = at(ds, wrong)
        yield Violation(rule="no_leaking_parents", count=count, examples=examples,
                        what=f"{count} grown rows descend from val or test",
                        do="set them aside, or grow again after the split")  # fmt: skip


def _edges(ds: Dataset) -> tuple[Array, Array, list[str]]:
    none = np.zeros(0, np.int64)
    if "parents" not in ds.table.column_names:
        return none, none, []
    parents = ds.table["parents"].combine_chunks()
    lengths = pc.fill_null(pc.list_value_length(parents), 0).to_numpy(zero_copy_only=False)
    child = np.repeat(np.arange(len(ds)), lengths)
    names = pc.list_flatten(parents)
    found = pc.index_in(names, value_set=ds.table["id"].combine_chunks())
    lost = names.filter(pc.is_null(found)).to_pylist()
    known = np.asarray(pc.is_valid(found).to_numpy(zero_copy_only=False), bool)
    rows = np.asarray(pc.fill_null(found, 0).to_numpy(zero_copy_only=False), np.int64)
    return child[known], rows[known], [str(name) for name in lost]


def _split_groups(ds: Dataset) -> Found:
    """No split group of kept rows may lie in two of train, val and test."""
    if not {"split", "split_group"} <= set(ds.table.column_names):
        return
    table = ds.table.select(
        ["split", "split_group", "keep"] if "keep" in ds.table.column_names else ["split", "split_group"]
    )
    mask = pc.and_(
        pc.is_valid(table["split_group"]), pc.is_in(table["split"], value_set=pa.array(["train", "val", "test"]))
    )
    mask = pc.and_(mask, pc.fill_null(table["keep"], False)) if "keep" in table.column_names else mask
    pairs = table.filter(mask).select(["split", "split_group"]).group_by(["split_group", "split"]).aggregate([])
    counts = pc.value_counts(pairs["split_group"].combine_chunks())
    cut = counts.filter(pc.greater(counts.field("counts"), 1)).field("values").to_pylist()
    if cut:
        yield Violation(rule="groups_are_whole", count=len(cut), examples=tuple(cut[:EXAMPLES]),
                        what=f"{len(cut)} split groups are in two splits, for example {cut[0]}",
                        do="split again, or set the rows aside that bridge the two")  # fmt: skip


def _vanished(ds: Dataset, parent: Dataset) -> Found:
    gone = parent.table.filter(pc.invert(pc.is_in(parent.table["id"], value_set=ds.table["id"].combine_chunks())))
    if "origin" in gone.column_names:
        gone = gone.filter(pc.equal(pc.fill_null(gone["origin"], "real"), "real"))
    if len(gone):
        names = gone["id"].to_pylist()
        yield Violation(rule="nothing_is_lost", count=len(names), examples=tuple(names[:EXAMPLES]),
                        what=f"{len(names)} real rows of the version before are missing, for example {names[0]}",
                        do="set rows aside (keep = false, drop_reason) instead of removing them")  # fmt: skip


def _owned(ds: Dataset, parent: Dataset, owners: tuple[str, ...]) -> Found:
    changes = compare(parent.table, ds.table)
    for name, count in changes.changed.items():
        allowed = columns.describe(name).owner
        if name in FIXED or not set(owners) & set(allowed):
            do = (
                f"{name} never changes once a row exists"
                if name in FIXED
                else f"{name} belongs to {', '.join(allowed)}"
            )
            what = f"{' and '.join(owners)} changed {name} of {count} rows"
            yield Violation(rule="own_columns", what=what, count=count, do=do)
    if changes.added and not set(owners) & {"io", *columns.GROWERS}:
        yield Violation(rule="own_rows", what=f"{' and '.join(owners)} added {len(changes.added)} rows",
                        count=len(changes.added), examples=changes.added[:EXAMPLES],
                        do="only io, augment, synthesize and rebalance add rows")  # fmt: skip
