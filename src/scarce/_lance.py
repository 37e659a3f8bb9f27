"""The one place that speaks to Lance: a version is one transaction; columns that did not change are shared.

A version has one fragment whose columns may lie in several files. A commit writes the columns that differ from an
earlier version and points at the files of that version for the rest, so relabelling costs a label column and not the
whole table.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa

from scarce import columns, lineage
from scarce.errors import ConflictError, ScarceError, StoreError

MOST_FILES = 12
"""A version whose columns lie in more files than this is written anew as one (compaction)."""
MOST_OPEN = 4
ONE_FRAGMENT = 1 << 40
RECORD = b"scarce"
FULL = ("No space left", "os error 28", "ENOSPC", "Disk quota", "os error 122", "There is not enough space")
READ_ONLY = ("Read-only file system", "os error 30", "Permission denied", "os error 13", "Access is denied")


def lance() -> Any:
    """Import Lance on first use; its own log goes to errors only."""
    os.environ.setdefault("LANCE_LOG", "error")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import lance as module

    return module


@contextmanager
def spoken(folder: Path) -> Iterator[None]:
    """Turn what the disk refuses into an error that says what to do.

    Raises:
        StoreError: the disk is full, the folder is read-only, or a file is damaged.
    """
    try:
        yield
    except ScarceError:
        raise
    except (OSError, RuntimeError, ValueError) as error:
        text = str(error)
        if any(word in text for word in FULL) or getattr(error, "errno", None) in (28, 122):
            what, do = "the disk is full", "free some space and do it again; the last version is whole"
        elif any(word in text for word in READ_ONLY) or getattr(error, "errno", None) in (13, 30):
            what, do = "the folder cannot be written", "check its permissions, or work on a copy"
        else:
            what, do = text.partition(", /")[0], "the last version is whole; see `scarce doctor`"
        raise StoreError("store", f"{what}: {folder}" if what not in text else what, do=do) from error


class Table:
    """The Lance table of a store.

    Args:
        path: its folder, ``data.lance``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._records: dict[int, bytes] = {}
        self._opened: dict[int, Any] = {}

    def exists(self) -> bool:
        """Return whether there is at least one version."""
        return bool(self.numbers())

    def open(self, number: int | None = None) -> Any:
        """Return Lance's data set at a version, the latest by default."""
        if number is None:
            return lance().dataset(str(self.path))
        if number not in self._opened:
            while len(self._opened) >= MOST_OPEN:
                self._opened.pop(next(iter(self._opened)))
            self._opened[number] = lance().dataset(str(self.path), version=number)
        return self._opened[number]

    def numbers(self) -> list[int]:
        """Return all version numbers, oldest first."""
        try:
            names = os.listdir(self.path / "_versions")  # noqa: PTH208 (often called, and many files)
        except FileNotFoundError:
            return []
        stems = (name.removesuffix(".manifest") for name in names if name.endswith(".manifest"))
        found = [int(stem) for stem in stems if stem.isdecimal()]
        return sorted(number if number < 1 << 63 else (1 << 64) - 1 - number for number in found)

    def record(self, number: int) -> bytes:
        """Return what a version carries about itself; versions never change, so it is read once."""
        if number not in self._records:
            self._records[number] = (self.open(number).schema.metadata or {}).get(RECORD, b"")
        return self._records[number]

    def read(self, number: int) -> pa.Table:
        """Return a version's narrow table."""
        return columns.from_disk(self.open(number).to_table().replace_schema_metadata())

    def row(self, number: int, sample: str) -> pa.Table:
        """Return one sample of a version's narrow table, or no row; nothing else is read."""
        quoted = sample.replace("'", "''")
        found = self.open(number).to_table(filter=f"id = '{quoted}'")
        return columns.from_disk(found.replace_schema_metadata())

    def write(self, table: pa.Table, record: bytes, *, base: tuple[int, pa.Table] | None, head: int | None) -> int:
        """Commit a version in one transaction and return its number.

        Args:
            table: the narrow table, sorted by id.
            record: what the version carries about itself.
            base: version (and its table) whose unchanged columns are shared.
            head: the latest version; a later one refuses this commit.
        """
        disk = columns.to_disk(table)
        schema = disk.schema.with_metadata({RECORD: record})
        fragments = (self._shared(table, schema, *base) if base is not None else None) or self._files(disk)
        operation = lance().LanceOperation.Overwrite(schema, fragments)
        try:
            if head is None:
                done = lance().LanceDataset.commit(str(self.path), operation)
            else:
                done = lance().LanceDataset.commit(self.open(head), operation, read_version=head, max_retries=0)
        except lance().commit.CommitConflictError as error:
            raise ConflictError(
                "store", "somebody committed without the lock", do="do it again on the new version"
            ) from error
        return int(done.version)

    def tag(self, name: str, number: int) -> None:
        """Name a version."""
        self.open(number).tags.create(name, number)

    def untag(self, name: str) -> None:
        """Forget a name."""
        self.open().tags.delete(name)

    def tags(self) -> dict[str, int]:
        """Return all names with their versions."""
        return {name: int(item["version"]) for name, item in self.open().tags.list().items()} if self.exists() else {}

    def forget(self, numbers: Sequence[int]) -> None:
        """Delete versions with the tags that carry their numbers, and what only they used."""
        if numbers:
            for name in {f"v{number}" for number in numbers} & set(self.tags()):
                self.untag(name)
            self.open().cleanup_old_versions(
                versions=list(numbers), delete_unverified=True, error_if_tagged_old_versions=False
            )
        for number in numbers:
            self._records.pop(number, None)
            self._opened.pop(number, None)

    def sweep(self) -> int:
        """Delete files that no version uses (a killed commit leaves them); return the bytes won. Needs the lock."""
        if self.exists():
            done = self.open().cleanup_old_versions(
                older_than=timedelta(0), delete_unverified=True, error_if_tagged_old_versions=False
            )
            won = int(done.bytes_removed)
        else:
            won = 0
            for item in self.path.rglob("*") if self.path.is_dir() else ():
                if item.is_file():
                    won += item.stat().st_size
                    item.unlink()
        return won + self._stray()

    def _stray(self) -> int:
        """Delete half-written manifests and tags, and transactions of no version, which Lance itself leaves lying."""
        known = (self.open().read_transaction(number) for number in self.numbers())
        used = {f"{item.read_version}-{item.uuid}.txn" for item in known if item is not None}
        won = 0
        for folder, endings in (
            ("_versions", (".manifest", ".json")),
            ("_refs/tags", (".json",)),
            ("_transactions", ()),
        ):
            place = self.path / folder
            for item in place.iterdir() if place.is_dir() else ():
                if item.is_file() and item.suffix not in endings and item.name not in used:
                    won += item.stat().st_size
                    item.unlink()
        return won

    def _files(self, disk: pa.Table) -> list[Any]:
        found: list[Any] = lance().fragment.write_fragments(
            disk, str(self.path), mode="overwrite", max_rows_per_file=ONE_FRAGMENT
        )
        return found

    def _shared(self, table: pa.Table, schema: pa.Schema, number: int, before: pa.Table) -> list[Any] | None:
        """Return one fragment that takes unchanged columns from an earlier version, or None if that does not pay."""
        old = self.open(number)
        fragments = old.get_fragments()
        if len(fragments) != 1 or not before["id"].equals(table["id"]):
            return None
        same = {
            name for name in table.column_names if name in before.column_names and _equal(before[name], table[name])
        }
        fresh = [name for name in table.column_names if name not in same]
        meta, target = fragments[0].metadata, _leaves(schema)
        kept = {path: target[path] for path in target if columns.disk_name(path) in same}
        files = _moved(meta.files, _leaves(old.schema), kept)
        if len(files) + bool(fresh) > MOST_FILES:
            return None
        if fresh:
            part = columns.to_disk(table.select(fresh))
            files += _moved(self._files(part)[0].files, _leaves(part.schema), target)
        return [lance().FragmentMetadata(0, files, meta.physical_rows)]


