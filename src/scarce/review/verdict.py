"""What a review says so far, by kind and class."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from scarce.loop.answering import ASIDE, RIGHT, UNDO, UNSURE, UNSURE_OF, standing, verdict_of
from scarce.loop.asking import CLEAN, LABEL, kind_of
from scarce.metric import clopper_pearson

if TYPE_CHECKING:
    from scarce.project import Project

COUNTED: Final = {RIGHT: "right", LABEL: "relabeled", ASIDE: "set_aside", UNSURE: "unsure"}


@dataclass(kw_only=True)
class Result:
    """Verdicts about one class.

    Attributes:
        kind: what was asked about.
        name: the class that was asked about: the label, or where there was none what the model took it for; "" = none.
        right, relabeled, set_aside, unsure: how many.
        share_right, low, high: of those that somebody was sure about, with its exact 95 % interval.
        seconds: what it took.
        reviewers: who.
    """

    kind: str
    name: str
    right: int = 0
    relabeled: int = 0
    set_aside: int = 0
    unsure: int = 0
    share_right: float | None = None
    low: float | None = None
    high: float | None = None
    seconds: float = 0.0
    reviewers: tuple[str, ...] = ()


def results(project: Project) -> list[Result]:
    """Return what was said in reviews so far, by kind and class; each person's last word on a sample counts."""
    labels: dict[str | None, dict[str, str | None]] = {}
    found: dict[tuple[str, str], Result] = {}
    for row in standing(_reviews(project)):
        verdict, reason = verdict_of(row)
        if verdict not in COUNTED:
            continue
        seen = labels.setdefault(row["version"], _labels(project, row["version"]))
        guess = reason.removeprefix(UNSURE_OF) if reason.startswith(UNSURE_OF) else ""
        key = (kind_of(reason), seen.get(row["sample"]) or guess)
        result = found.setdefault(key, Result(kind=key[0], name=key[1]))
        same = verdict == LABEL and row["label"] == key[1]
        name = COUNTED[RIGHT if same else verdict]
        setattr(result, name, getattr(result, name) + 1)
        result.seconds += row["seconds"] or 0.0
        result.reviewers = tuple(sorted({*result.reviewers, row["voter"]}))
    for result in found.values():
        n = result.right + result.relabeled + result.set_aside
        if n:
            result.share_right = result.right / n
            result.low, result.high = clopper_pearson(result.right, n)
    return [found[key] for key in sorted(found)]


def _reviews(project: Project) -> list[dict[str, Any]]:
    """Return the annotations that answer questions of a review, each kind of question by itself."""
    rows = project.state.annotations()
    return [row for row in rows if (row["kind"] == "human" and kind_of(verdict_of(row)[1]) not in (LABEL, CLEAN))
            or verdict_of(row)[0] == UNDO]  # fmt: skip


def _labels(project: Project, version: str | None) -> dict[str, str | None]:
    """Return sample to label in a version."""
    table = project.store.open(version).table if version else project.dataset().table
    by_id: dict[str, str | None] = defaultdict(lambda: None)
    by_id.update(zip(table["id"].to_pylist(), table["label"].to_pylist(), strict=True))
    return by_id
