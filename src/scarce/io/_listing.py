"""From a list of samples to a dataset: ids, classes, and the notes that a person should read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from scarce import dataset
from scarce.columns import VOTE, split_uri
from scarce.dataset import Dataset, Schema
from scarce.errors import DataError
from scarce.io._several import Vote, as_table
from scarce.io.boxes import BOXES, classes_in
from scarce.lineage import digest

INFO, WARN, BAD = 0.0, 0.5, 1.0
REPEATED = "repeated: the same file is listed before, with the same label"
LONE_CLASS, LONE_SAMPLE, NO_SAMPLE = "there is only one class", "1 usable sample", "no usable sample"
NO_LABEL, MISSING = "no sample has a label", "samples have no label"
"""What notes say that may no longer be true beside another source."""
_GROUP_HINT = re.compile(
    r"(^|_)(group|tile|lot|batch|speaker|patient|subject|person|user|author|video|scene|session|site|movie|film|part|"
    r"camera|device|machine|unit|serial|board|wafer|case|family|series|object|item|prefix)(_|$|s$|id$)"
)


@dataclass(frozen=True)
class Note:
    """A remark: level (data, class, sample), what it is about (row numbers or class names), 1 = worst, and why."""

    level: str
    why: str
    score: float = INFO
    members: tuple[int | str, ...] = ()


@dataclass(kw_only=True)
class Listing:
    """The samples that a reader found.

    Args:
        base: the folder that uris are relative to.
        source: the source's name.
        modality: kind of data.
        uris: one for each sample.
        columns: ``label``, ``split``, ``group``, ``captured_at``, ``mask_uri`` and ``meta.<name>``.
        reasons: why a sample is set aside, or None.
        notes: what a person should know.
        inputs: name of each manifest to the hash of its bytes.
        votes: what each of several people said about the samples.
        described: samples whose columns were handed in so far.
        classes: names in the order that the format gives them; others follow, sorted.
        ids: the samples' ids where the format keeps them, else None.
    """

    base: Path
    source: str
    modality: str
    uris: list[str]
    columns: dict[str, Any] = field(default_factory=dict)
    reasons: list[str | None] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    inputs: dict[str, str] = field(default_factory=dict)
    votes: list[Vote] = field(default_factory=list)
    described: int = 0
    classes: tuple[str, ...] = ()
    ids: list[str | None] = field(default_factory=list)


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return the key that sorts ``2`` before ``10``, ``-1`` before ``1`` and ``a2`` before ``a10``."""
    if re.fullmatch(r"-\d+", name):
        return ((0, int(name), name),)
    parts = re.findall(r"\d+|\D+", name)
    return tuple((0, int(part), part) if part.isdecimal() else (1, 0, part.lower()) for part in parts)


def label_text(value: Any) -> str | None:
    """Return a label as text: whole numbers without a point, blanks trimmed; None where there is none."""
    if value is None or value != value:  # noqa: PLR0124 - NaN
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() or None


def sample_id(source: str, uri: str, turn: int = 0) -> str:
    """Return the id of a sample: a hash of source, path and row (for a file that is listed again: its turn).

    An NPZ file has several arrays, so the array's name belongs to the row; elsewhere a row is the same sample whichever
    of its columns is read.
    """
    path, row, column = split_uri(uri)
    if row is not None:
        return digest(source, path, f"{column}:{row}" if path.lower().endswith(".npz") else str(row))[:16]
    return digest(source, path, str(turn or ""))[:16]


