"""Texts in tables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import final

from scarce.ballot import NO_CONTENT
from scarce.errors import DataError
from scarce.io._base import AbstractReader, Options
from scarce.io._listing import INFO, WARN, Listing, Note
from scarce.io._tables import no_label, open_parts, row_listing, sniff
from scarce.modality.table import SUFFIXES

ONLY_VOTES = NO_CONTENT + ": samples are known by column {0!r} alone"


@final
@dataclass(frozen=True, kw_only=True)
class Text(AbstractReader):
    """Texts in CSV, Parquet or JSON lines: one row is one text.

    Use when a column holds sentences, reviews, comments; it is found by its name or as the longest one, or named.
    Writes: label, split (a column, or files called train, valid, test), group, captured_at; the rest as meta.<name>.
    """

    def accepts(self, path: Path) -> float:
        """Return how sure it is that a table holds texts."""
        return sniff(path, ("text",), SUFFIXES)

    def listing(self, path: Path, options: Options) -> Listing:
        """Return the rows of the tables."""
        opened = open_parts(path, options)
        lost = next((one for one in opened if one.roles.text is None), None)
        if lost:
            names = ", ".join(lost.loaded.table.column_names[:20])
            what = f"{lost.part.file.name} has no text column"
            raise DataError("io.text", what, f"it has {names}", "name it with --text COLUMN")
        found = row_listing(path, opened, options, modality="text", what=[one.roles.text or "" for one in opened])
        texts = [text for one in opened for text in one.loaded.table[one.roles.text].to_pylist()]
        if its_item := opened[0].roles.item:
            only = its_item == opened[0].roles.text
            found.notes += [Note("data", ONLY_VOTES.format(its_item), WARN)] if only else []
        found.reasons = ["empty: no text" if text is None or not str(text).strip() else None for text in texts]
        its = opened[0].roles
        if its.text and its.text.lower() != "text":
            found.notes.append(Note("data", f"column {its.text!r} is taken as the text", INFO))
        if its.label is None and not opened[0].votes:
            found.notes.append(no_label(opened[0]))
        elif its.label and its.label.lower() not in ("label", "class"):
            found.notes.append(Note("data", f"column {its.label!r} is taken as the label", INFO))
        return found
