"""Production at a glance: what ``scarce status`` shows of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scarce.flywheel import kpi
from scarce.flywheel._standing import alarms_of
from scarce.flywheel.plan import plan
from scarce.flywheel.promote import CHALLENGER, CHAMPION
from scarce.state import PROMOTIONS

if TYPE_CHECKING:
    from scarce.dataset import Dataset
    from scarce.project import Project

LAST, TOLD = 5, ("at", "decision", "verdict", "why")
"""So many decisions and alarms are told, and this of each decision."""


def overview(project: Project, ds: Dataset | None) -> dict[str, Any]:
    """Return plan, figures, aliases, decisions about models and alarms of drift, as plain values."""
    found = kpi.measure(project, ds)
    alarms, decisions = alarms_of(project), project.state.ledger(PROMOTIONS)
    return {
        "plan": plan(project, found, ds).to_json(), "kpis": found.to_json(),
        **{name: _meaning(project, name) for name in (CHAMPION, CHALLENGER)},
        "promotions": [{key: row.get(key) for key in TOLD} for row in decisions[-LAST:]],
        "alarms": [{"at": row.at.isoformat(), "said": row.why, "open": row.open} for row in alarms[-LAST:]],
        "state_lost": project.head is not None and not project.state.intents(),
    }  # fmt: skip


def _meaning(project: Project, name: str) -> dict[str, Any] | None:
    """Return which model an alias means, on which data, and since when; None = nothing."""
    last = next(iter(project.state.alias_history(name)[::-1]), None)
    return {key: last[key] for key in ("target", "version", "at")} if last and last["target"] else None
