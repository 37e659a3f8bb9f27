"""CSV manifests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, final

from scarce.io._base import AbstractReader, Options
from scarce.io._listing import Listing
from scarce.io._manifest import list_manifest
from scarce.io._outlet import Outlet
from scarce.io._rows import rows_of
from scarce.io._tables import sniff
from scarce.modality.table import DELIMITED


@final
@dataclass(frozen=True, kw_only=True)
class Csv(AbstractReader):
    """CSV manifests: one row names one file, with label, split, group, time and anything else.

    Use when labels stand in a table; comma, semicolon, tab or bar, with or without byte mark, UTF-8 or not. A folder
    that holds ``index.csv``, ``metadata.csv`` or ``manifest.csv`` is read through it.
    Writes: label, split, group, captured_at, mask_uri; every other column as meta.<name>.
    """

    writes: ClassVar[bool] = True
    ending: ClassVar[str] = ".csv"

    def accepts(self, path: Path) -> float:
        """Return how sure it is that a delimited table names files."""
        return sniff(path, ("manifest",), DELIMITED)

    def listing(self, path: Path, options: Options) -> Listing:
        """Return the files that the table names."""
        return list_manifest(path, options)

    def write(self, out: Outlet) -> None:
        """Write ``index.csv`` beside ``images/``, or one file."""
        out.rows(out.name or "index.csv", [row for _, row in rows_of(out)])
