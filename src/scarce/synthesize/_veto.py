"""What people refuse in a folder of made pictures: they delete a picture, or write a word into ``manifest.csv``."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from scarce.errors import DataError, ReadError

MANIFEST: Final = "manifest.csv"
VETO: Final = "veto"
"""The column for a reason; a sample with any text in it is refused. Also how the reason of such a sample begins."""


def write_manifest(out: Path, rows: Iterable[Mapping[str, str]]) -> None:
    """Write the accepted pictures as a table with an empty column for vetoes.

    Args:
        out: the folder.
        rows: ``file`` (relative), ``class`` and ``base`` (the picture that it was made on) of each.
    """
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow(["file", "class", "base", VETO])
    table.writerows([row["file"], row["class"], row["base"], ""] for row in rows)
    part = out / f".{MANIFEST}.part"
    part.write_text(text.getvalue(), "utf-8")
    part.replace(out / MANIFEST)


def vetoed(out: Path, files: Iterable[str]) -> dict[str, str]:
    """Return file to reason of the accepted pictures that a person refused since.

    Args:
        out: the folder.
        files: accepted pictures, relative.

    Raises:
        DataError: the manifest lost its columns ``file`` or ``veto``.
        ReadError: it is no text.
    """
    said: dict[str, str] = {}
    place = out / MANIFEST
    if place.is_file():
        try:
            rows = list(csv.DictReader(io.StringIO(place.read_text("utf-8-sig"), newline="")))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise ReadError("synthesize", f"{place} cannot be read ({error})", do="save it as UTF-8 CSV") from error
        if rows and not {"file", VETO} <= set(rows[0]):
            there = f"columns are {', '.join(map(str, rows[0]))}"
            raise DataError("synthesize", f"{place} has no column 'file' or {VETO!r}", there, "bring it back")
        said = {str(row["file"]): str(row[VETO] or "").strip() for row in rows}
    found = {}
    for file in files:
        if said.get(file):
            found[file] = f"{VETO}: {said[file]}"
        elif not (out / file).is_file():
            found[file] = f"{VETO}: a person deleted the picture"
    return found
