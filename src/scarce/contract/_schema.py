"""The rules of a contract that are facts of a version: columns, counts, values. No sampling, so no interval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scarce.columns import sample_name
from scarce.contract._beside import FEATURE, named, own_columns, unseen
from scarce.dataset import Dataset
from scarce.invariant import EXAMPLES, Found, Violation, column_of

if TYPE_CHECKING:
    from scarce.contract._terms import Contract

NUMERAL: Final = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"
NUMBERS: Final = ("number", "integer")
Test: TypeAlias = Callable[[pa.ChunkedArray], pa.ChunkedArray]


def violations(contract: Contract, ds: Dataset, now: datetime, *, files: bool = False) -> list[Violation]:
    """Return the rules about schema, counts and values that a version breaks.

    Args:
        contract: what was promised.
        ds: a version.
        now: the time that freshness is counted from.
        files: whether the version holds the columns beside it (:func:`scarce.contract._beside.with_columns_beside`);
            else nothing is told of them.
    """
    contract = _seen(contract, ds, files=files)
    real = real_rows(ds)
    kept = real.take(column_of(real, "keep").astype(bool))
    broken = [*_counts(contract, real, kept)]
    broken += [
        Violation(rule="required", what=f"the column {name} is missing or empty", examples=(name,))
        for name in contract.required
        if name not in ds
    ]
    for rule in (_types, _completeness, _allowed, _ranges, _unique, _columns):
        broken += rule(contract, kept)
    if contract.max_age_days > 0:
        broken += _freshness(contract, kept, now)
    return broken


def nowhere(contract: Contract, ds: Dataset, rule: str) -> list[str]:
    """Return the columns whose values a rule promises and that are nowhere, less those that are told as missing.

    Args:
        contract: what was promised.
        ds: a version with the columns beside it.
        rule: ``ranges``, ``allowed`` or ``unique``.
    """
    there, required = set(ds.table.column_names), {named(ds, name) for name in contract.required}
    return [name for name in getattr(contract, rule) if (full := named(ds, name)) not in there and full not in required]


def _seen(contract: Contract, ds: Dataset, *, files: bool) -> Contract:
    """Return the contract with full names of columns, less what is told of columns that were not looked at."""

    def known(name: str) -> bool:
        return files or not unseen(ds, name)

    def listed(names: Sequence[str]) -> tuple[str, ...]:
        return tuple(named(ds, name) for name in names if known(name))

    full: dict[str, Any] = {name: listed(getattr(contract, name)) for name in ("required", "unique", "columns")}
    for field in ("types", "completeness", "allowed", "ranges"):
        full[field] = {named(ds, name): value for name, value in getattr(contract, field).items() if known(name)}
    return replace(contract, **full)


def _columns(contract: Contract, ds: Dataset) -> Found:
    known = {*contract.columns, *contract.required, *contract.types}
    new = [name for name in own_columns(ds) if name not in known]
    if contract.columns and new:
        what = f"{', '.join(new[:EXAMPLES])}: {len(new)} columns that nobody promised"
        do = "add them to columns in the contract, or leave them out of the data"
        yield Violation(rule="columns", what=what, count=len(new), examples=tuple(new[:EXAMPLES]), do=do)


def type_of(kind: pa.DataType) -> str:
    """Return the logical type of an Arrow type, in the words of the Open Data Contract Standard; empty if none fits."""
    return next((name for name, fits in TYPES.items() if name != "number" and fits(kind)), "number" * _number(kind))


def _number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


TYPES: dict[str, Callable[[pa.DataType], bool]] = {
    "string": lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind),
    "number": _number, "integer": pa.types.is_integer, "boolean": pa.types.is_boolean,
    "timestamp": pa.types.is_temporal, "array": lambda kind: pa.types.is_list(kind) or pa.types.is_large_list(kind),
}  # fmt: skip


def _types(contract: Contract, ds: Dataset) -> Found:
    for name, wanted in contract.types.items():
        kind = ds.table[name].type if name in ds.table.column_names else None
        if kind is None or pa.types.is_null(kind) or TYPES[wanted](kind):
            continue
        if not (wanted == "integer" and name.startswith(FEATURE) and _whole(ds.table[name])):
            odd = ds.table[name].drop_null().slice(0, 0)
            if wanted in NUMBERS and TYPES["string"](kind):
                column = ds.table[name].drop_null()
                odd = column.filter(pc.invert(pc.match_substring_regex(column, NUMERAL)))
            told = f"; {_values(len(odd))} no number, such as {odd[0].as_py()!r}" if len(odd) else ""
            yield Violation(rule="types", what=f"{name} is {kind}, {wanted} promised{told}", examples=(name,))


def _whole(column: pa.ChunkedArray) -> bool:
    """Return whether numbers are all whole: text files do not tell 3 from 3.0."""
    if not pa.types.is_floating(column.type):
        return False
    return bool(pc.all(pc.equal(column, pc.floor(column))).as_py() is not False)


def real_rows(ds: Dataset) -> Dataset:
    """Return the rows that were not grown."""
    return ds.take(column_of(ds, "origin").astype(str) == "real")


def _counts(contract: Contract, real: Dataset, kept: Dataset) -> Found:
    if len(kept) < contract.min_rows:
        yield Violation(rule="min_rows", what=f"{_rows(len(kept), 'kept ')}, {contract.min_rows} promised")
    strange = sorted(set(real.schema.classes) - set(contract.classes)) if contract.classes else []
    lost = sorted(set(contract.classes) - set(real.schema.classes))
    if strange or lost:
        what = "; ".join(part for part in (f"new {strange}" * bool(strange), f"gone {lost}" * bool(lost)) if part)
        yield Violation(rule="classes", what=what, count=len(strange + lost),
                        examples=tuple((strange + lost)[:EXAMPLES]),
                        do="change the contract if that was meant")  # fmt: skip
    counts = np.bincount(kept["label"][kept["label"] >= 0], minlength=len(kept.schema.classes))
    few = {name: int(n) for name, n in zip(kept.schema.classes, counts, strict=True) if n < contract.min_per_class}
    if few:
        what = ", ".join(f"{name} has {n}" for name, n in list(few.items())[:EXAMPLES])
        yield Violation(
            rule="min_per_class",
            what=f"{what}; {contract.min_per_class} promised",
            count=len(few),
            examples=tuple(few)[:EXAMPLES],
        )
    aside = 1 - len(kept) / max(len(real), 1)
    if aside > contract.max_set_aside:
        what = f"{aside:.1%} of the rows are set aside, {contract.max_set_aside:.1%} allowed"
        yield Violation(rule="max_set_aside", what=what, count=len(real) - len(kept))


def _completeness(contract: Contract, ds: Dataset) -> Found:
    for name, least in contract.completeness.items():
        if name not in ds and name in contract.required:
            continue  # told as missing
        share = 1 - ds.table[name].null_count / max(len(ds), 1) if name in ds.table.column_names else 0.0
        if share < least:
            yield Violation(
                rule="completeness",
                what=f"{name} is filled in {share:.1%} of the rows, {least:.1%} promised",
                examples=(name,),
            )


def _allowed(contract: Contract, ds: Dataset) -> Found:
    for name, values in contract.allowed.items():

        def known(column: pa.ChunkedArray, values: Sequence[str] = values) -> pa.ChunkedArray:
            return pc.is_in(pc.cast(column, pa.string()), value_set=pa.array(values, pa.string()))

        yield from _outside(ds, name, "allowed", known, f"one of {list(values)[:12]}")


def _ranges(contract: Contract, ds: Dataset) -> Found:
    for name, (low, high) in contract.ranges.items():
        if name in contract.types and name in ds.table.column_names and type_of(ds.table[name].type) not in NUMBERS:
            continue  # told as its type

        def inside(column: pa.ChunkedArray, low: float = low, high: float = high) -> pa.ChunkedArray:
            return pc.and_(pc.greater_equal(column, low), pc.less_equal(column, high))

        yield from _outside(ds, name, "ranges", inside, f"between {low} and {high}")


def _unique(contract: Contract, ds: Dataset) -> Found:
    for name in contract.unique:
        if name in ds.table.column_names:
            column = ds.table[name].drop_null()
            twice = len(column) - len(pc.unique(column))
            if twice:
                yield Violation(rule="unique", what=f"{name} repeats in {_rows(twice)}", count=twice, examples=(name,))


def _freshness(contract: Contract, ds: Dataset, now: datetime) -> Found:
    newest = pc.max(ds.table["captured_at"]).as_py() if "captured_at" in ds.table.column_names else None
    if newest is None:
        yield Violation(rule="freshness", what="no row says when it was captured (captured_at)")
        return
    age = (now.astimezone(UTC).replace(tzinfo=None) - newest).total_seconds() / 86400
    if age > contract.max_age_days:
        yield Violation(
            rule="freshness", what=f"the newest sample is {age:.1f} days old, {contract.max_age_days:g} allowed"
        )


def _outside(ds: Dataset, name: str, rule: str, fine: Test, wanted: str) -> Found:
    if name not in ds.table.column_names:
        return
    column = ds.table[name]
    try:
        ok = fine(column)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        yield Violation(rule=rule, what=f"{name} is {column.type} and cannot be {wanted}", examples=(name,))
        return
    wrong = np.asarray(pc.and_(pc.is_valid(column), pc.invert(pc.fill_null(ok, False))).to_numpy(), bool)
    if wrong.any():
        rows = np.flatnonzero(wrong)
        count, examples = len(rows), tuple(sample_name(ds["uri"][row], str(ds.ids[row])) for row in rows[:EXAMPLES])
        value = column[int(np.flatnonzero(wrong)[0])].as_py()
        yield Violation(
            rule=rule, what=f"{name} is {value!r} in {_rows(count)}, not {wanted}", count=count, examples=examples
        )


def _values(n: int) -> str:
    return "1 value is" if n == 1 else f"{n} values are"


def _rows(n: int, kind: str = "") -> str:
    return f"{n} {kind}row{'s' * (n != 1)}"
