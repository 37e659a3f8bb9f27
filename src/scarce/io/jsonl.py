"""Manifests in JSON lines."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, final

from scarce.io._base import AbstractReader, Options
from scarce.io._listing import Listing
from scarce.io._manifest import list_manifest
from scarce.io._outlet import Outlet
from scarce.io._rows import rows_of
from scarce.io._tables import sniff
from scarce.modality.table import LINES


@final
@dataclass(frozen=True, kw_only=True)
class Jsonl(AbstractReader):
    """JSON lines (or a JSON list of objects) that name files, with label, split, group and time.

    Use when a folder holds ``metadata.jsonl``, or a tool writes one object a line.
    Writes: label, split, group, captured_at, mask_uri; every other key as meta.<name>, nested values as JSON text.
    """

    writes: ClassVar[bool] = True
    ending: ClassVar[str] = ".jsonl"

    def accepts(self, path: Path) -> float:
        """Return how sure it is that a delimited table names files."""
        return sniff(path, ("manifest",), LINES)

    def listing(self, path: Path, options: Options) -> Listing:
        """Return the files that the table names."""
        return list_manifest(path, options)

    def write(self, out: Outlet) -> None:
        """Write ``index.jsonl`` beside ``images/``, or one file."""
        rows = [{key: value for key, value in row.items() if value is not None} for _, row in rows_of(out)]
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        out.text(out.name or "index.jsonl", "".join(f"{line}\n" for line in lines))
