"""What a contract says, how it is learned from a version, and how it is kept as TOML."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scarce.config import check_types, to_toml
from scarce.contract import _schema
from scarce.contract._beside import FEATURE, SCAN, learned_range, own_columns, with_columns_beside
from scarce.dataset import Dataset
from scarce.errors import ConfigError, ReadError, closest
from scarce.invariant import Violation, column_of

FORMAT = 1
MOST_ALLOWED = 20
LEAST_NORMAL, LEAST_DEFECT = 1000, 50
SCHEMA_RULES: Final = (
    "min_rows", "classes", "min_per_class", "max_set_aside", "required", "types", "completeness", "allowed", "ranges",
    "unique", "columns", "freshness",
)  # fmt: skip
"""Rules about this version as it is: checked at every commit, and by the gate."""
LIMITS: Final = (
    "min_completeness", "max_label_error_rate", "max_duplicate_rate", "min_agreement", "class_minimum", "update_hours",
    "max_staleness_hours",
)  # fmt: skip
"""Limits on quality and freshness: checked by the gate, against intervals."""
LATER: Final = ("label", "label_source", "soft_label", "annotator")
"""Columns that people fill after a sample is there."""
SHARES: Final = ("min_completeness", "max_label_error_rate", "max_duplicate_rate", "max_set_aside")


@dataclass(frozen=True, kw_only=True)
class Contract:
    """What a project promises about its data, kept as TOML beside it.

    The rules up to ``max_age_days`` are about the version as it stands; every commit keeps them. The limits below are
    about quality and freshness; ``scarce contract check`` holds them against intervals, and no commit is refused for
    them: what an audit finds must be able to be written down.

    Args:
        on_violation: ``refuse`` a commit that breaks it, or only ``warn`` and record it in the version.
        classes: the classes that may occur; empty = any.
        required: columns that must be present.
        min_rows: least number of kept real rows.
        min_per_class: least number of kept real rows of every class.
        max_set_aside: largest share of real rows that may be set aside.
        types: column of the manifest (``meta.<name>``) or of a table (``feature.<name>``) to ``string``, ``number``,
            ``integer``, ``boolean``, ``timestamp`` or ``array``.
        completeness: column to the least share of rows with a value.
        allowed: column to its allowed values.
        ranges: column to its least and greatest value.
        unique: columns without repeated values.
        columns: the columns of the table or manifest that are expected; others are told. Empty = any.
        max_age_days: the newest ``captured_at`` may be this old; 0 = not checked.
        min_completeness: least completeness: 1 less the share of samples that cannot be read or have no label, and, of
            rows of tables and series, less the share of their values that is missing; None = not checked, also below.
        max_label_error_rate: largest share of wrong labels.
        max_duplicate_rate: largest share of samples that are further copies of another one.
        min_agreement: least Krippendorff's alpha between annotators, at most 1.
        class_minimum: class to its least number of kept real rows.
        update_hours: new samples at least this often, in nine of ten periods.
        max_staleness_hours: the newest sample may be this old.
        warn: rules that only warn.
    """

    on_violation: Literal["refuse", "warn"] = "refuse"
    classes: tuple[str, ...] = ()
    required: tuple[str, ...] = ("id", "uri")
    min_rows: int = 1
    min_per_class: int = 0
    max_set_aside: float = 1.0
    types: Mapping[str, str] = field(default_factory=dict)
    completeness: Mapping[str, float] = field(default_factory=dict)
    allowed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    unique: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    max_age_days: float = 0.0
    min_completeness: float | None = None
    max_label_error_rate: float | None = None
    max_duplicate_rate: float | None = None
    min_agreement: float | None = None
    class_minimum: Mapping[str, int] = field(default_factory=dict)
    update_hours: float | None = None
    max_staleness_hours: float | None = None
    warn: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse limits that are no numbers, out of range, or contradict each other.

        Raises:
            ConfigError: one of them is.
        """
        for name in SHARES:
            _within(name, getattr(self, name), 0, 1)
        _within("min_agreement", self.min_agreement, -1, 1)
        for name in ("min_rows", "min_per_class", "max_age_days"):
            _within(name, getattr(self, name), 0, math.inf)
        for name in ("update_hours", "max_staleness_hours"):
            value = getattr(self, name)
            _within(name, value, 0, math.inf)
            if value in (0, math.inf):
                raise ConfigError("contract", f"{name} = {value:g}", "", "give hours, or leave it out")
        for column, share in self.completeness.items():
            _within(f"completeness.{column}", share, 0, 1)
        for name, count in self.class_minimum.items():
            _within(f"class_minimum.{name}", count, 0, math.inf)
        self._refuse_contradictions()

    @property
    def is_empty(self) -> bool:
        """Whether it promises nothing beyond what holds for any data."""
        return replace(self, on_violation="refuse", warn=()) == Contract()

    def _refuse_contradictions(self) -> None:
        for column, (low, high) in self.ranges.items():
            if math.isnan(low) or math.isnan(high) or low > high:
                what = f"ranges.{column} = [{low:g}, {high:g}] holds no number"
                raise ConfigError("contract", what, do="give the least value first")
        untold = next((column for column, kind in self.types.items() if kind not in _schema.TYPES), None)
        if untold is not None:
            what = f"types.{untold} = {self.types[untold]!r} is no type"
            raise ConfigError("contract", what, closest(self.types[untold], _schema.TYPES))
        empty = next((column for column, values in self.allowed.items() if not values), None)
        if empty is not None:
            raise ConfigError("contract", f"allowed.{empty} is empty: no value is left", do="name values, or drop it")
        if len(set(self.classes)) < len(self.classes):
            raise ConfigError("contract", "classes names a class twice", f"it has {list(self.classes)}")
        strange = sorted(set(self.class_minimum) - set(self.classes)) if self.classes else []
        if strange:
            what = f"class_minimum names {strange[0]!r}, which is no class of this contract"
            raise ConfigError("contract", what, closest(strange[0], self.classes))
        if self.update_hours and self.max_staleness_hours and self.max_staleness_hours < self.update_hours:
            what = (
                f"max_staleness_hours = {self.max_staleness_hours:g} is less than update_hours = {self.update_hours:g}"
            )
            raise ConfigError("contract", what, "data that keeps the one breaks the other", "make it at least as large")
        unknown = next((name for name in self.warn if name not in (*SCHEMA_RULES, *LIMITS)), None)
        if unknown is not None:
            what = f"warn names {unknown!r}, which is no rule"
            raise ConfigError("contract", what, closest(unknown, (*SCHEMA_RULES, *LIMITS)))

    @classmethod
    def learn(cls, ds: Dataset) -> Contract:
        """Return the contract that this version keeps, with room for ordinary change, and the usual limits.

        Counts get half of what is there, completeness is rounded down to full percent (not that of labels, which
        samples that wait for an answer do not have yet), and text columns with at most 20
        different values must keep to them. Columns of tables of features (``feature.<name>``) and measurements of
        texts, sounds and series (``scan.<name>``, where the dataset was scanned) get ranges, wider than what was seen
        by a fifth of the span at each end (:func:`scarce.contract._beside.learned_range`); new columns warn. The
        limits are the usual ones, not learned: completeness 0.99, label errors 0.05, copies 0.01, agreement 0.8; and as
        warnings 1,000 samples of a normal class and 50 of a defect, a daily update, 24 hours of staleness.

        Raises:
            ReadError: a table of features cannot be read any more.
        """
        ds = with_columns_beside(ds)
        real = _schema.real_rows(ds)
        kept = real.take(column_of(real, "keep").astype(bool))
        own = tuple(name for name in own_columns(ds) if name in ds)
        names = [name for name in ds.table.column_names if name in own or (name in ds and "." not in name)]
        share = {
            name: int(100 * (1 - kept.table[name].null_count / max(len(kept), 1))) / 100
            for name in names
            if name not in ("id", *LATER)
        }
        spans = {
            name: learned_range(kept.table[name]) for name in ds.table.column_names if name.startswith((FEATURE, SCAN))
        }
        counts = np.bincount(kept["label"][kept["label"] >= 0], minlength=len(ds.schema.classes))
        return cls(
            classes=ds.schema.classes,
            required=tuple(name for name in names if share.get(name, 1.0) > 0),
            min_rows=max(1, len(kept) // 2),
            min_per_class=int(counts.min()) // 2 if len(counts) else 0,
            max_set_aside=min(1.0, round(1 - len(kept) / max(len(real), 1) + 0.1, 2)),
            types={name: kind for name in own if (kind := _schema.type_of(ds.table[name].type))},
            completeness={name: value for name, value in share.items() if value > 0},
            allowed=_allowed(kept, own), ranges={name: span for name, span in spans.items() if span is not None},
            columns=own, min_completeness=0.99, max_label_error_rate=0.05, max_duplicate_rate=0.01, min_agreement=0.8,
            class_minimum={
                name: LEAST_NORMAL if name in ds.schema.normal_classes else LEAST_DEFECT for name in ds.schema.classes
            },
            update_hours=24.0, max_staleness_hours=24.0,
            warn=("columns",) * bool(own) + ("class_minimum", "update_hours", "max_staleness_hours"),
        )  # fmt: skip

    def check(self, ds: Dataset, *, now: datetime | None = None) -> list[Violation]:
        """Return the rules about schema, counts and values that this version breaks; empty if it keeps them.

        Of the version itself: columns that lie beside it (``feature.*``, ``scan.*``) and the limits on quality are
        checked by :func:`scarce.contract.judge`.
        """
        return _schema.violations(self, ds, now or datetime.now(UTC))

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
        """Read a contract file.

        Raises:
            ReadError: the file is missing or no text.
            ConfigError: as :meth:`from_toml`.
        """
        return cls.from_toml(text_of(path))


def text_of(path: str | Path) -> str:
    """Return the text of a file.

    Raises:
        ReadError: it is missing, a folder, or no UTF-8.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        system = "" if isinstance(error, UnicodeDecodeError) else (error.strerror or str(error)).lower()
        raise ReadError("contract", f"{path} cannot be read ({system or 'it is no UTF-8 text'})") from error


def _within(name: str, value: float | None, low: float, high: float) -> None:
    if value is not None and not low <= value <= high:
        bound = f"a number from {low:g} to {high:g}" if math.isfinite(high) else f"a number from {low:g}"
        raise ConfigError("contract", f"{name} = {value:g}", f"it takes {bound}", "mend it, or leave it out")


def _allowed(ds: Dataset, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the values of text columns that have few different ones."""
    found = {}
    for name in names:
        if pa.types.is_string(ds.table[name].type) or pa.types.is_large_string(ds.table[name].type):
            values = sorted(pc.unique(ds.table[name]).drop_null().to_pylist())
            if len(values) <= min(MOST_ALLOWED, max(1, len(ds) // 5)):
                found[name] = tuple(values)
    return found
