"""What operators say about predictions: confirmed or corrected, by whom, when, and what it is worth.

A correction is worth most, a confirmation of an unsure answer is worth something, one of a sure answer little. Feedback
that people gave because a model was unsure says nothing about its accuracy; only what was drawn at random does
(``inclusion``, the probability with which it was drawn).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from scarce.errors import DataError, closest
from scarce.flywheel._said import KEYS, WHO, Table, read, shortened

if TYPE_CHECKING:
    from scarce.project import Project

CONFIRMED, CORRECTED = "confirmed", "corrected"
HIGH, MEDIUM, LOW = "high", "medium", "low"
SURE: Final = 0.7
"""Confirmations of answers below this probability are worth more."""
MANY: Final = 500


@dataclass(frozen=True, kw_only=True)
class Said:
    """What became of feedback.

    Attributes:
        kept: rows that were written.
        confirmed, corrected: how many of them were which.
        repeated: rows that said what the same person had said before; nothing was written for them.
        refused: request and reason of each row that cannot be kept.
    """

    kept: int
    confirmed: int
    corrected: int
    repeated: int
    refused: tuple[dict[str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"kept": self.kept, "confirmed": self.confirmed, "corrected": self.corrected,
                "repeated": self.repeated, "refused": [dict(row) for row in self.refused]}  # fmt: skip


def worth_of(kind: str, probability: float | None, *, sure: float = SURE) -> str:
    """Return what feedback is worth: ``high``, ``medium`` or ``low``.

    Example:
        >>> worth_of("corrected", 0.99), worth_of("confirmed", 0.6), worth_of("confirmed", 0.9)
        ('high', 'medium', 'low')
    """
    if kind == CORRECTED:
        return HIGH
    return MEDIUM if probability is None or probability < sure else LOW


def give(
    project: Project, rows: Iterable[Mapping[str, Any]], *, source: str, voter: str = "", new_classes: bool = False,
    sure: float | None = None,
) -> Said:  # fmt: skip
    """Keep feedback about logged predictions, in one transaction: all rows that can be kept, or none.

    Args:
        project: whose predictions they are about.
        rows: ``request`` (the id that came with a prediction), and ``label``, or ``confirm`` = true; ``voter`` and
            ``note`` where there are any.
        source: how it came: ``http``, ``cli``, ``csv``.
        voter: who said it where a row does not.
        new_classes: accept labels that are no class of the project; they are kept as a wish for a new class.
        sure: confirmations below this probability are worth more; None = that of the settings.

    Raises:
        DataError: a row has a key that nobody knows.
        StoreError: the database cannot be written; nothing was kept.
    """
    below = project.config.flywheel.sure if sure is None else sure
    given = [_clean(row, number) for number, row in enumerate(rows, start=1)]
    known = _predictions(project, [row["request"] for row in given if row["request"]])
    head = project.head
    classes = tuple(project.store.version(head).schema["classes"]) if head else ()
    said: list[dict[str, Any]] = []
    refused: list[dict[str, str]] = []
    for row in given:
        about = known.get(row["request"])
        why = _refusal(row, about, () if new_classes else classes, source)
        if why is not None or about is None:
            refused.append({"request": row["request"], "why": why or ""})
            continue
        label = row["label"] or about["label"]
        kind = CONFIRMED if label == about["label"] else CORRECTED
        said.append({
            "sample": about["sample"], "model": about["model"], "predicted": about["label"], "label": label,
            "note": row["note"] or None, "request": row["request"], "kind": kind,
            "worth": worth_of(kind, about["probability"], sure=below), "source": source,
            "voter": row["voter"] or voter or "operator",
            "probability": about["probability"], "inclusion": about["inclusion"],
        })  # fmt: skip
    fresh = project.state.add_new_feedback(said) if said else []
    confirmed = sum(row["kind"] == CONFIRMED for row in fresh)
    return Said(kept=len(fresh), confirmed=confirmed, corrected=len(fresh) - confirmed,
                repeated=len(said) - len(fresh), refused=tuple(refused))  # fmt: skip


def read_csv(path: str | Path) -> Table:
    """Return the rows of a CSV file with columns ``request``, ``label`` (empty = confirmed), ``voter``, ``note``.

    Names of columns may be in any case, separated by commas, semicolons or tabs. With a column ``confirm`` only what
    it holds (true, yes, 1) confirms. A row of another length than the header is refused, since a cell that is missing
    is no confirmation.

    Raises:
        ReadError: it cannot be read, has neither ``label`` nor ``confirm``, or a column twice.
    """
    return read(Path(path))


def latest(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return what holds now for each request: the label that most people gave last, the newest where they differ.

    What people said who were asked about a drawn sample (``inclusion``) outweighs what came by itself.
    """
    by_person: dict[tuple[str, str], Mapping[str, Any]] = {}
    for row in rows:
        if row["request"]:
            by_person[row["request"], row["voter"] or ""] = row
    found: dict[str, list[Mapping[str, Any]]] = {}
    for (request, _), row in by_person.items():
        found.setdefault(request, []).append(row)
    out = {}
    for request, every in found.items():
        own = [row for row in every if row["inclusion"] is not None] or every
        counts: dict[str, int] = {}
        for row in own:
            counts[row["label"]] = counts.get(row["label"], 0) + 1
        best = max(own, key=lambda row: (counts[row["label"]], row["number"]))
        out[request] = dict(best)
    return out


def _clean(row: Mapping[str, Any], number: int) -> dict[str, Any]:
    strange = sorted(set(row) - set(KEYS))
    if strange:
        raise DataError(WHO, f"row {number} has {strange[0]!r}", closest(strange[0], KEYS), "use these keys only")
    text = {key: str(row.get(key) or "").strip() for key in ("request", "label", "voter", "note")}
    confirm = row.get("confirm")
    said = confirm is True or str(confirm or "").strip().lower() in {"1", "true", "yes", "y"}
    return {**text, "confirm": said}


def _refusal(
    row: Mapping[str, Any], about: Mapping[str, Any] | None, classes: tuple[str, ...], source: str
) -> str | None:
    """Return why a row cannot be kept, or None."""
    if not row["request"]:
        return "it names no request"
    if about is None:
        return f"no prediction with the id {shortened(row['request'])} was logged"
    if not row["label"] and not row["confirm"]:
        return "it neither confirms nor names a label"
    if not row["label"] and about["label"] is None:
        return "the model gave no answer that could be confirmed; name a label"
    if row["label"] and classes and row["label"] not in classes:
        how = "?new_classes=true" if source == "http" else "--new-classes"
        near = closest(row["label"], classes)
        return f"{shortened(row['label'])!r} is no class of the project; {near}; a new class is kept with {how}"
    return None


def _predictions(project: Project, requests: list[Any]) -> dict[Any, dict[str, Any]]:
    found: dict[Any, dict[str, Any]] = {}
    for start in range(0, len(requests), MANY):
        part = project.state.predictions(requests=requests[start : start + MANY])
        found |= {row["request"]: row for row in part}
    return found
