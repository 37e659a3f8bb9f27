"""Columns of a table that are not what they should be."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scarce.audit import _columns as col
from scarce.audit._base import AbstractCheck, Finding, Measurement, finding
from scarce.dataset import Dataset, Floats, Ints, Mask
from scarce.errors import ConfigError

Columns = Mapping[str, pa.Array]
SAMPLES: Final = 20
MOST_SORTED: Final = 20_000
_DATE = re.compile(
    r"^\s*(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}|\d{8})([T ]\d{1,2}:\d{2}.*)?\s*$"
)
_COLUMN = re.compile(r"^column ('[^']*')(.*)$", re.DOTALL)
JOINED = 8
_DEFAULTS: Final = ("0001-01-01", "1900-01-01", "1899-12-30", "1970-01-01", "9999-12-31", "2099-12-31")


class Told(NamedTuple):
    """One remark about a column: how bad (0 to 1), which rows are meant (empty = the column), and why."""

    score: float
    rows: Ints
    why: str


NO_ROWS: Ints = np.zeros(0, np.int64)


def constant(columns: Columns) -> list[Told]:
    """Return the columns that hold one value only, or none."""
    found = []
    for name, column in columns.items():
        known = column.filter(pa.array(~col.holes(column)[0]))
        values = pc.unique(known).to_pylist()
        if len(values) < 2 and len(column) > 1:
            what = f"holds {values[0]!r} everywhere" if values else "is empty"
            found.append(Told(0.4, NO_ROWS, f"column {name!r} {what}: it tells nothing"))
    return found


def mixed_types(columns: Columns) -> list[Told]:
    """Return the text columns that are numbers but for a few values."""
    found = []
    for name, column in columns.items():
        if not col.is_text(column):
            continue
        known, number = ~col.holes(column)[0], col.number_like(column)
        odd = np.flatnonzero(known & ~number)
        if len(odd) and len(odd) < 0.2 * known.sum():
            shown = col.quoted(sorted(set(column.take(pa.array(odd)).to_pylist())))
            why = f"column {name!r} mixes types: {len(odd)} of {int(known.sum())} values are no numbers ({shown})"
            found.append(Told(0.7, odd, why))
    return found


def out_of_range(columns: Columns, limits: Mapping[str, tuple[float, float]]) -> list[Told]:
    """Return values outside their limits; without limits, values farther from the others than those span.

    Args:
        columns: name to N values.
        limits: name to the smallest and the largest value that is right.
    """
    found = []
    for name, column in columns.items():
        if not (col.is_number(column) or (name in limits and col.is_text(column))):
            continue
        if col.is_text(column):
            column = pc.cast(pc.if_else(pa.array(col.number_like(column)), column, None), pa.float64())
        values = col.numbers(column)
        rows: Ints
        infinite = np.flatnonzero(np.isinf(values))
        if len(infinite):
            found.append(Told(0.8, infinite, f"column {name!r}: {len(infinite)} values are infinite"))
        if name in limits:
            low, high = limits[name]
            rows, told = np.flatnonzero((values < low) | (values > high)), f"outside {low:g} to {high:g}"
        else:
            values = np.where(col.holes(column)[0] | np.isinf(values), np.nan, values)
            rows, told = _far(values), "farther from all others than those are from each other"
        if len(rows):
            shown = col.quoted(f"{value:g}" for value in np.unique(values[rows]))
            found.append(Told(0.8, rows, f"column {name!r}: {len(rows)} values are {told} ({shown})"))
    return found


def _far(values: Floats) -> Ints:
    """Return the rows (at most 1 in 200) beyond a gap that is wider than twice the span of all the rest.

    The gap must also be as wide on a logarithmic scale, where a long tail is no surprise.
    """
    rows = np.flatnonzero(np.isfinite(values))
    if len(rows) < 30:
        return NO_ROWS
    order = rows[np.argsort(values[rows], kind="stable")]
    few = max(1, len(rows) // 200)
    scale = float(np.median(np.abs(values[rows] - np.median(values[rows])))) or 1.0
    found = []
    for side in (1, -1):
        ranked = order[::-side]
        tails = []
        for bent in (values, np.sign(values) * np.log1p(np.abs(values / scale))):
            edge, span = bent[ranked], np.abs(bent[ranked][1 : few + 1] - bent[ranked[-1]])
            gap = np.abs(edge[:few] - edge[1 : few + 1])
            tails.append(gap > np.where(span > 0, (2.0 if bent is values else 0.5) * span, np.inf))
        cut = np.flatnonzero(tails[0] & tails[1])
        if len(cut):
            found.append(ranked[: int(cut[-1]) + 1])
    return np.sort(np.concatenate(found)) if found else NO_ROWS


def identifiers(columns: Columns, labels: Ints, features: frozenset[str], ids: Floats) -> list[Told]:
    """Return the near-unique columns: numbers of rows and names, above all those whose order tells the class.

    Args:
        columns: name to N values; floats are measurements and never names.
        labels: (N,) class codes, -1 = unknown.
        features: names of the columns that a model sees.
        ids: (N,) the samples' ids; they break ties.
    """
    found = []
    for name, column in columns.items():
        if not (col.is_text(column) or pa.types.is_integer(column.type)):
            continue
        known = np.flatnonzero(~col.holes(column)[0])
        size = pc.count_distinct(column.take(pa.array(known))).as_py()
        few = len(known) < 20 or size < 0.95 * len(known)
        if few or _words(column):
            continue
        # Ids are hashes: the first ones are as good as drawn, in any order of the rows.
        known = known[np.argsort(ids[known].astype(str), kind="stable")][:MOST_SORTED]
        codes = labels[known][_natural(column.take(pa.array(known)))]
        excess = _runs(codes[codes >= 0])
        told = f"column {name!r} is near unique ({size} values in {len(known)} samples): it names the sample"
        leaks = excess > 6
        if leaks:
            told += f"; its order tells the class (neighbors agree {excess:.0f} standard errors above chance)"
        if leaks or name in features:
            told += ", and it is a feature: leave it out" if name in features else ""
            found.append(Told((0.95 if name in features else 0.4) if leaks else 0.5, NO_ROWS, told))
    return found


def _words(column: pa.Array) -> bool:
    """Return whether a column holds sentences rather than names."""
    if not col.is_text(column):
        return False
    texts = [text for text in column.slice(0, 500).to_pylist() if text]
    return bool(texts) and float(np.mean([text.strip().count(" ") for text in texts])) > 2


def _natural(column: pa.Array) -> Ints:
    """Return the order of the values, with ``a2`` before ``a10``; equal ones as they come."""
    if col.is_number(column):
        return np.argsort(column.to_numpy(zero_copy_only=False), kind="stable")
    keys = [re.findall(r"\d{1,18}|\D+", str(value)) for value in column.to_pylist()]
    parts = [[(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in key] for key in keys]
    return np.array(sorted(range(len(parts)), key=parts.__getitem__), np.int64)


def _runs(codes: Ints) -> float:
    """Return how many standard errors neighbors agree above what shuffled classes would. Source: Mood 1940."""
    n = len(codes)
    if n < 20:
        return 0.0
    share = np.bincount(codes) / n
    p2, p3 = float((share**2).sum()), float((share**3).sum())
    spread = np.sqrt(max((p2 + 2 * p3 - 3 * p2 * p2) * (n - 1), 1e-12))
    if p2 > 1 - 1e-9:
        return 0.0
    return float(((codes[1:] == codes[:-1]).sum() - (n - 1) * p2) / spread)


def repeated(columns: Columns) -> list[Told]:
    """Return columns that say the same as an earlier one: equal values, or numbers up to scale and offset."""
    seen: dict[bytes, str] = {}
    found = []
    for name, column in columns.items():
        key, equal = _fingerprint(column)
        if key and key in seen:
            how = (
                "holds the same values as"
                if equal and equal == _fingerprint(columns[seen[key]])[1]
                else "says the same as"
            )
            found.append(Told(0.5, NO_ROWS, f"column {name!r} {how} column {seen[key]!r}: it counts twice"))
        elif key:
            seen[key] = name
    return found


def _fingerprint(column: pa.Array) -> tuple[bytes, bytes]:
    """Return a hash of what a column says, and one of its values; empty for a constant column."""
    from hashlib import blake2b

    if not col.is_number(column):
        codes = pc.dictionary_encode(column)
        if len(codes.dictionary) < 2:
            return b"", b""
        index = pc.fill_null(codes.indices, -1).to_numpy(zero_copy_only=False)
        values = blake2b("\0".join(map(str, codes.dictionary.to_pylist())).encode()).digest()
        return blake2b(index.astype(np.int64).tobytes() + values).digest(), values
    amount = col.numbers(column)
    usable = np.isfinite(amount).any() and not np.isinf(amount).any()
    spread = float(np.nanstd(amount)) if usable else 0.0
    if not spread > 0:
        return b"", b""
    scaled = (amount - np.nanmean(amount)) / spread
    first = scaled[np.flatnonzero(np.abs(np.nan_to_num(scaled)) > 1e-3)[0]]
    bent = np.round(np.nan_to_num(scaled * np.sign(first), nan=1e6), 4) + 0.0
    return blake2b(bent.tobytes()).digest(), blake2b(amount.tobytes()).digest()


def tells_the_class(columns: Columns, labels: Ints) -> list[Told]:
    """Return columns of few values each of which belongs to one class only: the label under another name."""
    found = []
    rows = np.flatnonzero(labels >= 0)
    present = len(np.unique(labels[rows]))
    for name, column in columns.items():
        encoded = pc.dictionary_encode(column.take(pa.array(rows)))
        size = len(encoded.dictionary)
        if present < 2 or not present <= size <= max(50, 2 * present) or encoded.null_count or size > len(rows) / 10:
            continue
        pairs = np.unique(encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64) * 4096 + labels[rows])
        if len(pairs) == size:
            why = f"column {name!r} tells the class exactly: each of its {size} values belongs to one class only"
            found.append(Told(0.95, NO_ROWS, why))
    return found


def dates(columns: Columns) -> list[Told]:
    """Return columns of dates with values that are none, in several notations, or that stand for no date."""
    found = []
    for name, column in columns.items():
        if pa.types.is_temporal(column.type):
            column = pc.cast(column, pa.string(), safe=False)
        elif not col.is_text(column):
            continue
        known = ~col.holes(column)[0]
        encoded = pc.dictionary_encode(column)
        levels = [str(value).strip() for value in encoded.dictionary.to_pylist()]
        if sum(bool(_DATE.match(level)) for level in levels[:1000]) < len(levels[:1000]) / 4:
            continue
        like = np.array([bool(_DATE.match(level)) for level in levels] + [False])
        index = pc.fill_null(encoded.indices, len(levels)).to_numpy(zero_copy_only=False)
        mask: Mask = like[index] & known
        if mask.sum() < 0.8 * known.sum() or not mask.any():
            continue
        odd = np.flatnonzero(known & ~mask)
        if len(odd):
            shown = col.quoted(sorted({levels[index[row]] for row in odd}))
            found.append(Told(0.7, odd, f"column {name!r} holds dates, but {len(odd)} values are none ({shown})"))
        forms = sorted({re.sub(r"\d+", lambda part: "9" * len(part[0]), re.split(r"[T ]", levels[i])[0])
                        for i in np.unique(index[mask])})  # fmt: skip
        kinds = {re.sub("9+", lambda part: "y" if len(part[0]) == 4 else "9", form) for form in forms}
        if len(kinds) > 1:
            found.append(Told(0.7, NO_ROWS, f"column {name!r} writes dates in {len(kinds)} ways ({col.quoted(forms)})"))
        empty = np.array([level[:10] in _DEFAULTS for level in levels] + [False])[index] & known
        if 0 < empty.sum() < known.sum():
            shown = col.quoted(sorted({levels[index[row]] for row in np.flatnonzero(empty)}))
            why = f"column {name!r}: {int(empty.sum())} dates stand for no date ({shown})"
            found.append(Told(0.7, np.flatnonzero(empty), why))
    return found


def joined(told: list[Told]) -> list[Told]:
    """Return the remarks with those that say the same of several columns, and name no rows, in one."""
    same: dict[tuple[float, str], list[str]] = {}
    out = []
    for one in told:
        found = _COLUMN.match(one.why)
        if found is None or len(one.rows):
            out.append(one)
        else:
            same.setdefault((one.score, found[2]), []).append(found[1])
    for (score, rest), names in same.items():
        named = ", ".join(names[:JOINED]) + f" and {len(names) - JOINED} more" * (len(names) > JOINED)
        why = f"columns {named}, each{rest}" if len(names) > 1 else f"column {named}{rest}"
        out.append(Told(score, NO_ROWS, why))
    return out


@final
@dataclass(frozen=True, kw_only=True)
class TableSchema(AbstractCheck):
    """Find columns that are not what they should be: constant, of mixed types, out of range, repeated, leaking.

    Use on tables, and on manifests with columns beside the files.
    Do not use to judge what values mean: only the limits that you give are known.
    Needs: columns of a table or manifest.
    Writes: score (N,) = the worst remark about one of the sample's values, 0 = none; data findings, one a column and
    fault, 0.9 and more where a column gives the class away; sample findings for single values.
    Source: leaks by identifiers after Kaufman et al. 2012; runs of classes by Mood 1940.

    Args:
        limits: smallest and largest right value of columns, each ``name:low:high`` (``age:0:120``).
        most: remarks about columns that are listed, the worst first.
    """

    limits: tuple[str, ...] = ()
    most: int = 60

    def unmet(self, ds: Dataset) -> str:
        """Return why it cannot run: there are no columns beside the samples."""
        return "" if col.columns_of(ds)[0] else "there are no columns beside the samples"

    def measure(self, ds: Dataset) -> Measurement:
        """Look at every column."""
        columns, features = col.columns_of(ds)
        labels = np.asarray(ds["label"], np.int64)
        limits = self._limits(columns)
        looks: tuple[Callable[[], list[Told]], ...] = (
            lambda: constant(columns), lambda: mixed_types(columns), lambda: out_of_range(columns, limits),
            lambda: identifiers(columns, labels, features, ds.ids), lambda: repeated(columns),
            lambda: tells_the_class(columns, labels), lambda: dates(columns),
        )  # fmt: skip
        told = sorted(joined([one for look in looks for one in look()]), key=lambda one: (-one.score, one.why))
        score = np.zeros(len(ds))
        found: list[Finding] = []
        for one in told[: self.most]:
            score[one.rows] = np.maximum(score[one.rows], one.score)
            found.append(finding("data", (), one.score, one.why))
            found += [finding("sample", [ds.ids[row]], one.score, one.why) for row in self._named(ds, one.rows)]
        return Measurement(score, found)

    def _named(self, ds: Dataset, rows: Ints) -> list[int]:
        return [int(row) for row in sorted(rows, key=lambda row: str(ds.ids[row]))[:SAMPLES]]

    def _limits(self, columns: Columns) -> dict[str, tuple[float, float]]:
        found = {}
        for text in self.limits:
            name, _, rest = text.partition(":")
            try:
                low, high = (float(part) for part in rest.split(":"))
            except ValueError:
                do = "write name:low:high, for example age:0:120"
                raise ConfigError("audit.table_schema", f"limit {text!r} cannot be read", do=do) from None
            if name in columns:
                found[name] = (low, high)
        return found
