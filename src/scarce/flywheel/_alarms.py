"""Alarms of drift in words, the same in ``scarce status`` and ``scarce round``, and which of them a round acts on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from scarce.flywheel._journal import DONE, KIND
from scarce.flywheel._seen import CALIBRATION, INPUT, NEW_CLASS, PREDICTION
from scarce.flywheel.drift import meaning

if TYPE_CHECKING:
    from scarce.project import Project

Row = Mapping[str, Any]
WHAT: Final = {
    INPUT: "samples look different", PREDICTION: "answers are others than before",
    CALIBRATION: "probabilities are no longer honest", NEW_CLASS: "strange samples lie together",
}  # fmt: skip
DO: Final = {
    INPUT: "Check {} first: more training does not mend that, and a round trains nothing for it.",
    PREDICTION: "If production really changed, nothing is wrong; else label some of these samples. A round trains "
                "nothing for it.",
    CALIBRATION: "Until a challenger is trained with the confirmed samples, thresholds let through another share than "
                 "they say.",
}  # fmt: skip
CAMERA: Final = {"image": "camera, light and lens"}
"""What to check first where samples look different, by kind of data."""


def headline(row: Row) -> str:
    """Return what an alarm says, in a line: ``samples look different (brightness: median 0.4 before, 0.6 now)``.

    Args:
        row: of :func:`scarce.flywheel.drift.last_alarms`.
    """
    kind, name = str(row["kind"]), str(row["name"])
    said = str(row["said"]) if name == kind else f"{name}: {row['said']}"
    return f"{WHAT.get(kind, kind)} ({said})"


def told(rows: Sequence[Row], modality: str) -> list[str]:
    """Return a sentence about each alarm, and then what to do about each kind of them.

    Args:
        rows: of :func:`scarce.flywheel.drift.last_alarms`.
        modality: kind of the project's data.
    """
    found = [f"Alarm: {headline(row)}." for row in rows]
    return [*found, *dict.fromkeys(line for row in rows for line in _advice(row, modality))]


def new_classes(rows: Iterable[Row]) -> list[Row]:
    """Return the groups of samples that may be a new class, not those that another camera or light explains better.

    Only these start a round: their samples are asked about at once.
    """
    return [group for row in rows if row["kind"] == NEW_CLASS for group in row["groups"] if not group["others_too"]]


def handled(project: Project) -> str | None:
    """Return the time of the newest alarm that a round has told; None = of none."""
    done = [row["body"] for row in project.state.rounds(KIND) if row["status"] == DONE]
    return done[-1].get("alarm_at") if done else None


def unhandled(rows: Iterable[Row], until: str | None) -> list[Row]:
    """Return the alarms that are later than the newest one that was handled."""
    return [row for row in rows if until is None or row["at"] > until]


def _advice(row: Row, modality: str) -> list[str]:
    if row["kind"] == NEW_CLASS:
        return sorted({meaning(group) for group in row["groups"] if group["others_too"]})
    return [DO[row["kind"]].format(CAMERA.get(modality, "where the samples come from"))]
