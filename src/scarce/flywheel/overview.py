"""Production at a glance: what ``scarce status`` shows of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scarce.flywheel import kpi
from scarce.flywheel._standing import looks_of
from scarce.flywheel._stranded import stranded
from scarce.flywheel.plan import plan
from scarce.flywheel.promote import CHALLENGER, CHAMPION
from scarce.state import PROMOTIONS

if TYPE_CHECKING:
    from scarce.dataset import Dataset
    from scarce.project import Project

LAST, TOLD = 5, ("at", "decision", "verdict", "why")
"""So many decisions and alarms are told, and this of each decision."""


def overview(project: Project, ds: Dataset | None) -> dict[str, Any]:
    """Return plan, figures, aliases, labels left behind, decisions about models, alarms of drift, as plain values."""
    found = kpi.measure(project, ds)
    champion, decisions = _meaning(project, CHAMPION), project.state.ledger(PROMOTIONS)
    looks = looks_of(project, champion["target"] if champion else None)
    left = stranded(project, ds) if ds is not None else None
    return {
        "stranded": None if left is None else {**vars(left), "said": left.say(project.folder)},
        "plan": plan(project, found, ds).to_json(), "kpis": found.to_json(),
        CHAMPION: champion, CHALLENGER: _meaning(project, CHALLENGER),
        "promotions": [{key: row.get(key) for key in TOLD} for row in decisions[-LAST:]],
        "alarms": [{"at": at.isoformat(), "said": said} for at, said in looks.alarms[-LAST:]],
        "looked_for_drift": looks.at[-1].isoformat() if looks.at else None,
        "state_lost": project.head is not None and not project.state.intents(),
    }  # fmt: skip


def _meaning(project: Project, name: str) -> dict[str, Any] | None:
    """Return which model an alias means, on which data, and since when; None = nothing."""
    last = next(iter(project.state.alias_history(name)[::-1]), None)
    return {key: last[key] for key in ("target", "version", "at")} if last and last["target"] else None
