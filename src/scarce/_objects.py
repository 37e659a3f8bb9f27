"""Side files of versions: findings, votes and steps, named by the hash of their bytes, written before the commit."""

from __future__ import annotations

import io
import json
import os
import zlib
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from scarce.columns import FINDING
from scarce.errors import StoreError
from scarce.lineage import Step, canonical_json, digest

STEPS_A_FILE = 16
"""So many steps share a file; a version points at the last file, and each file at the one before."""
VotePart: TypeAlias = tuple[str, int]
FindingPart: TypeAlias = tuple[str, str, int]
StepsPart: TypeAlias = tuple[str | None, int]


class Objects:
    """A folder of immutable files named by their content.

    Args:
        folder: made on the first write.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, data: bytes, ending: str) -> str:
        """Write bytes once and return their name."""
        name = f"{digest(data)}.{ending}"
        path = self.folder / name
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f"{name}.{os.getpid()}.part")
            part.write_bytes(data)
            part.replace(path)
        return name

    def get(self, name: str) -> bytes:
        """Return the bytes of a name.

        Raises:
            StoreError: the file is missing or does not hold what its name says.
        """
        try:
            data = (self.folder / name).read_bytes()
        except FileNotFoundError as error:
            raise StoreError("store", f"the side file {name} is missing", do="bring it back from a backup") from error
        if digest(data) != name.partition(".")[0]:
            raise StoreError("store", f"the side file {name} was changed or damaged", do="bring it back from a backup")
        return data

    def put_table(self, table: pa.Table) -> str:
        """Write an Arrow table."""
        buffer = io.BytesIO()
        pq.write_table(table.combine_chunks(), buffer, compression="zstd", store_schema=False)
        return self.put(buffer.getvalue(), "parquet")

    def get_table(self, name: str, schema: pa.Schema) -> pa.Table:
        """Read an Arrow table with the given column types.

        In this thread: a thread of Arrow's that lets go of the bytes while Python ends aborts the process.
        """
        return pq.ParquetFile(pa.BufferReader(self.get(name))).read(use_threads=False).cast(schema)

    def put_findings(self, findings: pa.Table, old: Sequence[FindingPart]) -> tuple[FindingPart, ...]:
        """Write the findings of each check; those that did not change keep their file."""
        known = {(check, rows): name for check, name, rows in old}
        found: list[FindingPart] = []
        for check in pc.unique(findings["check"]).to_pylist():
            part = findings.filter(pc.equal(findings["check"], check))
            name = known.get((check, len(part)))
            if name is None or not self.get_table(name, FINDING).equals(part):
                name = self.put_table(part)
            found.append((check, name, len(part)))
        return tuple(found)

    def get_findings(self, parts: Sequence[FindingPart]) -> pa.Table:
        """Return the findings of all checks."""
        tables = [self.get_table(name, FINDING) for _, name, _ in parts]
        return pa.concat_tables(tables) if tables else FINDING.empty_table()

    def put_steps(self, steps: Sequence[Step], before: Sequence[Step], old: StepsPart) -> StepsPart:
        """Write the steps that follow those of an earlier version, if they begin with them.

        Args:
            steps: all steps, oldest first.
            before: the earlier version's steps.
            old: where those lie.
        """
        last, known = old
        if not _begins(steps, before[:known]) or len(before) < known:
            last, known = None, 0
        new = [step.to_json() for step in steps[known:]]
        while new:
            body = self._steps_file(last) if last else {"before": None, "steps": []}
            if len(body["steps"]) >= STEPS_A_FILE:
                body = {"before": last, "steps": []}
            room = STEPS_A_FILE - len(body["steps"])
            body["steps"] += new[:room]
            new = new[room:]
            last = self.put(zlib.compress(canonical_json(body).encode(), 9), "steps")
        return last, len(steps)

    def get_steps(self, last: str | None) -> tuple[Step, ...]:
        """Return all steps, oldest first."""
        found: list[Step] = []
        while last:
            body = self._steps_file(last)
            found[:0] = [Step.from_json(item) for item in body["steps"]]
            last = body["before"]
        return tuple(found)

    def used(self, parts: Iterable[Iterable[str]]) -> set[str]:
        """Return the names of all files that some versions need; ``parts`` names those that each points at."""
        seen: set[str] = set()
        for names in parts:
            for name in names:
                last: str | None = name
                while last and last not in seen:
                    seen.add(last)
                    last = self._steps_file(last)["before"] if last.endswith(".steps") else None
        return seen

    def put_votes(self, votes: pa.Table, parts: Sequence[VotePart]) -> tuple[VotePart, ...]:
        """Write what was added to a long table; parts of similar size are joined, so that few files remain."""
        known = sum(rows for _, rows in parts)
        kept = list(parts)
        if known > len(votes) or (known and not self.get_votes(parts, votes.schema).equals(votes.slice(0, known))):
            kept, known = [], 0
        if known == len(votes):
            return tuple(kept)
        while kept and kept[-1][1] <= len(votes) - known:
            known -= kept.pop()[1]
        return (*kept, (self.put_table(votes.slice(known)), len(votes) - known))

    def get_votes(self, parts: Sequence[VotePart], schema: pa.Schema) -> pa.Table:
        """Return the long table that the parts make up."""
        tables = [self.get_table(name, schema) for name, _ in parts]
        return pa.concat_tables(tables) if tables else schema.empty_table()

    def sweep(self, keep: Collection[str]) -> list[str]:
        """Delete all files that no version names; return their names."""
        if not self.folder.is_dir():
            return []
        gone = [path for path in self.folder.iterdir() if path.name not in keep]
        for path in gone:
            path.unlink(missing_ok=True)
        return [path.name for path in gone]

    def _steps_file(self, name: str) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(zlib.decompress(self.get(name)))
        return body


def _begins(steps: Sequence[Step], start: Sequence[Step]) -> bool:
    head = steps[: len(start)]
    return tuple(head) == tuple(start) or [step.step_id for step in head] == [step.step_id for step in start]
