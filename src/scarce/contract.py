"""A contract: what a project promises about its data, learned from a good version, kept as TOML, checked at commit.

Violations are data: a list that can be shown, counted and stored. The rules that no version may ever break stand in
:mod:`scarce.invariant`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scarce.config import check_types, to_toml
from scarce.dataset import Dataset
from scarce.errors import ConfigError
from scarce.invariant import EXAMPLES, Found, Violation, at, column_of, invariants, refuse

__all__ = ["Contract", "Violation", "invariants", "refuse"]

FORMAT = 1
MOST_ALLOWED = 20
Test: TypeAlias = Callable[[pa.ChunkedArray], pa.ChunkedArray]


@dataclass(frozen=True, kw_only=True)
class Contract:
    """What a project promises about its data, kept as TOML beside it.

    Args:
        on_violation: ``refuse`` a commit that breaks it, or only ``warn`` and record it in the version.
        classes: the classes that may occur; empty = any.
        required: columns that must be present.
        min_rows: least number of kept real rows.
        min_per_class: least number of kept real rows of every class.
        max_set_aside: largest share of real rows that may be set aside.
        completeness: column to the least share of rows with a value.
        allowed: column to its allowed values.
        ranges: column to its least and greatest value.
        unique: columns without repeated values.
        max_age_days: the newest ``captured_at`` may be this old; 0 = not checked.
    """

    on_violation: Literal["refuse", "warn"] = "refuse"
    classes: tuple[str, ...] = ()
    required: tuple[str, ...] = ("id", "uri")
    min_rows: int = 1
    min_per_class: int = 0
    max_set_aside: float = 1.0
    completeness: Mapping[str, float] = field(default_factory=dict)
    allowed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    unique: tuple[str, ...] = ()
    max_age_days: float = 0.0

    @classmethod
    def learn(cls, ds: Dataset) -> Contract:
        """Return the contract that this version keeps, with room for ordinary change.

        Counts get half of what is there, completeness is rounded down to full percent, and text columns of the manifest
        with at most 20 different values must keep to them.
        """
        real = _real(ds)
        kept = real.take(column_of(real, "keep").astype(bool))
        names = [name for name in ds.table.column_names if name in ds and not name.startswith("audit.")]
        share = {
            name: int(100 * (1 - kept.table[name].null_count / max(len(kept), 1))) / 100
            for name in names
            if name != "id"
        }
        allowed = {}
        for name in names:
            if name.startswith("meta.") and pa.types.is_string(ds.table[name].type):
                values = sorted(pc.unique(ds.table[name]).drop_null().to_pylist())
                if len(values) <= min(MOST_ALLOWED, max(1, len(ds) // 5)):
                    allowed[name] = tuple(values)
        counts = np.bincount(kept["label"][kept["label"] >= 0], minlength=len(ds.schema.classes))
        return cls(
            classes=ds.schema.classes,
            required=tuple(name for name in names if share.get(name, 1.0) > 0),
            min_rows=max(1, len(kept) // 2),
            min_per_class=int(counts.min()) // 2 if len(counts) else 0,
            max_set_aside=min(1.0, round(1 - len(kept) / max(len(real), 1) + 0.1, 2)),
            completeness={name: value for name, value in share.items() if value > 0},
            allowed=allowed,
        )

    def check(self, ds: Dataset, *, now: datetime | None = None) -> list[Violation]:
        """Return the rules that this version breaks; an empty list if it keeps the contract."""
        real = _real(ds)
        kept = real.take(column_of(real, "keep").astype(bool))
        broken = [*self._counts(real, kept)]
        broken += [
            Violation(rule="required", what=f"the column {name} is missing or empty", examples=(name,))
            for name in self.required
            if name not in ds
        ]
        for rule in (self._completeness, self._allowed, self._ranges, self._unique):
            broken += rule(kept)
        if self.max_age_days > 0:
            broken += self._freshness(kept, now or datetime.now(UTC))
        return broken

    def to_toml(self) -> str:
        """Return the contract as TOML."""
        head = "# What this project promises about its data; see `scarce contract --help`."
        return f"{head}\n{to_toml({'format': FORMAT, **asdict(self)})}"

    @classmethod
    def from_toml(cls, text: str) -> Contract:
        """Read a contract from TOML.

        Raises:
            ConfigError: it is no TOML, of a later format, or has an unknown key or a wrong value.
        """
        try:
            body = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError("contract", f"this is not TOML: {error}") from error
        version = body.pop("format", FORMAT)
        if not isinstance(version, int) or version > FORMAT:
            raise ConfigError(
                "contract", f"format {version!r} is not known", f"this scarce reads up to {FORMAT}", "upgrade scarce"
            )
        return cls(**check_types("contract", cls, body))

    @classmethod
    def load(cls, path: str | Path) -> Contract:
        """Read a contract file."""
        return cls.from_toml(Path(path).read_text(encoding="utf-8"))

    def _counts(self, real: Dataset, kept: Dataset) -> Found:
        if len(kept) < self.min_rows:
            yield Violation(rule="min_rows", what=f"{_rows(len(kept), 'kept ')}, {self.min_rows} promised")
        strange = sorted(set(real.schema.classes) - set(self.classes)) if self.classes else []
        lost = sorted(set(self.classes) - set(real.schema.classes))
        if strange or lost:
            what = "; ".join(part for part in (f"new {strange}" * bool(strange), f"gone {lost}" * bool(lost)) if part)
            yield Violation(rule="classes", what=what, count=len(strange + lost),
                            examples=tuple((strange + lost)[:EXAMPLES]),
                            do="change the contract if that was meant")  # fmt: skip
        counts = np.bincount(kept["label"][kept["label"] >= 0], minlength=len(kept.schema.classes))
        few = {name: int(n) for name, n in zip(kept.schema.classes, counts, strict=True) if n < self.min_per_class}
        if few:
            what = ", ".join(f"{name} has {n}" for name, n in list(few.items())[:EXAMPLES])
            yield Violation(
                rule="min_per_class",
                what=f"{what}; {self.min_per_class} promised",
                count=len(few),
                examples=tuple(few)[:EXAMPLES],
            )
        aside = 1 - len(kept) / max(len(real), 1)
        if aside > self.max_set_aside:
            what = f"{aside:.1%} of the rows are set aside, {self.max_set_aside:.1%} allowed"
            yield Violation(rule="max_set_aside", what=what, count=len(real) - len(kept))

    def _completeness(self, ds: Dataset) -> Found:
        for name, least in self.completeness.items():
            share = 1 - ds.table[name].null_count / max(len(ds), 1) if name in ds.table.column_names else 0.0
            if share < least:
                yield Violation(
                    rule="completeness",
                    what=f"{name} is filled in {share:.1%} of the rows, {least:.1%} promised",
                    examples=(name,),
                )

    def _allowed(self, ds: Dataset) -> Found:
        for name, values in self.allowed.items():

            def known(column: pa.ChunkedArray, values: Sequence[str] = values) -> pa.ChunkedArray:
                return pc.is_in(pc.cast(column, pa.string()), value_set=pa.array(values, pa.string()))

            yield from _outside(ds, name, "allowed", known, f"one of {list(values)[:12]}")

    def _ranges(self, ds: Dataset) -> Found:
        for name, (low, high) in self.ranges.items():

            def inside(column: pa.ChunkedArray, low: float = low, high: float = high) -> pa.ChunkedArray:
                return pc.and_(pc.greater_equal(column, low), pc.less_equal(column, high))

            yield from _outside(ds, name, "ranges", inside, f"between {low} and {high}")

    def _unique(self, ds: Dataset) -> Found:
        for name in self.unique:
            if name in ds.table.column_names:
                column = ds.table[name].drop_null()
                twice = len(column) - len(pc.unique(column))
                if twice:
                    yield Violation(
                        rule="unique", what=f"{name} repeats in {_rows(twice)}", count=twice, examples=(name,)
                    )

    def _freshness(self, ds: Dataset, now: datetime) -> Found:
        newest = pc.max(ds.table["captured_at"]).as_py() if "captured_at" in ds.table.column_names else None
        if newest is None:
            yield Violation(rule="freshness", what="no row says when it was captured (captured_at)")
            return
        age = (now.astimezone(UTC).replace(tzinfo=None) - newest).total_seconds() / 86400
        if age > self.max_age_days:
            yield Violation(
                rule="freshness", what=f"the newest sample is {age:.1f} days old, {self.max_age_days:g} allowed"
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
        count, examples = at(ds, wrong)
        value = column[int(np.flatnonzero(wrong)[0])].as_py()
        yield Violation(
            rule=rule, what=f"{name} is {value!r} in {_rows(count)}, not {wanted}", count=count, examples=examples
        )


def _rows(n: int, kind: str = "") -> str:
    return f"{n} {kind}row{'s' * (n != 1)}"


def _real(ds: Dataset) -> Dataset:
    return ds.take(column_of(ds, "origin").astype(str) == "real")