def _equal(left: pa.ChunkedArray, right: pa.ChunkedArray) -> bool:
    if left.type != right.type:
        return False
    return left.equals(right) or (not pa.types.is_nested(left.type) and not lineage.differs(left, right).any())


DiskPath: TypeAlias = tuple[str, ...]


def _leaves(schema: pa.Schema) -> dict[DiskPath, int]:
    """Return the path of every stored column with the field number that Lance gives it."""
    from lance.schema import LanceSchema

    found: dict[DiskPath, int] = {}

    def walk(items: Sequence[Any], path: DiskPath) -> None:
        for item in items:
            here, children = (*path, item.name()), item.children()
            if children:
                walk(children, here)
            else:
                found[here] = item.id()

    walk(LanceSchema.from_pyarrow(schema).fields(), ())
    return found


def _moved(files: Sequence[Any], numbers: Mapping[DiskPath, int], target: Mapping[DiskPath, int]) -> list[Any]:
    """Return data files that serve the wanted columns under their new field numbers; files without any are left out."""
    from lance.fragment import DataFile

    paths = {number: path for path, number in numbers.items()}
    moved = []
    for file in files:
        pairs = [
            (target[paths[number]], place)
            for number, place in zip(file.fields, file.column_indices, strict=True)
            if paths.get(number) in target
        ]
        if pairs:
            fields, places = (list(column) for column in zip(*pairs, strict=True))
            version = (file.file_major_version, file.file_minor_version)
            moved.append(DataFile(file.path, fields, places, *version, file.file_size_bytes))
    return moved
