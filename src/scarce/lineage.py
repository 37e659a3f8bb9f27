"""What was done to the data: steps, fingerprints, and what changed between two versions."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from functools import cache, cached_property
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scarce import columns

VERSION_OF_STEPS = 1
RESULT = ("at", "seconds", "packages", "before", "after", "wrote")
"""Fields of a step that say how it went; its id does not depend on them."""
PACKAGES = (
    "numpy", "scipy", "scikit-learn", "pyarrow", "pylance", "opencv-python-headless", "pillow", "numba", "torch",
    "torchvision", "timm", "soundfile",
)  # fmt: skip
MODULES = {"scikit-learn": "sklearn", "pylance": "lance", "opencv-python-headless": "cv2", "pillow": "PIL"}
Trace: TypeAlias = tuple[pa.Table, Mapping[str, Any]]
"""A table and its schema as plain values."""
Traces: TypeAlias = Mapping[str, Trace]
"""Step id to what the step left."""
Hashed: TypeAlias = dict[Any, tuple[str, pa.ChunkedArray]]


def digest(*parts: bytes | str) -> str:
    """Return 32 hex digits of BLAKE2b over the parts, each with its length."""
    hasher = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        hasher.update(len(data).to_bytes(8, "little") + data)
    return hasher.hexdigest()


def key64(sample_id: str) -> int:
    """Return the 64-bit random key of a sample; the same for every order, batch and worker."""
    return int.from_bytes(hashlib.blake2b(sample_id.encode(), digest_size=8).digest(), "little")


def canonical_json(value: Any) -> str:
    """Return JSON with sorted keys, the same text for the same value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray | set | frozenset | tuple):
        return sorted(value) if isinstance(value, set | frozenset) else list(value)
    return str(value)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing that was done: the stage, all parameters, the seed and the hashes of what came from outside.

    ``step_id`` covers what was asked for, and neither the clock nor the result: doing the same again gives the same id.

    Args:
        stage, name: what was done, for example ``audit`` and ``near_duplicate``.
        params: all parameters.
        seed: of everything drawn; None = nothing was.
        parents: the step before.
        inputs: hashes of what came from outside: manifest, plan, weights.
        versions: of libraries that touch the result, as the stage names them.
        packages: versions of Python and of all packages of ours that were loaded.
        before, after: hash of the table that it got and of the one that it left; empty until the first commit.
        wrote: column to hash of what it wrote there; empty text = it emptied the column.
        at, seconds: when, and how long it took.
    """

    stage: str
    name: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    parents: tuple[str, ...] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=dict)
    before: str = ""
    after: str = ""
    wrote: Mapping[str, str] = field(default_factory=dict)
    at: str = ""
    seconds: float = 0.0

    @cached_property
    def step_id(self) -> str:
        """The fingerprint of the step."""
        body = {item.name: getattr(self, item.name) for item in fields(self) if item.name not in RESULT}
        return digest(canonical_json({"format": VERSION_OF_STEPS, **body}))

    def stamped(self, *, seconds: float) -> Step:
        """Return the step with the present time and its duration."""
        return replace(self, at=datetime.now(UTC).isoformat(timespec="seconds"), seconds=round(seconds, 3))

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return json.loads(canonical_json({**asdict(self), "step_id": self.step_id}))  # type: ignore[no-any-return]

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Step:
        """Rebuild a step from :meth:`to_json`."""
        values = {key: value for key, value in body.items() if key != "step_id"}
        return cls(**{**values, "parents": tuple(values.get("parents", ()))})


def content_id(table: pa.Table, schema: Mapping[str, Any]) -> str:
    """Return the canonical hash of a version's narrow columns, independent of row and column order.

    An entirely empty column counts like a missing one; null, the empty text and the empty list differ; so do the number
    1, the text "1" and true, but not the 32-bit and the 64-bit 1.
    """
    table = columns.sort(table)
    hasher = hashlib.blake2b(digest_size=16)
    _feed(hasher, canonical_json(schema).encode(), len(table).to_bytes(8, "little"))
    for name in sorted(table.column_names):
        column = table[name]
        if column.null_count < len(column):
            _feed(hasher, name.encode())
            _feed_values(hasher, column.combine_chunks())
    return hasher.hexdigest()


def packages() -> dict[str, str]:
    """Return the versions of Python, of scarce, and of those packages that are loaded and may touch a result."""
    found = {"python": platform.python_version(), "scarce": _installed("scarce")}
    found |= {name: _installed(name) for name in PACKAGES if MODULES.get(name, name) in sys.modules}
    return {name: version for name, version in found.items() if version}


@cache
def _installed(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def seal(steps: Sequence[Step], traces: Traces, final: Trace) -> tuple[Step, ...]:
    """Return the steps with the hashes of what they got, left and wrote, as far as their tables are known.

    A column that several tables share is hashed once. Where the last step did not leave what is to be written, a step
    ``store.edit`` says so: somebody changed values without a step.

    Args:
        steps: oldest first.
        traces: what the steps left.
        final: the table that is to be written, with its schema.
    """
    sealed: list[Step] = []
    known: Hashed = {}
    left: dict[str, str] | None = {}
    for place, step in enumerate(steps):
        trace = traces.get(step.step_id)
        open_next = place + 1 < len(steps) and not steps[place + 1].after
        if trace is None or (step.after and not open_next):
            left = None
            sealed.append(step)
            continue
        ids = column_ids(trace[0], known)
        if not step.after:
            changed = {} if left is None else {
                name: ids.get(name, "") for name in {**left, **ids} if ids.get(name) != left.get(name)
            }  # fmt: skip
            before = sealed[-1].after if sealed else ""
            step = replace(step, before=before, after=state_id(ids, trace), wrote=dict(sorted(changed.items())))
        left = ids
        sealed.append(step)
    return (*sealed, *_unrecorded(sealed, traces, final, known))


def _unrecorded(sealed: Sequence[Step], traces: Traces, final: Trace, known: Hashed) -> list[Step]:
    """Return the step that stands for changes that no step recorded, if there are any."""
    last = sealed[-1] if sealed else Step(stage="")
    ids = column_ids(final[0], known)
    after = state_id(ids, final)
    if last.after == after or (sealed and not last.after) or not (sealed or ids):
        return []
    trace = traces.get(last.step_id)
    before = column_ids(trace[0], known) if trace else {}
    wrote = {name: ids.get(name, "") for name in {**before, **ids} if ids.get(name) != before.get(name)}
    return [Step(
        stage="store", name="edit", parents=(last.step_id,) if sealed else (), packages=packages(),
        inputs={"values": digest(canonical_json(wrote))}, before=last.after, after=after,
        wrote=dict(sorted(wrote.items())), at=datetime.now(UTC).isoformat(timespec="seconds"),
    )]  # fmt: skip


def state_id(ids: Mapping[str, str], trace: Trace) -> str:
    """Return the hash of a table and its schema from the hashes of its columns."""
    return digest(canonical_json(trace[1]), str(len(trace[0])), canonical_json(ids))


def column_ids(table: pa.Table, known: Hashed | None = None) -> dict[str, str]:
    """Return column name to hash of its values in the order of the ids; columns without any value are left out.

    Args:
        table: the narrow table.
        known: memory of hashes by the place of the values.
    """
    table, known = columns.sort(table), {} if known is None else known
    found = {}
    for name in sorted(table.column_names):
        column = table[name]
        if column.null_count == len(column):
            continue
        key = (str(column.type), tuple(_places(chunk) for chunk in column.chunks))
        if key not in known:
            hasher = hashlib.blake2b(digest_size=16)
            _feed_values(hasher, column.combine_chunks())
            known[key] = (hasher.hexdigest(), column)  # the column stays alive, or its place could be another's
        found[name] = known[key][0]
    return found


def _places(array: pa.Array) -> tuple[Any, ...]:
    places = (None if item is None else (item.address, item.size) for item in array.buffers())
    return (array.offset, len(array), *places)


def _feed(hasher: hashlib.blake2b, *parts: bytes) -> None:
    for part in parts:
        hasher.update(len(part).to_bytes(8, "little"))
        hasher.update(part)


def _feed_values(hasher: hashlib.blake2b, values: pa.Array) -> None:
    """Hash the kind of an array, which values are null, and the values."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        return _feed_values(hasher, values.dictionary_decode())
    nulls = np.packbits(pc.is_null(values).to_numpy(zero_copy_only=False)).tobytes()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        lengths = pc.fill_null(pc.list_value_length(values), 0).to_numpy(zero_copy_only=False)
        _feed(hasher, b"list", nulls, lengths.astype("<i8").tobytes())
        return _feed_values(hasher, pc.list_flatten(values))
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        wide = "<u8" if kind == pa.uint64() and (pc.max(values).as_py() or 0) > np.iinfo(np.int64).max else "<i8"
        plain = pc.fill_null(values, pa.scalar(0, kind) if kind != pa.bool_() else False).to_numpy(zero_copy_only=False)
        return _feed(hasher, b"bool" if kind == pa.bool_() else b"int", nulls, plain.astype(wide).tobytes())
    if pa.types.is_floating(kind):
        plain = np.array(values.to_numpy(zero_copy_only=False), "<f8") + 0.0
        plain[np.isnan(plain)] = np.nan
        return _feed(hasher, b"float", nulls, plain.tobytes())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _feed_text(hasher, b"text", nulls, values)
    if pa.types.is_timestamp(kind) and kind.unit != "us":
        values = pc.cast(values, pa.timestamp("us", kind.tz), safe=False)
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return _feed(hasher, str(kind).encode(), nulls, canonical_json(values.to_pylist()).encode())
    return _feed_text(hasher, str(values.type).encode(), nulls, values)


