"""How findings are shown: each thing once, what is said of the whole first, samples by name and by what they say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from scarce.cli._screen import Tail, safe, table

if TYPE_CHECKING:
    from rich.console import Console

    from scarce.dataset import Dataset

Row = Mapping[str, Any]
SAME: Final = ("label_conflict", "consistency", "exact_duplicate", "near_duplicate", "same_object")
"""Checks that may tell of one group of copies; the first of them says most about it."""
WIDTHS: Final = (60, 40, 30)
"""Most characters of a sample's text beside its name, where one, two or three samples are named."""


class Names:
    """What people call the samples of a dataset: their files, and the beginning of what texts and rows say.

    Args:
        ds: N rows.
    """

    def __init__(self, ds: Dataset) -> None:
        from scarce.ballot import holds_content
        from scarce.columns import sample_names
        from scarce.modality.words import SAID

        self.ds, self.places = ds, sample_names(ds.table)
        self.says = ds.schema.modality in SAID and holds_content(ds)
        self._said: dict[str, str] = {}

    def words(self, ids: Sequence[str]) -> dict[str, str]:
        """Return sample id to all that it says; empty for pictures, sounds and series."""
        from scarce.modality.words import words_of

        new = [item for item in dict.fromkeys(ids) if item in self.places and item not in self._said]
        if not self.says:
            return {}
        if new:
            self._said |= dict(zip(new, words_of(self.ds, self.ds.rows_of(new)), strict=True))
        return {item: self._said[item] for item in ids if item in self._said}

    def __call__(self, members: Sequence[str] | None) -> str:
        """Return the samples (or class names) that something is about, for a table: three at most."""
        from scarce.modality.words import shortened

        members = list(members or ())
        shown = members[: len(WIDTHS)]
        said, width = self.words(shown), WIDTHS[max(len(shown), 1) - 1]
        parts = [
            self.places.get(item, item) + (f' "{shortened(said[item], width)}"' if said.get(item) else "")
            for item in shown
        ]
        more = len(members) - len(shown)
        return ", ".join(parts) + f" and {more} more" * (more > 0)

    def told(self, ids: Iterable[str]) -> dict[str, str]:
        """Return sample id to its file and, of a text or a row, the beginning of what it says, for a plan."""
        from scarce.modality.words import shortened

        known = [item for item in dict.fromkeys(ids) if item in self.places]
        said = self.words(known)
        return {
            item: self.places[item] + (f": {shortened(said[item])}" if said.get(item) else "") for item in known
        }  # fmt: skip

    def cell(self, members: Sequence[str] | None, head: str = "") -> str | Tail:
        """Return the cell of a narrow column: files keep their ends, texts their beginnings."""
        members = list(members or ())
        if self.says:
            return head + self(members)
        more = len(members) - len(WIDTHS)
        shown = [self.places.get(item, item) for item in members[: len(WIDTHS)]]
        return Tail(shown, head, f" and {more} more" * (more > 0))


def told_once(found: Mapping[str, Sequence[Row]]) -> dict[str, list[Row]]:
    """Return each check's findings without groups that another check of the same run tells, too.

    A group is left out where all of its members stand in one group of a check that comes before in :data:`SAME`.
    """
    out = {name: list(rows) for name, rows in found.items()}
    groups: list[frozenset[str]] = []
    home: dict[str, set[int]] = {}
    for name in SAME:
        kept = []
        for row in out.get(name, ()):
            members = frozenset(row["members"] or ())
            if row["level"] == "group" and members and set.intersection(*(home.get(item, set()) for item in members)):
                continue
            kept.append(row)
        for row in kept:
            if row["level"] == "group":
                for item in row["members"] or ():
                    home.setdefault(item, set()).add(len(groups))
                groups.append(frozenset(row["members"] or ()))
        if name in out:
            out[name] = kept
    return {name: _same_words(rows) for name, rows in out.items()}


def _same_words(rows: Sequence[Row]) -> list[Row]:
    """Return the rows with samples of which the same is said in one, together with what says it of the whole."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    out: list[Row] = []
    for row in rows:
        level, why = row["level"], row["why"] or ""
        first = found.get(("data", why)) or found.get(("sample", why))
        if level == "sample" and why and first is not None:
            first["members"] = [*(first["members"] or ()), *row["members"]]
            continue
        if level in ("data", "sample"):
            row = found[level, why] = dict(row)
        out.append(row)
    return out


def draw_checks(console: Console, counts: Mapping[str, int], left_out: Mapping[str, str]) -> None:
    """Print how many things each check found, and why others did not run."""
    rows = [
        (name, counts.get(name, "not run"), left_out.get(name, "")) for name in sorted({*counts, *left_out})
    ]  # fmt: skip
    names = ("check", "findings", "why not") if left_out else ("check", "findings")
    console.print(table(names, [row[: len(names)] for row in rows], right=("findings",)))


def draw_findings(console: Console, found: Mapping[str, Sequence[Row]], names: Names, limit: int) -> None:
    """Print, check by check, what is said of all data, then of classes, then the worst samples and groups.

    Args:
        console: where to.
        found: check to its findings.
        names: what samples are called.
        limit: at most so many lines about all data, about classes, and about samples.
    """
    shown = told_once(found)
    for name, rows in shown.items():
        levels = (["data"], ["class"], ["group", "sample", "box"])
        parts = [_worst([row for row in rows if row["level"] in level], limit, level) for level in levels]
        lines = [
            (_what(row, names), f"{row['score'] or 0:.2f}", row["why"]) for part in parts for row in part
        ]  # fmt: skip
        elsewhere = len(found[name]) - len(rows)
        if lines:
            console.print(table(("what", "score", "why"), lines, title=name, right=("score",)))
        if lines and len(rows) > len(lines):
            console.print(f"{name}: {len(rows) - len(lines):,} more lines (--limit, --json).")
        if elsewhere:
            console.print(f"{name}: {elsewhere:,} more groups are told by the checks for copies and conflicts.")


def _worst(rows: Sequence[Row], limit: int, level: Sequence[str]) -> Sequence[Row]:
    return rows[:limit] if level == ["data"] else sorted(rows, key=lambda row: -(row["score"] or 0))[:limit]


def _what(row: Row, names: Names) -> str:
    return "all" if row["level"] == "data" and not row["members"] else safe(names(row["members"]))
