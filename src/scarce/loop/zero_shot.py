"""Zero-shot labels of a project: what is sure becomes a version, the rest goes to the review queue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from scarce.label.zero_shot import Proposal, apply, built, label_shares, propose, seconds_saved
from scarce.loop.answering import UNSURE_OF
from scarce.loop.measure import with_features, with_scan
from scarce.loop.rounds import picked

if TYPE_CHECKING:
    from scarce.dataset import Dataset
    from scarce.project import Project

LAST: Final = 0.01
"""What is unsure comes after the drawn samples that a review asks about."""


@dataclass(frozen=True)
class Written:
    """What became of a proposal.

    Attributes:
        version: the new version; None where nothing changed.
        asked: rows that newly wait in the queue.
        settled: entries of the queue that need no person any more.
        shares: source to its share of the labels afterwards.
        seconds_saved: that people would have needed for the labels that were taken over.
    """

    version: str | None
    asked: int
    settled: int
    shares: Mapping[str, float]
    seconds_saved: float

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "version": self.version, "asked": self.asked, "settled": self.settled, "label_shares": dict(self.shares),
            "seconds_saved": self.seconds_saved,
        }  # fmt: skip


def proposed(  # noqa: PLR0913 - the options of the command, each by keyword
    project: Project,
    method: str | None = None,
    *,
    precision: float | None = None,
    per_class: bool = False,
    unproven: bool = False,
    settings: Mapping[str, Any] | None = None,
    workers: int | None = None,
    seed: int = 0,
) -> tuple[Dataset, Proposal]:
    """Return the newest version and what could be labelled in it, with the project's settings; nothing is changed.

    Args:
        project: the project.
        method: its name; None = that of [label.zero_shot].
        precision: wanted; None = that of [label.zero_shot].
        per_class: see :func:`scarce.label.zero_shot.propose`.
        unproven: see there.
        settings: parameters of the method, above those of [label.zero_shot.<method>].
        workers: threads; None = all cores.
        seed: of folds.
    """
    section = project.config.label.zero_shot
    given = dict(settings or {})
    name = built(method or section.method, given).plugin_name()
    chosen = built(name, {**section.plugins.get(name, {}), **given})
    ds = with_scan(project, project.dataset(), workers=workers)
    if name == "prototype" and getattr(chosen, "encoder", "") == "auto":
        ds = with_features(project, ds, workers=workers, seed=seed)
    found = propose(
        ds, chosen, precision=section.precision if precision is None else precision, per_class=per_class,
        unproven=unproven, picked=picked(project), cache=project.features, workers=workers, seed=seed,
    )  # fmt: skip
    return ds, found


def write(project: Project, ds: Dataset, proposal: Proposal) -> Written:
    """Commit the labels, put unsure rows into the queue and take sure ones off it.

    Args:
        project: the project.
        ds: the version that the proposal was made for.
        proposal: what :func:`proposed` returned.
    """
    after = apply(ds, proposal)
    changed = not after.table.select(["label", "label_source"]).equals(ds.table.select(["label", "label_source"]))
    version = project.commit(after, "label: zero-shot", owner=("label",)) if changed else None
    ids, names, codes = ds.ids[proposal.rows], ds.schema.classes, proposal.codes
    waiting = {row["sample"]: row["number"] for row in project.state.queue() if row["reason"].startswith(UNSURE_OF)}
    sure = set(ids[proposal.taken].tolist())
    settled = [number for sample, number in waiting.items() if sample in sure]
    project.state.settle(settled, "overtaken")
    doubt = 1 - proposal.probs.max(axis=1)
    rows = [
        {"sample": str(ids[place]), "reason": f"{UNSURE_OF}{names[codes[place]]}",
         "priority": float(doubt[place]) * LAST, "version": version or project.head}
        for place in np.flatnonzero(~proposal.taken) if ids[place] not in waiting
    ]  # fmt: skip
    project.state.ask(rows)
    saved = seconds_saved(int(proposal.taken.sum()), [row["seconds"] for row in project.state.annotations()])
    return Written(version, len(rows), len(settled), label_shares(after), saved)
