"""The vocabulary: every column's name, type, meaning and the stage that owns it.

Shape letters used everywhere: N samples, K classes (in ``schema.classes`` order), D embedding width, H W C image.
Scores of audits point one way: 1 = worst. Dots in names are our path syntax; :func:`to_disk` turns them into structs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, unquote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scarce.errors import unknown_name

SPLITS: Final = ("train", "val", "test", "pool")
ORIGINS: Final = ("real", "augmented", "synthetic")
LABEL_SOURCES: Final = ("given", "human", "vote", "rule", "zero_shot", "model", "inherited")
MACHINE_LABELS: Final = ("rule", "zero_shot", "model")
"""Sources of labels that no person stands behind."""
WIDE: Final = ("embedding", "pred_probs", "scan")
"""First names of the arrays that live beside the table: joined by id on read, never part of a version."""
LEVELS: Final = ("sample", "box", "pair", "group", "class", "data")


@dataclass(frozen=True)
class Column:
    """One column of the narrow table.

    Args:
        name: dotted name; a trailing ``*`` stands for any name below it.
        type: Arrow type on disk and in memory.
        owner: the stages that may write it.
        meaning: one line for people.
        values: allowed values of an enum.
    """

    name: str
    type: pa.DataType
    owner: tuple[str, ...]
    meaning: str
    values: tuple[str, ...] = ()


GROWERS: Final = ("augment", "synthesize", "rebalance")
STRINGS = pa.list_(pa.string())
NARROW: Final[tuple[Column, ...]] = (
    Column("id", pa.string(), ("io",), "hash of source, relative path and row; never of the content"),
    Column("content_hash", pa.string(), ("io",), "BLAKE2b of the sample's bytes, 32 hex digits"),
    Column("uri", pa.string(), ("io",), "path relative to its source; '#row' for a row of a table"),
    Column("source", pa.string(), ("io",), "name of the source it was read from"),
    Column("group", pa.string(), ("io",), "the user's own group: part, lot, patient, video"),
    Column("captured_at", pa.timestamp("us"), ("io",), "when it was taken"),
    Column("mask_uri", pa.string(), ("io",), "pixel mask of the defect, relative to the source"),
    Column("label", pa.string(), ("io", "label", "clean"), "current class; null = unlabelled"),
    Column("label_source", pa.string(), ("io", "label", "clean"), "who said so", LABEL_SOURCES),
    Column("label_probs", pa.list_(pa.float32()), ("io", "label", "clean"), "(K,) soft label, sums to 1"),
    Column("split", pa.string(), ("io", "split"), "where it may be used", SPLITS),
    Column("split_group", pa.string(), ("split",), "component of user groups and near-duplicates; never cut"),
    Column("weight", pa.float32(), ("io", "rebalance"), "training weight, >= 0"),
    Column("origin", pa.string(), GROWERS, "where the pixels come from", ORIGINS),
    Column("parents", STRINGS, GROWERS, "ids of all samples it was made from or fitted on"),
    Column("recipe", pa.string(), GROWERS, "JSON: operations, parameters, seed, copy"),
    Column("keep", pa.bool_(), ("io", "clean", "split", "rebalance", "synthesize"), "false = set aside"),
    Column("drop_reason", pa.string(), ("io", "clean", "split", "rebalance", "synthesize"), "why it was set aside"),
    Column("meta.*", pa.null(), ("io",), "every other column of the manifest, typed"),
    Column("audit.*", pa.float32(), ("audit",), "score of one check in [0, 1]; 1 = worst"),
)
_BY_NAME = {column.name: column for column in NARROW}

FINDING: Final = pa.schema(
    [
        ("check", pa.string()), ("level", pa.string()), ("members", STRINGS), ("score", pa.float32()),
        ("why", pa.string()),
    ]
)  # fmt: skip
"""A finding: check, level, the sample ids (or class names) it is about, score in [0, 1] (1 = worst), reason."""

VOTE: Final = pa.schema(
    [
        ("sample", pa.string()), ("voter", pa.string()), ("kind", pa.string()), ("label", pa.string()),
        ("prob", pa.float32()), ("when", pa.timestamp("us")), ("seconds", pa.float32()),
    ]
)  # fmt: skip
"""A vote: one voter's label for one sample; a null label is an abstention."""


_ROW = re.compile(
    r"^(.+?\.(?:csv|tsv|tab|txt|jsonl|ndjson|json|parquet|pq|npz))#(\d+)(?::(.*))?$", re.DOTALL | re.IGNORECASE
)


