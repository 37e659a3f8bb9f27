"""Feature tables."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import pyarrow as pa
import pyarrow.compute as pc

from scarce.io._base import AbstractReader, Options
from scarce.io._listing import INFO, WARN, Listing, Note
from scarce.io._roles import plain
from scarce.io._tables import Opened, escape, is_id, no_label, open_parts, row_listing, sniff
from scarce.modality.table import SUFFIXES


@final
@dataclass(frozen=True, kw_only=True)
class Table(AbstractReader):
    """Feature tables: one row is one sample, its numbers and categories are the features.

    Use when the samples are measurements. The label is the column called label, target, class or y, or else the last
    one where it has few values; ``--label ""`` says that there is none.
    Writes: label, split, group, captured_at; meta.<name> for categories, times, row numbers and free text. Numbers stay
    in the file and are features; so are categories.

    Args:
        most_classes: the last column is taken as the label only up to so many values.
    """

    most_classes: int = 50

    def accepts(self, path: Path) -> float:
        """Return a little less than the other table readers: whatever has numbers is a table."""
        return 0.9 * sniff(path, ("table",), SUFFIXES)

    def listing(self, path: Path, options: Options) -> Listing:
        """Return the rows of the tables."""
        notes: list[Note] = []
        opened = [self._labeled(one, options, notes) for one in open_parts(path, options)]
        shut = [_no_features(one) for one in opened]
        specs = ["!" + escape(sorted(names)) for names in shut]
        # Only what is no number is also kept as meta: the numbers are the sample itself.
        lean = [_without_numbers(one, names) for one, names in zip(opened, shut, strict=True)]
        found = row_listing(path, lean, options, modality="tabular", what=specs)
        found.notes += notes
        features = [sorted(set(one.loaded.table.column_names) - names) for one, names in zip(opened, shut, strict=True)]
        if any(other != features[0] for other in features[1:]):
            found.notes.append(Note("data", "the files do not have the same features", WARN))
        found.notes.append(Note("data", f"{len(features[0])} columns are features", INFO))
        return found

    def _labeled(self, one: Opened, options: Options, notes: list[Note]) -> Opened:
        if one.roles.label or one.votes or options.label == "" or not one.loaded.table.num_columns:
            return one
        last = one.loaded.table.column_names[-1]
        size = pc.count_distinct(one.loaded.table[last]).as_py()
        if last in one.roles.used or not 1 < size <= min(self.most_classes, one.loaded.table.num_rows / 2):
            what = f"no column is called label, target, class or y, and the last one ({last!r}) has {size} values"
            notes.append(no_label(one, what))
            return one
        notes.append(Note("data", f"the last column, {last!r} with {size} values, is taken as the label", WARN))
        return replace(one, roles=replace(one.roles, label=last))


def _no_features(one: Opened) -> set[str]:
    """Return the columns that describe the sample rather than measure it."""
    data, its = one.loaded.table, one.roles
    found = {name for name in (its.label, its.split, its.group, its.time, its.item, its.voter, *its.votes) if name}
    for name in data.column_names:
        column = data[name]
        text = pa.types.is_string(column.type)
        free = text and pc.count_distinct(column).as_py() > max(50, data.num_rows // 2)
        empty = column.null_count == len(column)
        if name not in found and (is_id(name, column) or free or empty or plain(name) == "split"):
            found.add(name)
    return found


def _without_numbers(one: Opened, shut: set[str]) -> Opened:
    kinds: dict[str, Any] = {field.name: field.type for field in one.loaded.table.schema}
    numbers = tuple(name for name, kind in kinds.items() if name not in shut and not pa.types.is_string(kind))
    return replace(one, roles=replace(one.roles, values=numbers))