def to_dataset(listing: Listing) -> Dataset:
    """Return the dataset of a listing, with its notes as findings of the check ``read``.

    Raises:
        DataError: there is no sample at all.
    """
    n = len(listing.uris)
    if not n:
        do = "check the path; see docs/stages/io.md for the layouts"
        raise DataError("io", f"{listing.base} holds no samples", do=do)
    labels = [label_text(value) for value in _list(listing.columns.get("label"), n)]
    reasons = list(listing.reasons) or [None] * n
    ids = _ids(listing, labels, reasons)
    voted = {vote.label for vote in listing.votes}
    boxed = _boxed(listing)
    others = {label for label in (*labels, *voted, *boxed) if label is not None} - set(listing.classes)
    classes = (*listing.classes, *sorted(others, key=natural))
    # A text that is "good" praises something; it is not a sound part.
    normal = () if listing.modality == "text" else dataset.normal_classes(classes)
    schema = Schema(modality=listing.modality, classes=classes, normal_classes=normal)
    values: dict[str, Any] = {
        **{name: _typed(name, value) for name, value in listing.columns.items()},
        "id": ids, "uri": listing.uris, "source": [listing.source] * n, "label": labels,
        "label_source": _sources(listing, labels),
        "keep": [reason is None for reason in reasons], "drop_reason": reasons,
    }  # fmt: skip
    named = _class_notes(labels, reasons, classes, boxed)
    listing.notes += [*_reason_notes(reasons), *named, *_group_notes(listing, classes)]
    # Rows are sorted by id inside; notes speak of the reader's own order, so they are translated here.
    findings = [
        {
            "level": note.level, "score": note.score, "why": note.why,
            "members": [member if isinstance(member, str) else ids[member] for member in note.members],
        }
        for note in listing.notes
    ]  # fmt: skip
    ds = Dataset.from_columns(schema, values, sources={listing.source: str(listing.base)})
    return replace(ds.with_findings("read", findings), votes=as_table(listing.votes, ids, VOTE))


def _boxed(listing: Listing) -> Counter[str]:
    """Return class to pictures with its boxes; a cell that cannot be read is told by who needs its boxes."""
    name = next((f"meta.{one}" for one in BOXES if f"meta.{one}" in listing.columns), None)
    found: Counter[str] = Counter()
    for cell in _list(listing.columns.get(name), len(listing.uris)) if name else ():
        if isinstance(cell, str | list):
            with suppress(ValueError, TypeError):
                found.update(classes_in(cell) or ())
    return found


def _sources(listing: Listing, labels: Sequence[str | None]) -> list[str | None]:
    given = [None if label is None else "given" for label in labels]
    known = _list(listing.columns.get("label_source"), len(labels))
    return [source or other for source, other in zip(known, given, strict=True)]


def _ids(listing: Listing, labels: Sequence[str | None], reasons: list[str | None]) -> list[str]:
    """Return one id a sample; a file that is listed again gets a number, or is set aside where nothing differs."""
    seen: Counter[str] = Counter()
    first: dict[str, str | None] = {}
    ids, again, differ = [], [], []
    for row, uri in enumerate(listing.uris):
        turn = seen[uri]
        seen[uri] += 1
        ids.append(sample_id(listing.source, uri, turn))
        if not turn:
            first[uri] = labels[row]
        elif first[uri] == labels[row]:
            again.append(row)
            reasons[row] = reasons[row] or REPEATED
        else:
            differ.append(row)
    if again:
        listing.notes.append(Note("sample", f"{len(again)} files are listed more than once", WARN, tuple(again)))
    if differ:
        why = f"{len(differ)} files are listed again with another label: kept, and surely duplicates"
        listing.notes.append(Note("sample", why, BAD, tuple(differ)))
    kept = [given or ids[row] for row, given in enumerate(listing.ids)] or ids
    return kept if len(set(kept)) == len(ids) else ids


def _list(values: Any, n: int) -> list[Any]:
    if values is None:
        return [None] * n
    return values.to_pylist() if isinstance(values, pa.Array | pa.ChunkedArray) else list(values)


def _typed(name: str, value: Any) -> Any:
    """Return a column of the user's own as a type that every part of the store can hold."""
    if not name.startswith("meta."):
        return value
    array = value if isinstance(value, pa.Array | pa.ChunkedArray) else pa.array(value)
    kind = array.type
    if pa.types.is_null(kind) or pa.types.is_large_string(kind):
        return array.cast(pa.string())
    if pa.types.is_decimal(kind):
        return array.cast(pa.float64())
    if pa.types.is_integer(kind) and kind.bit_width < 64:
        return array.cast(pa.int64())
    if pa.types.is_temporal(kind) and not pa.types.is_duration(kind) and not pa.types.is_time(kind):
        return array.cast(pa.timestamp("us"))
    return array