def split_uri(uri: str) -> tuple[str, int | None, str]:
    """Return the file, the row in it (None = the whole file) and the column of a uri such as ``table.csv#17:text``.

    Only tables have rows, so that ``photo #3.jpg`` stays one file.
    """
    found = _ROW.match(uri)
    return (found[1], int(found[2]), found[3] or "") if found else (uri, None, "")


def sample_name(uri: str | None, sample_id: str = "") -> str:
    """Return what people call a sample: its file, with ``#row`` for a row of a table; its id where it has no uri."""
    if not uri:
        return sample_id
    file, row, _ = split_uri(uri)
    return file if row is None else f"{file}#{row}"


def sample_names(table: pa.Table) -> dict[str, str]:
    """Return sample id to what people call it; see :func:`sample_name`."""
    uris = table["uri"].to_pylist() if "uri" in table.column_names else [None] * len(table)
    return {name: sample_name(uri, name) for name, uri in zip(table["id"].to_pylist(), uris, strict=True)}


def by_machine(sources: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return (N,) which labels only a machine gave, by their (N,) sources: trained on, never judged on."""
    return np.isin(sources.astype(str), MACHINE_LABELS)


def describe(name: str) -> Column:
    """Return the vocabulary's entry for a column name.

    Raises:
        UnknownNameError: the name is neither a column nor below ``meta.`` or ``audit.``.
    """
    if name in _BY_NAME:
        return _BY_NAME[name]
    prefix = name.partition(".")[0] + ".*"
    if "." in name and prefix in _BY_NAME:
        return _BY_NAME[prefix]
    raise unknown_name("columns", "column", name, _BY_NAME)


def empty(column: str, n: int) -> pa.Array:
    """Return the default values of a column for ``n`` rows."""
    kind = describe(column).type
    default = {"origin": "real", "keep": True, "weight": 1.0, "parents": []}.get(column)
    return pa.array([default] * n, type=kind) if default is not None else pa.nulls(n, kind)


def order(names: Iterable[str]) -> list[str]:
    """Return the names in the vocabulary's order, dotted ones last and sorted."""
    rank = {column.name: index for index, column in enumerate(NARROW)}
    return sorted(names, key=lambda name: (rank.get(name, len(rank)), name))


def sort(table: pa.Table) -> pa.Table:
    """Return the table sorted by id; the same one if it is sorted already."""
    ids = table["id"]
    if len(ids) < 2 or pc.all(pc.less_equal(ids.slice(0, len(ids) - 1), ids.slice(1))).as_py():
        return table
    return table.sort_by("id")


def to_disk(table: pa.Table) -> pa.Table:
    """Pack dotted columns into one struct per first name, since Lance refuses dots in field names."""
    arrays: dict[str, pa.ChunkedArray | pa.Array] = {}
    packed: dict[str, dict[str, pa.Array]] = {}
    for name in table.column_names:
        head, dot, rest = name.partition(".")
        if dot:
            packed.setdefault(head, {})[_escape(rest)] = table[name].combine_chunks()
        else:
            arrays[name] = table[name]
    for head, children in packed.items():
        arrays[head] = pa.StructArray.from_arrays(list(children.values()), list(children))
    return pa.table(arrays)


def from_disk(table: pa.Table) -> pa.Table:
    """Undo :func:`to_disk`."""
    arrays: dict[str, pa.Array] = {}
    for field in table.schema:
        if pa.types.is_struct(field.type):
            column = table[field.name].combine_chunks()
            for child in field.type:
                arrays[f"{field.name}.{unquote(child.name)}"] = column.field(child.name)
        else:
            arrays[field.name] = table[field.name]
    return pa.table({name: arrays[name] for name in order(arrays)})


def disk_name(path: Sequence[str]) -> str:
    """Return the column that a path of fields on disk belongs to: ``("meta", "a%2Eb")`` gives ``meta.a.b``."""
    return f"{path[0]}.{unquote(path[1])}" if f"{path[0]}.*" in _BY_NAME else path[0]


def _escape(name: str) -> str:
    return quote(name, safe=" ").replace(".", "%2E")


def meta_name(name: str) -> str:
    """Return the column that keeps a manifest's own column: ``Camera`` gives ``meta.Camera``."""
    return "meta." + re.sub(r"\s+", " ", str(name)).strip()
