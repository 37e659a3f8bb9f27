"""Versions on disk: commit, open, log, tag, branch, diff, restore, prune.

A version is one atomic Lance transaction on the narrow table, sorted by id, that carries its own record: parent,
branch, message, schema, sources, and the names of its side files (findings, votes, steps). A killed process leaves the
last version whole; what it had half written is removed by the next opening or commit, under the project's lock.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from scarce import columns, lineage
from scarce._clash import clash
from scarce._lance import Table, spoken
from scarce._lock import FileLock
from scarce._objects import Objects
from scarce._recover import mend
from scarce._version import MAIN, NUMBERED, Version, check_name, places_of, source_of
from scarce.dataset import Dataset, Schema
from scarce.errors import ConflictError, DataError, ScarceError, StoreError, unknown_name
from scarce.invariant import invariants, refuse
from scarce.lineage import Changes, Step

RETRIES = 20
Change = Callable[[Dataset], Dataset]


class Store:
    """The versions of one project.

    Args:
        folder: holds ``data.lance``, ``objects`` and ``lock``; made on the first commit.
        root: folder that relative source paths start from; the parent of ``folder`` by default.
        patience_seconds: how long to wait for another process that commits.
    """

    def __init__(self, folder: str | Path, *, root: str | Path | None = None, patience_seconds: float = 120.0) -> None:
        self.folder = Path(folder)
        self.root = Path(root) if root is not None else self.folder.parent
        self.objects = Objects(self.folder / "objects")
        self._table = Table(self.folder / "data.lance")
        self._lock = FileLock(self.folder / "lock", patience_seconds=patience_seconds)
        self._dirty = self.folder / "writing"

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Hold the lock inside this block if nobody else does; yield whether it is held."""
        try:
            held = self._lock.take(wait=False)
        except OSError:  # read-only places have nobody who writes, and nothing to mend
            held = False
        try:
            yield held
        finally:
            if held:
                self._lock.release()

    def recover(self) -> bool:
        """Remove what a killed process left, unless somebody is writing now; return whether there was anything."""
        if not self._dirty.exists():
            return False
        with self.alone() as held:
            return held and self._mend()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the project's lock; what a killed process left is removed first."""
        with spoken(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._lock.held():
                self._mend()
                yield

    def commit(
        self,
        ds: Dataset,
        *,
        parent: str | None,
        message: str = "",
        owner: str | Sequence[str] | None = None,
        **more: Any,
    ) -> str:
        """Write a version and return its name.

        Args:
            ds: what to write; wide arrays are not part of a version.
            parent: the version it was made from, which must still be the head; None for the first one.
            message: one line for people.
            owner: the stage or stages that made the change; they may write only their own columns. None = a person.
            **more: ``branch`` (main), ``intent`` (id of the SQL intent), ``notes`` (violations that only warn).

        Raises:
            ConflictError: the head is no longer ``parent``.
            ContractError: a rule of the data type would be broken.
            StoreError: the disk is full or the folder is read-only.
        """
        owners = (owner,) if isinstance(owner, str) else None if owner is None else tuple(owner)
        draft = Version(message=message, owner=owners, **more)
        with self.locked():
            head = self.head(draft.branch)
            if head != parent:
                what = f"{draft.branch} has moved from {parent or 'nothing'} to {head or 'nothing'}"
                do = "do it again: it then builds on the new version (in Python: commit_with_retry)"
                raise ConflictError("store", what, do=do)
            before = self.open(parent) if parent else None
            refuse("store", invariants(ds, before, draft.owner))
            return self._write(ds, replace(draft, parent=parent), base=before, share=parent)

    def commit_with_retry(
        self, change: Change, *, message: str = "", owner: str | Sequence[str] | None = None, **more: Any
    ) -> str:
        """Apply a change to the head and commit it; when somebody was faster, do it again on the new head.

        Appended rows with new ids, and edits of different rows, both hold in the end. The same id appended twice, or
        the same row decided upon twice, is refused.

        Args:
            change: makes the new value from the present one; it may be called several times.
            message: one line for people.
            owner: the stage or stages that make the change.
            **more: as for :meth:`commit`.

        Raises:
            ConflictError: the other change and this one cannot both hold; the message says where they meet.
        """

        def write(ds: Dataset, parent: str | None) -> str:
            return self.commit(ds, parent=parent, message=message, owner=owner, **more)

        return self.retry(change, write, branch=str(more.get("branch", MAIN)))

    def retry(self, change: Change, write: Callable[[Dataset, str | None], str], *, branch: str = MAIN) -> str:
        """Do what :meth:`commit_with_retry` does with a commit of the caller's own, ``write(ds, parent)``."""
        head = self.head(branch)
        base = self.open(head) if head else _nothing()
        result = change(base)
        for _ in range(RETRIES):
            try:
                return write(result, head)
            except ConflictError:
                now = self.head(branch)
                if now == head or now is None:
                    raise
            theirs = self.open(now)
            clash(base, result, theirs, now)
            try:
                result = change(theirs)
            except ScarceError as error:
                what = f"the change does not fit {now}, which came first: {error}"
                raise ConflictError("store", what, do=f"look at {now} and do it again") from error
            head, base = now, theirs
        what = f"{branch} moved {RETRIES} times meanwhile"
        raise ConflictError("store", what, do="do it again when less is going on")

    def open(self, ref: str | None = None) -> Dataset:
        """Return a version, named by number (``v3``), tag or branch; the head of ``main`` by default.

        Raises:
            UnknownNameError: there is no such version.
            StoreError: the version is damaged or of a later format.
        """
        version = self.version(ref)
        with spoken(self.folder):
            table = self._table.read(version.number)
        ids = table["id"]
        if len(ids) > 1 and not pc.all(pc.less(ids.slice(0, len(ids) - 1), ids.slice(1))).as_py():
            raise StoreError("store", f"{version.name} is not sorted by id", do="restore an earlier version")
        steps = self.objects.get_steps(version.steps[0])
        schema, sources = version.data_schema(), version.sources.items()
        return Dataset(
            schema, table, {name: source_of(places, self.root) for name, places in sources}, steps=steps,
            findings=self.objects.get_findings(version.findings),
            votes=self.objects.get_votes(version.votes, columns.VOTE),
            traces={steps[-1].step_id: (table, asdict(schema))} if steps else {},
        )  # fmt: skip

    def row(self, version: Version, sample: str) -> dict[str, Any] | None:
        """Return one sample of a version as column to value; None where it has none."""
        with spoken(self.folder):
            rows: list[dict[str, Any]] = self._table.row(version.number, sample).to_pylist()
        return rows[0] if rows else None

    def version(self, ref: str | None = None) -> Version:
        """Return what a version says about itself.

        Raises:
            UnknownNameError: there is no such version.
        """
        number = self._resolve(ref)
        with spoken(self.folder):
            return self._record(number)

    def head(self, branch: str = MAIN) -> str | None:
        """Return the newest version of a branch; None for an empty main.

        Raises:
            UnknownNameError: there is no such branch.
        """
        starts = self._starts()
        if branch != MAIN and branch not in starts:
            raise unknown_name("store", "branch", branch, [MAIN, *starts])
        if not self._table.exists():
            return None
        with spoken(self.folder):
            for number in reversed(self._table.numbers()):
                if self._record(number).branch == branch:
                    return f"v{number}"
        return starts.get(branch)

    def log(self) -> list[Version]:
        """Return all versions, newest first."""
        with spoken(self.folder):
            return [self._record(number) for number in reversed(self._table.numbers())]

    def tags(self) -> dict[str, str]:
        """Return the users' tags with their versions."""
        with spoken(self.folder):
            return {name: f"v{number}" for name, number in self._table.tags().items() if not NUMBERED.fullmatch(name)}

    def tag(self, name: str, ref: str | None = None) -> None:
        """Give a version a name of the user's own; pruning keeps it.

        Raises:
            StoreError: the name is taken or no plain word.
        """
        check_name("tag", name)
        with self.locked():
            if name in self.tags() or name in self.branches():
                raise StoreError("store", f"{name!r} is taken", do=f"choose another, or scarce tag {name} --delete")
            self._table.tag(name, self._resolve(ref))

    def untag(self, name: str) -> None:
        """Forget a tag; the version stays.

        Raises:
            UnknownNameError: there is no such tag.
        """
        with self.locked():
            if name not in self.tags():
                raise unknown_name("store", "tag", name, self.tags())
            self._table.untag(name)

    def branches(self) -> dict[str, str | None]:
        """Return all branches with their heads."""
        return {name: self.head(name) for name in (MAIN, *self._starts())}

    def branch(self, name: str, ref: str | None = None) -> None:
        """Start a branch at a version; commits to it leave all others alone.

        Raises:
            StoreError: the name is taken or no plain word.
        """
        check_name("branch", name)
        with self.locked():
            if name in self.branches() or name in self.tags():
                raise StoreError("store", f"the name {name!r} is taken", do="choose another")
            body = {**self._starts(), name: f"v{self._resolve(ref)}"}
            part = self.folder / "branches.part"
            part.write_text(json.dumps(body), encoding="utf-8")
            part.replace(self.folder / "branches.json")

    def restore(self, ref: str, *, branch: str = MAIN, message: str = "") -> str:
        """Bring an old version's content back as a new version; newer versions stay. Return the new name."""
        with self.locked():
            old, head = self.version(ref), self.head(branch)
            ds = self.open(old.name).with_step(Step(stage="store", name="restore", params={"version": old.name}))
            draft = Version(parent=head, branch=branch, message=message or f"restore {old.name}", restored=old.name)
            return self._write(ds, draft, base=ds, share=old.name)

    def diff(self, old: str | None, new: str | None = None) -> Changes:
        """Return what differs between two versions, at the level of samples and labels."""
        before, after = self.open(old), self.open(new)
        return lineage.compare(before.table, after.table, classes=(before.schema.classes, after.schema.classes))

    def verify(self, ref: str | None = None) -> None:
        """Read a version and compare its content with the hash it was committed with.

        Raises:
            StoreError: they differ, or a side file is damaged.
        """
        version = self.version(ref)
        ds = self.open(version.name)
        if lineage.content_id(ds.table, asdict(ds.schema)) != version.content_id:
            what = f"{version.name} does not hold what was committed"
            raise StoreError("store", what, do="restore an earlier version")

    def prune(self, keep: int, *, needed: Iterable[str] = ()) -> list[str]:
        """Delete old versions and return their names; the only thing that ever deletes.

        Args:
            keep: so many of the newest versions stay, at least 1; tagged versions and heads of branches stay too.
            needed: names of versions that stay as well; those that are gone already do not matter.
        """
        if keep < 1:
            raise DataError("store", f"keep = {keep}", do="keep at least one version")
        with self.locked():
            numbers = self._table.numbers()
            named = (*self.tags().values(), *self.branches().values(), *needed)
            safe = {*numbers[-keep:], *(int(name[1:]) for name in named if name and NUMBERED.fullmatch(name))}
            gone = [number for number in numbers if number not in safe]
            self._dirty.write_text(json.dumps(gone), encoding="utf-8")
            self._mend()
        return [f"v{number}" for number in gone]

    def size(self) -> dict[str, float]:
        """Return bytes on disk, in all and per row and version, and the number of versions."""
        files = (item for place in (self._table.path, self.objects.folder) for item in place.rglob("*"))
        total = sum(item.stat().st_size for item in files if item.is_file())
        with spoken(self.folder):
            rows = [self._record(number).rows for number in self._table.numbers()]
        return {"bytes": total, "versions": len(rows), "bytes_per_row_and_version": total / max(sum(rows), 1)}

    def fulfilled(self, intent: str) -> str | None:
        """Return the version that carries an intent, or None."""
        return next((item.name for item in self.log() if item.intent == intent), None)

    def _write(self, ds: Dataset, draft: Version, *, base: Dataset | None, share: str | None) -> str:
        table, schema = columns.sort(ds.table), asdict(ds.schema)
        numbers = self._table.numbers()
        steps = lineage.seal(ds.steps, ds.traces, (table, schema))
        old = self.version(share) if share else Version()
        self._dirty.touch()
        version = replace(
            draft,
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            rows=len(table),
            content_id=lineage.content_id(table, schema),
            schema=schema,
            sources={name: places_of(path, self.root) for name, path in ds.sources.items()},
            findings=self.objects.put_findings(ds.findings, old.findings),
            votes=self.objects.put_votes(ds.votes, old.votes),
            steps=self.objects.put_steps(steps, base.steps if base else (), old.steps),
        )
        number = self._table.write(
            table, version.to_record(), base=(old.number, base.table) if share and base else None,
            head=numbers[-1] if numbers else None,
        )  # fmt: skip
        self._table.tag(f"v{number}", number)
        self._dirty.unlink()
        return f"v{number}"

    def _record(self, number: int) -> Version:
        raw = self._table.record(number)
        if not raw:
            what = f"v{number} of {self._table.path} was not written by scarce"
            raise StoreError("store", what, do="write through scarce")
        return Version.from_record(f"v{number}", raw)

    def _resolve(self, ref: str | None) -> int:
        numbers = self._table.numbers()
        if not numbers:
            what = f"there is no version yet in {self.folder}"
            raise StoreError("store", what, do="read some data first: scarce add SOURCE")
        if ref is None or ref == MAIN or ref in self._starts():
            ref = self.head(ref or MAIN) or f"v{numbers[-1]}"
        if NUMBERED.fullmatch(ref) and int(ref[1:]) in numbers:
            return int(ref[1:])
        tags = self._table.tags()
        if ref not in tags or NUMBERED.fullmatch(ref):
            raise unknown_name(
                "store", "version", ref, [*(f"v{number}" for number in numbers[-6:]), *self.tags(), *self._starts()]
            )
        return tags[ref]

    def _starts(self) -> dict[str, str]:
        try:
            body: dict[str, str] = json.loads((self.folder / "branches.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return body

    def _mend(self) -> bool:
        return mend(self._dirty, self._table, self.objects, lambda number: self._record(number).parts())


def _nothing() -> Dataset:
    return Dataset.from_columns(Schema(), {"id": []})
