"""What a round takes in and what it asks: feedback and answers, a look for drift, questions to people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from scarce.errors import DataError, ScarceError
from scarce.flywheel.draw import HEAD, OWNERS, admitted, ask
from scarce.flywheel.drift import Settings, drift
from scarce.flywheel.pool import beside, folder_of, id_of
from scarce.flywheel.promote import CHAMPION
from scarce.loop.asking import LABEL, put
from scarce.state import DRIFT

if TYPE_CHECKING:
    from scarce.flywheel._journal import Journal, Result
    from scarce.project import Project

LOOK_HOURS: Final = 24.0
"""A round looks for drift itself where the last look is older."""
GROUP: Final = f"{LABEL}: {HEAD}, new class?"
"""So begin questions about samples that may be of a new class."""
ALL_OF_IT: Final = "larger than the pool"
"""What the choice says where everything is asked about."""
ASKED: Final = 20
"""Questions about one group, the most central samples first."""


def look(project: Project, *, seed: int, now: datetime | None = None) -> list[str]:
    """Look for drift where the last look is old and something was answered since; return what kept it from that."""
    now = now or datetime.now(UTC)
    if project.state.aliases().get(CHAMPION) is None:
        return []
    looks = project.state.ledger(DRIFT)
    last = datetime.fromisoformat(looks[-1]["until"]) if looks else None
    if last is not None and now - last < timedelta(hours=LOOK_HOURS):
        return []
    if not project.state.predictions(since=_text(last or now - timedelta(days=Settings.days))):
        return []
    try:
        drift(project, Settings(rate=project.config.flywheel.drift_rate, seed=seed), now=now)
    except DataError as error:
        return [f"Drift was not looked for: {plain(error)}"]
    return []


def asking_due(project: Project, *, seed: int, workers: int | None) -> tuple[bool, list[str]]:
    """Return whether people would be asked about something now, and if not, why: the draw itself says so, dry.

    Args:
        project: any.
        seed: of the draw.
        workers: threads at most; None = all cores.
    """
    try:
        found = ask(project, dry_run=True, seed=seed, workers=workers)
    except DataError as error:
        return False, [f"Nobody is asked: {plain(error)}"]
    return bool(found.rows), [] if found.rows else [f"Nobody is asked: {_told(note)}" for note in found.notes]


def ask_people(project: Project, *, seed: int, workers: int | None) -> Result:
    """Ask about what is worth most within the budget."""
    try:
        found = ask(project, seed=seed, workers=workers)
    except DataError as error:
        return {"asked": 0, "waiting": waiting(project), "notes": [f"Nobody is asked: {plain(error)}"]}
    return {"asked": len(found.rows), "waiting": found.waiting,
            "notes": [_told(note) for note in found.notes], "period": found.budget.period,
            "left": found.budget.left}  # fmt: skip


def plain(error: ScarceError) -> str:
    """Return what an error says to people: sentences, without the part of scarce that speaks."""
    return " ".join(_told(part) for part in (error.what, error.there, error.do) if part)


def _told(text: str) -> str:
    """Return a sentence; that of a budget is told without what is left of it beside the audit."""
    if ALL_OF_IT in text:
        text = "there is less to ask about than the budget would pay for: all of it is asked about"
    return text[:1].upper() + text[1:] + "." * (not text.endswith((".", "?")))


def ask_about(project: Project, groups: Sequence[Mapping[str, Any]], journal: Journal) -> Result:
    """Ask about the most central samples of groups that may be new classes, at once and beside the budget.

    They join the data as samples without a label.
    """
    ds = project.dataset()
    kept = {one.name for one in folder_of(project).iterdir()} if folder_of(project).is_dir() else set()
    wanted = {name: group for group in groups for name in list(group["members"])[:ASKED] if name in kept}
    if not wanted:
        lost = "The samples of the alarm were not kept: to ask about such ones, set keep_images = true below [serve]."
        return {"asked": 0, "version": None, "notes": [lost] * bool(groups)}
    names = {name: id_of(project, ds, name) for name in wanted}
    known = set(ds.ids.astype(str).tolist())
    when = {row["sample"]: row["at"] for row in project.state.predictions(samples=sorted(wanted))}
    rows = [{"sample": name, "at": when.get(name), "inclusion": None, "split": None}
            for name in sorted(wanted) if names[name] not in known]  # fmt: skip
    version = journal.adopted("possible new classes")
    if rows:
        ds = admitted(project, beside(project, ds, rows, written=True))
        version = journal.commit(ds, "possible new classes", OWNERS)
    asked = put(project, [
        {"sample": names[name], "reason": f"{GROUP} nearest to {group['nearest']}, and {group['size']} lie together",
         "priority": 1.0, "version": project.head} for name, group in wanted.items()
    ])  # fmt: skip
    return {"asked": asked, "version": version, "notes": []}


def waiting(project: Project, head: str = f"{LABEL}: ") -> int:
    """Return how many questions for a label wait."""
    return sum(row["reason"].startswith(head) for row in project.state.queue())


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds")
