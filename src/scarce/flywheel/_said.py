"""Tables of feedback: rows that people typed, exported or edited by hand, read so that no slip becomes a claim."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from scarce.errors import ReadError

WHO: Final = "flywheel.feedback"
KEYS: Final = ("request", "label", "confirm", "voter", "note")
SEPARATORS: Final = (",", ";", "\t")
LABELS: Final = ("class", "answer", "truth", "true_label", "true_class", "correct", "correct_label", "correction",
                 "corrected", "actual", "target", "category", "klasse", "wert")  # fmt: skip
"""Names of columns that are likely meant as the label."""
SHOWN: Final = 40


@dataclass(frozen=True, kw_only=True)
class Table:
    """What a file of feedback holds.

    Attributes:
        rows: by key, ``confirm`` true where the row confirms.
        refused: request and reason of each row that cannot be told apart from a slip.
        unread: columns that mean nothing here.
    """

    rows: tuple[dict[str, Any], ...]
    refused: tuple[dict[str, str], ...] = ()
    unread: tuple[str, ...] = ()


def read(path: Path) -> Table:
    """Return the rows of a table; see :func:`scarce.flywheel.feedback.read_csv`.

    Raises:
        ReadError: it cannot be read, or its header is not plain.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            text = file.read()
        head = text.partition("\n")[0]
        there = [one for one in SEPARATORS if one in head]
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=there[0] if len(there) == 1 else ",", strict=True)
        given = [name.strip() for name in next(lines, [])]
        names = _header(path, given)
        return _body(lines, names, tuple(name for name in given if name and name.lower() not in KEYS))
    except UnicodeDecodeError as error:
        raise ReadError(WHO, f"{path} is no UTF-8 text", do="save it as CSV in UTF-8") from error
    except (OSError, csv.Error) as error:
        if isinstance(error, ReadError):
            raise
        raise ReadError(WHO, f"{path} cannot be read ({error})", do="give a CSV file") from error


def shortened(text: str) -> str:
    """Return a text for messages, at most 40 characters long."""
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def _header(path: Path, given: Sequence[str]) -> list[str]:
    """Return the names of the columns in small letters.

    Raises:
        ReadError: a name that is needed is missing, there twice, or looks like a slip.
    """
    names = [name.lower() for name in given]
    told = f"its columns are {', '.join(shortened(name) for name in given if name) or 'none'}"
    if "request" not in names:
        raise ReadError(WHO, f"{path} has no column request", told, "give request and label, as scarce serve answered "
                        "them, with commas between the columns (or ; or tabs, one kind in the whole file)")  # fmt: skip
    for name in KEYS:
        if names.count(name) > 1:
            raise ReadError(WHO, f"{path} has {names.count(name)} columns {name!r}", told, "leave one of them")
    for name in names:
        if name not in KEYS and (near := get_close_matches(name, KEYS, n=1, cutoff=0.7)):
            raise ReadError(WHO, f"{path} has a column {shortened(name)!r}", f"did you mean {near[0]!r}?",
                            f"columns that are read: {', '.join(KEYS)}")  # fmt: skip
    if "label" not in names and "confirm" not in names:
        likely = next((name for name in given if name.lower() in LABELS), None)
        hint = f"is {likely!r} the label? Then call it label" if likely else told
        raise ReadError(WHO, f"{path} has neither a column label nor a column confirm", hint,
                        "give label (empty = the answer was right), or confirm with true")  # fmt: skip
    return names


def _truth(names: Sequence[str], cells: Sequence[str]) -> str:
    """Return the column that is not read, is filled, and is called as a label would be; empty = none.

    ``class`` is what the server calls its own answer: a table may bring it beside the labels.
    """
    return next((name for name, cell in zip(names, cells, strict=False)
                 if name in LABELS[1:] and cell.strip()), "")  # fmt: skip


def _body(lines: Any, names: Sequence[str], unread: tuple[str, ...]) -> Table:
    rows: list[dict[str, Any]] = []
    refused: list[dict[str, str]] = []
    line = lines.line_num + 1
    for cells in lines:
        number, line = line, lines.line_num + 1
        if not any(cell.strip() for cell in cells):
            continue
        row: dict[str, Any] = {name: cell for name, cell in zip(names, cells, strict=False) if name in KEYS}
        why = ""
        if len(cells) < len(names):
            why = f"line {number} has {len(cells)} of {len(names)} columns"
        elif any(cell.strip() for cell in cells[len(names) :]):
            why = (
                f"line {number} has {len(cells)} columns, the header {len(names)}; quote texts with separators in them"
            )
        elif not str(row.get("label") or "").strip() and (beside := _truth(names, cells)):
            why = f"line {number} gives no label, and the column {beside}, which is not read, says one"
        if why:
            refused.append({"request": str(row.get("request", "")).strip(), "why": why})
            continue
        if "confirm" not in names:
            row["confirm"] = not row["label"].strip()
        rows.append(row)
    return Table(rows=tuple(rows), refused=tuple(refused), unread=unread)