def _feed_text(hasher: hashlib.blake2b, kind: bytes, nulls: bytes, values: pa.Array) -> None:
    text = pc.fill_null(pc.cast(values, pa.large_string()), "")
    _, offsets, data = text.buffers()
    ends = np.frombuffer(offsets, np.int64)[text.offset : text.offset + len(text) + 1]
    letters = memoryview(data)[int(ends[0]) : int(ends[-1])].tobytes() if data is not None else b""
    _feed(hasher, kind, nulls, np.diff(ends).astype("<i8").tobytes(), letters)


@dataclass(frozen=True)
class Changes:
    """What differs between two versions, at the level of samples and labels.

    Attributes:
        added, removed: sample ids.
        relabeled: (id, old label, new label).
        changed: per column, how many common samples differ in it.
        classes: (old classes, new classes) if they differ, else None.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    relabeled: tuple[tuple[str, str | None, str | None], ...]
    changed: Mapping[str, int]
    classes: tuple[tuple[str, ...], tuple[str, ...]] | None = None

    @property
    def empty(self) -> bool:
        """Return whether nothing differs."""
        return not (self.added or self.removed or self.relabeled or self.changed or self.classes)


def compare(old: pa.Table, new: pa.Table, *, classes: tuple[Sequence[str], Sequence[str]] = ((), ())) -> Changes:
    """Compare two narrow tables by sample id."""
    lists = (tuple(classes[0]), tuple(classes[1]))
    both = lists if lists[0] != lists[1] else None
    old, new = columns.sort(old), columns.sort(new)
    old_ids, new_ids = old["id"], new["id"]
    if old_ids.equals(new_ids):
        return Changes((), (), *_cells(old, new), both)
    added = new.filter(pc.invert(pc.is_in(new_ids, value_set=old_ids.combine_chunks())))["id"].to_pylist()
    removed = old.filter(pc.invert(pc.is_in(old_ids, value_set=new_ids.combine_chunks())))["id"].to_pylist()
    before = old.filter(pc.is_in(old_ids, value_set=new_ids.combine_chunks()))
    after = new.filter(pc.is_in(new_ids, value_set=old_ids.combine_chunks()))
    return Changes(tuple(added), tuple(removed), *_cells(before, after), both)


def _cells(
    before: pa.Table, after: pa.Table
) -> tuple[tuple[tuple[str, str | None, str | None], ...], Mapping[str, int]]:
    """Compare two tables of the same ids in the same order; return what was relabeled and the counts per column."""
    changed: dict[str, int] = {}
    relabeled: list[tuple[str, str | None, str | None]] = []
    for name in columns.order({*before.column_names, *after.column_names}):
        if name == "id":
            continue
        left = before[name] if name in before.column_names else _absent(len(before), after[name].type)
        right = after[name] if name in after.column_names else _absent(len(after), before[name].type)
        where = differs(left, right)
        if not where.any():
            continue
        changed[name] = int(where.sum())
        if name == "label":
            rows = np.flatnonzero(where)
            ids, was, now = (column.take(pa.array(rows)).to_pylist() for column in (before["id"], left, right))
            relabeled = list(zip(ids, was, now, strict=True))
    return tuple(relabeled), changed


def _absent(n: int, kind: pa.DataType) -> pa.ChunkedArray:
    return pa.chunked_array([pa.nulls(n, kind)])


def differs(left: pa.ChunkedArray, right: pa.ChunkedArray) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return (N,) where two columns differ; null equals null, NaN equals NaN, null and NaN differ."""
    kind = left.type
    if pa.types.is_nested(kind) or pa.types.is_dictionary(kind) or pa.types.is_null(kind) or kind != right.type:
        if left.equals(right):
            return np.zeros(len(left), bool)
        pairs = zip(left.to_pylist(), right.to_pylist(), strict=True)
        return np.fromiter((not _same(a, b) for a, b in pairs), dtype=bool, count=len(left))
    unequal = pc.fill_null(pc.not_equal(left, right), False)
    half_null = pc.xor(pc.is_null(left), pc.is_null(right))
    found: np.ndarray[Any, np.dtype[np.bool_]] = np.asarray(pc.or_(unequal, half_null).to_numpy(), bool)
    if pa.types.is_floating(left.type):
        both = pc.and_(pc.is_nan(left), pc.is_nan(right))
        found = found & ~np.asarray(pc.fill_null(both, False).to_numpy(), bool)
    return found


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same, a, b))
    nan = isinstance(a, float) and isinstance(b, float) and a != a and b != b  # noqa: PLR0124
    return nan or (a == b and isinstance(a, bool) == isinstance(b, bool) and isinstance(a, str) == isinstance(b, str))
