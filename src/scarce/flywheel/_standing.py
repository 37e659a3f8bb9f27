"""What a project has: counts of real samples, models, aliases, open questions, labels given, alarms."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from scarce.dataset import Dataset, Mask
from scarce.errors import ScarceError
from scarce.flywheel._alarms import handled, headline, unhandled
from scarce.flywheel._learnt import counts_of, more_than
from scarce.flywheel._outcomes import sound_of
from scarce.flywheel._served import unserved_champion
from scarce.flywheel.drift import last_alarms
from scarce.flywheel.feedback import LOW
from scarce.flywheel.promote import CHALLENGER, CHAMPION, proposal
from scarce.state import DRIFT, PROMOTIONS

if TYPE_CHECKING:
    from scarce.project import Project

LABEL: Final = "label: "
"""So begin questions for a label."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What is there.

    Attributes:
        version: newest data; None = none yet.
        train: class to real, kept, labelled training samples.
        test: class to independent groups of them in test.
        normal: names of the sound classes.
        modality: kind of data.
        unlabelled: real, kept samples without a label.
        split: whether the data is split.
        models: how many there are.
        champion: what answers; None = nothing.
        challenger: what ``@challenger`` means; None = nothing.
        judged: the newest verdict about it; empty = none.
        proposed: whether it is proven better than the champion and waits for a person.
        fresh: training samples that got a label since the newest model was trained; None = not known.
        asked: questions for a label that wait for an answer.
        answers: answers and feedback that are not in the data yet.
        unserved: what the champion does that keeps it from being answered over HTTP; empty = it is answered.
    """

    version: str | None = None
    train: Mapping[str, int] = field(default_factory=dict)
    test: Mapping[str, int] = field(default_factory=dict)
    normal: tuple[str, ...] = ()
    modality: str = "image"
    unlabelled: int = 0
    split: bool = False
    models: int = 0
    champion: str | None = None
    challenger: str | None = None
    judged: str = ""
    proposed: bool = False
    fresh: int | None = None
    asked: int = 0
    answers: int = 0
    unserved: str = ""


@dataclass(frozen=True, kw_only=True)
class Looks:
    """Looks for drift.

    Attributes:
        at: when somebody looked, UTC, oldest first.
        alarms: when there was an alarm, and in words, oldest first.
        open: the alarms of the latest look, where it was at the present champion and no round has told them.
    """

    at: tuple[datetime, ...] = ()
    alarms: tuple[tuple[datetime, str], ...] = ()
    open: tuple[Mapping[str, Any], ...] = ()


def standing_of(project: Project, ds: Dataset | None) -> Standing:
    """Return what a project has.

    Args:
        project: any.
        ds: its newest data; None = no version yet.
    """
    aliases, cards = project.state.aliases(), _cards(project)
    shared: dict[str, Any] = {
        "models": len(cards), "champion": aliases.get(CHAMPION), "challenger": aliases.get(CHALLENGER),
        "asked": sum(row["reason"].startswith(LABEL) for row in project.state.queue()),
        "judged": _judged(project, aliases.get(CHALLENGER)), "proposed": proposal(project) is not None,
        "answers": _loose(project),
        "unserved": unserved_champion(project, aliases.get(CHAMPION)),
    }  # fmt: skip
    if ds is None:
        return Standing(**shared)
    real = ds["keep"].astype(bool) & (ds["origin"] == "real")
    split = ds["split"] if "split" in ds.table.column_names else np.full(len(ds), None, object)
    held = np.isin(split.astype(str), ("val", "test"))
    return Standing(
        version=project.head, normal=sound_of(project, ds), modality=ds.schema.modality, split=bool(held.any()),
        train=_counts(ds, real & ~held), test=_groups(ds, real & (split == "test")),
        unlabelled=int((real & (ds["label"] < 0)).sum()), fresh=_fresh(project, ds, real & ~held, cards), **shared,
    )  # fmt: skip


def looks_of(project: Project, champion: str | None) -> Looks:
    """Return the looks for drift and their alarms."""
    rows = project.state.ledger(DRIFT)
    if not rows:
        return Looks()
    alarms, latest = last_alarms(project, looks=len(rows))[::-1], rows[-1]["at"]
    return Looks(
        at=tuple(_moment(row["at"]) for row in rows),
        alarms=tuple((_moment(row["at"]), headline(row)) for row in alarms),
        open=tuple(row for row in unhandled(alarms, handled(project))
                   if row["at"] == latest and row["champion"] == champion),
    )  # fmt: skip


def _judged(project: Project, challenger: str | None) -> str:
    """Return the newest verdict about a challenger; empty = there is none since it is the challenger."""
    for row in reversed(project.state.ledger(PROMOTIONS)):
        if row.get("challenger") == challenger:
            return "" if row["decision"].startswith("challenge ") else str(row["verdict"])
    return ""


def defects_wanted(project: Project, model: str | None) -> int | None:
    """Return how many more defects would prove the detection rate, as the last look at a model counted; None = none."""
    try:
        body = json.loads((project.reports / f"evaluate-{model}.json").read_text(encoding="utf-8"))
        return int(body["operating_point"]["more_defects"]["0.99"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _counts(ds: Dataset, rows: Mask) -> dict[str, int]:
    labels = ds["label"][rows & (ds["label"] >= 0)]
    counts = np.bincount(labels, minlength=len(ds.schema.classes)) if len(ds.schema.classes) else np.zeros(0, int)
    return {name: int(n) for name, n in zip(ds.schema.classes, counts, strict=True)}


def _groups(ds: Dataset, rows: Mask) -> dict[str, int]:
    from scarce.folds import groups_of

    groups = groups_of(ds)
    return {name: len(np.unique(groups[rows & (ds["label"] == code)])) for code, name in enumerate(ds.schema.classes)}


def _loose(project: Project) -> int:
    """Return how many answers, and how much feedback that is worth it, came after the newest version."""
    loose = len(project.state.annotations(frozen=False))
    if project.head is None:
        return loose
    made = _moment(project.store.version(project.head).at)
    folder = project.folder / ".scarce" / "production"
    said = {row["sample"] for row in project.state.feedback()
            if row["source"] != "queue" and row["worth"] != LOW and _moment(row["at"]) > made}  # fmt: skip
    return loose + len([sample for sample in said if (folder / sample).is_file()])


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _cards(project: Project) -> list[dict[str, Any]]:
    """Return the cards of all models, the newest last; damaged ones are left out."""
    found = []
    for place in sorted(project.models.glob("*/card.json"), key=lambda card: card.stat().st_mtime):
        try:
            found.append(json.loads(place.read_text(encoding="utf-8")))
        except ValueError:
            continue
    return found


def _fresh(project: Project, ds: Dataset, rows: Mask, cards: list[dict[str, Any]]) -> int | None:
    """Return how many training samples have a label that the newest model's data did not have.

    Where that data was pruned they are counted against the model's card; None = no model, or none that says so.
    """
    version = (cards[-1].get("data") or {}).get("version") if cards else None
    if version is None:
        return None
    if version == project.head:
        return 0
    try:
        then = project.store.open(version)
    except ScarceError:  # pruned
        counts = counts_of(cards[-1])
        return None if counts is None else min(more_than(ds, counts), int((rows & (ds["label"] >= 0)).sum()))
    known = then.ids[then["label"] >= 0].astype(str)
    now = ds.ids[rows & (ds["label"] >= 0)].astype(str)
    return int((~np.isin(now, known)).sum())