def _reason_notes(reasons: Sequence[str | None]) -> list[Note]:
    rows: dict[str, list[int]] = {}
    for row, reason in enumerate(reasons):
        if reason and reason != REPEATED:
            rows.setdefault(reason, []).append(row)
    found = [Note("sample", f"{len(at)} set aside, {reason}", BAD, tuple(at)) for reason, at in sorted(rows.items())]
    if reasons and all(reasons):
        found.append(Note("data", "not one sample can be used", BAD))
    return found


def _class_notes(
    labels: Sequence[str | None], reasons: Sequence[str | None], classes: Sequence[str], boxed: Collection[str]
) -> list[Note]:
    good = [label for label, reason in zip(labels, reasons, strict=True) if reason is None]
    counts = Counter(good)
    missing = counts.pop(None, 0)
    found = []
    if missing == len(good) and good and boxed:
        why = f"{NO_LABEL} of its own, but boxes of {len(boxed)} classes are drawn: scarce train --model detector"
        return [Note("data", why, WARN)]
    if missing == len(good) and good:
        found.append(Note("data", f"{NO_LABEL}: it can be audited, but nothing can be trained", WARN))
        return found
    if missing:
        found.append(Note("data", f"{missing} of {len(good)} {MISSING}", INFO))
    if len(classes) == 1:
        why = f"{LONE_CLASS} ({classes[0]}): nothing can be told apart until a second one is added"
        found.append(Note("class", why, BAD, (classes[0],)))
    for name in classes:
        if counts[name] <= 1 < len(classes):
            size = f"{LONE_SAMPLE}: it cannot be learned and judged at once" if counts[name] else NO_SAMPLE
            found.append(Note("class", f"{name} has {size}", BAD, (name,)))
    folded: dict[str, list[str]] = {}
    for name in classes:
        folded.setdefault(re.sub(r"(?<=\w)[\s_-]+(?=\w)", "", name).casefold(), []).append(name)
    twins = [tuple(alike) for alike in folded.values() if len(alike) > 1]
    found += [Note("class", f"{' and '.join(alike)} may be one class in two spellings", WARN, alike) for alike in twins]
    return found


def _group_notes(listing: Listing, classes: Sequence[str]) -> list[Note]:
    """Name the columns that look like groups; a random split over real groups flatters every score."""
    if listing.columns.get("group") is not None:
        return []
    found = []
    for name, value in listing.columns.items():
        column = value if isinstance(value, pa.Array | pa.ChunkedArray) else pa.array(value)
        if not name.startswith("meta.") or not (pa.types.is_string(column.type) or pa.types.is_integer(column.type)):
            continue
        size = pc.count_distinct(column).as_py()
        if not 1 < size <= len(column) / 2:
            continue
        hinted = _GROUP_HINT.search(re.sub(r"\W+", "_", name[5:].lower())) is not None
        if hinted or (pa.types.is_string(column.type) and size > max(20, len(classes))):
            found.append((not hinted, name[5:], size, len(column)))
    return [
        Note("data", f"column {name!r} ({size} values for {n} samples) looks like a group: if samples that share it "
             f"show the same thing, read with group={name!r}, or scores will be flattering", WARN)
        for _, name, size, n in sorted(found)[:4]
    ]  # fmt: skip


def joined(parts: Sequence[Mapping[str, Any]], sizes: Sequence[int]) -> dict[str, Any]:
    """Return columns of several tables below each other; what one lacks is missing there."""
    names = list(dict.fromkeys(name for part in parts for name in part))
    found: dict[str, Any] = {}
    for name in names:
        arrays = [_chunk(part.get(name), size) for part, size in zip(parts, sizes, strict=True)]
        kinds = {array.type for array in arrays if not pa.types.is_null(array.type)}
        if len(kinds) > 1:
            number = all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in kinds)
            arrays = [array.cast(pa.float64() if number else pa.string()) for array in arrays]
        elif kinds:
            arrays = [array.cast(next(iter(kinds))) for array in arrays]
        found[name] = pa.concat_arrays(arrays)
    return found


def _chunk(value: Any, size: int) -> pa.Array:
    if value is None:
        return pa.nulls(size)
    if isinstance(value, pa.ChunkedArray):
        return value.combine_chunks()
    return value if isinstance(value, pa.Array) else pa.array(value)
