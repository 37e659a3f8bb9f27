"""Side files of versions: findings, votes and steps, named by the hash of their bytes, written before the commit."""

from __future__ import annotations

import io
import json
import os
import zlib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from scarce.errors import StoreError
from scarce.lineage import Step, canonical_json, digest

STEPS_A_FILE = 16
"""So many steps share a file; a version points at the last file, and each file at the one before."""
VotePart = tuple[str, int]


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
        """Read an Arrow table with the given column types."""
        return pq.read_table(pa.BufferReader(self.get(name))).cast(schema)

    def put_steps(self, steps: Sequence[Step], *, before: tuple[str | None, int]) -> str | None:
        """Write the steps that follow the first ``before[1]`` ones, which ``before[0]`` holds; return the last file."""
        last, known = before
        new = [step.to_json() for step in steps[known:]]
        while new:
            body = self._steps_file(last) if last else {"before": None, "steps": []}
            if len(body["steps"]) >= STEPS_A_FILE:
                body = {"before": last, "steps": []}
            room = STEPS_A_FILE - len(body["steps"])
            body["steps"] += new[:room]
            new = new[room:]
            last = self.put(zlib.compress(canonical_json(body).encode(), 9), "steps")
        return last

    def get_steps(self, last: str | None) -> tuple[Step, ...]:
        """Return all steps, oldest first."""
        found: list[Step] = []
        while last:
            body = self._steps_file(last)
            found[:0] = [Step.from_json(item) for item in body["steps"]]
            last = body["before"]
        return tuple(found)

    def steps_files(self, last: str | None, seen: set[str]) -> None:
        """Add the names of a chain of step files to a set."""
        while last and last not in seen:
            seen.add(last)
            last = self._steps_file(last)["before"]

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
