"""Parquet manifests and Parquet files with embedded pictures or sounds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import final

from scarce.io._base import AbstractReader, Options
from scarce.io._listing import Listing
from scarce.io._manifest import list_manifest
from scarce.io._tables import sniff
from scarce.modality.table import PARQUET


@final
@dataclass(frozen=True, kw_only=True)
class Parquet(AbstractReader):
    """Parquet: manifests that name files, and tables whose cells hold pictures or sounds.

    Use when a Parquet file (or one per split, or shards of the ``datasets`` library) has a column of file names, or of
    bytes, or of structs with ``bytes``. Class numbers get the names that the schema keeps for them.
    Writes: label, split, group, captured_at, mask_uri; every other column as meta.<name>.
    """

    def accepts(self, path: Path) -> float:
        """Return how sure it is that a delimited table names files."""
        return sniff(path, ("manifest", "embedded"), PARQUET)

    def listing(self, path: Path, options: Options) -> Listing:
        """Return the files that the table names."""
        return list_manifest(path, options)
