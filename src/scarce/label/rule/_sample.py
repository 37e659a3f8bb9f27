"""What a labelling function sees of a sample."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from scarce.dataset import Array, Dataset
from scarce.errors import DataError
from scarce.lineage import digest
from scarce.modality import raw
from scarce.modality.raw import Address

HIDDEN: Final = ("label", "label_source", "label_probs", "split", "split_group", "weight", "keep", "drop_reason",
                 "origin", "parents", "recipe", "source")  # fmt: skip
"""Columns that a labelling function does not see: what it is to find out, and what others decided."""
BLOCK: Final = 1024


@dataclass(frozen=True, eq=False)
class RuleSample:
    """One sample without its label.

    Attributes:
        id: the sample's id.
        uri: where it lies, relative to its source.
        path: the file.
        row: the columns of its manifest and its audit scores by name (``row["camera"]``), and for tables every column
            of the table but the label.
        place: the address of its content.
        modality: the kind of data.
    """

    id: str
    uri: str
    path: Path | None
    row: Mapping[str, Any]
    place: Address
    modality: str

    @cached_property
    def content(self) -> Any:
        """The sample decoded, read when it is first asked for.

        Text as str, pictures as uint8 (H, W, 3) or (H, W), rows of a table as (F,) float32, sounds as (T,) float32 at
        16 kHz, series as (T,) or (C, T) float32.

        Raises:
            BrokenSampleError: it cannot be read.
        """
        from scarce import modality

        return modality.of(self.modality).decode(raw.content(self.place, self.modality))

    @property
    def text(self) -> str:
        """The text."""
        return str(self._as("text"))

    @property
    def image(self) -> Array:
        """The picture: uint8 (H, W, 3) or (H, W)."""
        return np.asarray(self._as("image"))

    @property
    def audio(self) -> Array:
        """The sound: (T,) float32, mono, 16 kHz."""
        return np.asarray(self._as("audio"))

    @property
    def series(self) -> Array:
        """The series: (T,) or (C, T) float32."""
        return np.asarray(self._as("time_series"))

    def _as(self, modality: str) -> Any:
        if self.modality != modality:
            name = {"time_series": "series"}.get(modality, modality)
            raise DataError(
                "label.rule", f"a sample of kind {self.modality} has no {name}", do="use x.content, or x.row"
            )
        return self.content

    def __getattr__(self, name: str) -> Any:
        """Return a column of the row: ``x.camera`` is ``x.row["camera"]``."""
        row = self.__dict__.get("row") or {}
        if name in row:
            return row[name]
        raise AttributeError(f"the sample has no {name!r}; there are {', '.join(row) or 'no columns'}")


def rule_samples(ds: Dataset, rows: Sequence[int] | Array) -> Iterator[RuleSample]:
    """Yield what labelling functions see of some rows, in their order.

    Args:
        ds: N rows.
        rows: row numbers.
    """
    rows = np.asarray(rows, np.int64)
    names = [name for name in ds.table.column_names if name not in HIDDEN and name not in ("id", "uri", "content_hash")]
    for start in range(0, len(rows), BLOCK):
        part = rows[start : start + BLOCK]
        places = raw.addresses(ds, part)
        table = ds.table.select(["id", "uri", *names]).take(pa.array(part)).to_pylist()
        cells = _cells(places) if ds.schema.modality == "tabular" else [{}] * len(part)
        for values, place, cell in zip(table, places, cells, strict=True):
            own = {name.removeprefix("meta."): values[name] for name in names if values[name] is not None}
            path = place.path if values["uri"] else None
            yield RuleSample(values["id"], values["uri"] or "", path, {**own, **cell}, place, ds.schema.modality)


def row_keys(ds: Dataset, rows: Array) -> list[str]:
    """Return a hash of what labelling functions see of each row: its content and its label-free columns."""
    names = [name for name in ds.table.column_names if name not in HIDDEN]
    out: list[str] = []
    for start in range(0, len(rows), BLOCK):
        part = ds.table.select(names).take(pa.array(rows[start : start + BLOCK])).to_pylist()
        out += [digest(repr([(key, value) for key, value in row.items() if value is not None])) for row in part]
    return out


def _cells(places: Sequence[Address]) -> list[dict[str, Any]]:
    """Return the cells of the table row behind each sample, without the columns that its address shuts out."""
    from scarce.modality import table

    found: list[dict[str, Any]] = [{} for _ in places]
    groups: dict[tuple[Path, str], list[int]] = {}
    for number, place in enumerate(places):
        if place.row is not None and place.what.startswith("!"):
            groups.setdefault((place.path, place.what), []).append(number)
    for (path, what), numbers in groups.items():
        shut = {name.replace("%7C", "|").replace("%25", "%") for name in what[1:].split("|")}
        loaded = table.load(path).table
        part = loaded.select([name for name in loaded.column_names if name not in shut])
        cells = part.take(pa.array([places[number].row for number in numbers], pa.int64())).to_pylist()
        for number, values in zip(numbers, cells, strict=True):
            found[number] = values
    return found
