"""Manifests in JSON lines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import final

from scarce.io._base import AbstractReader, Options
from scarce.io._listing import Listing
from scarce.io._manifest import list_manifest
from scarce.io._tables import sniff
from scarce.modality.table import LINES


@final
@dataclass(frozen=True, kw_only=True)
class Jsonl(AbstractReader):
    """JSON lines (or a JSON list of objects) that name files, with label, split, group and time.

    Use when a folder holds ``metadata.jsonl``, or a tool writes one object a line.
    Writes: label, split, group, captured_at, mask_uri; every other key as meta.<name>, nested values as JSON text.
    """

    def accepts(self, path: Path) -> float:
        """Return how sure it is that a delimited table names files."""
        return sniff(path, ("manifest",), LINES)

    def listing(self, path: Path, options: Options) -> Listing:
        """Return the files that the table names."""
        return list_manifest(path, options)
