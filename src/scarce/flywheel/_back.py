"""The champion before the present one comes back at once, and the data that it stands on with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from scarce.errors import DataError, ScarceError
from scarce.flywheel.mirror import mirror
from scarce.flywheel.promote import CHAMPION
from scarce.state import PROMOTIONS

if TYPE_CHECKING:
    from scarce.project import Project

WHO: Final = "flywheel.rollback"
TAKEN_BACK: Final = "taken back: "
ROLLED_BACK: Final = "rolled back"


def rollback(project: Project, *, why: str = "", keep_data: bool = False) -> dict[str, Any]:
    """Put the champion before this one back, and the data that it stands on as the newest version.

    A rollback that was killed before the data was back is finished, and goes no further back. Where that data was
    pruned the model goes back all the same, and the newest data stays.

    Args:
        project: with at least two champions in its history.
        why: said in the ledger.
        keep_data: leave the data as it is.

    Returns:
        ``champion``, ``was``, ``version`` (that now is the newest), ``restored`` (whose content it holds; None where
        the data stayed) and ``notes`` (sentences for people).

    Raises:
        DataError: there was none before, or its folder is gone.
        ConflictError: somebody else promoted meanwhile.
    """
    now = project.state.aliases().get(CHAMPION)
    if now is None:
        raise DataError(WHO, "there is no @champion", do="promote a model first")
    begun = None if keep_data else _begun(project, now)
    if begun is not None:
        notes = ["An earlier rollback was interrupted before its data was back; it is finished now."]
        back = project.restore(begun["version_after"])
        return {"champion": now, "was": begun["was"], "version": back, "restored": begun["version_after"],
                "notes": [*notes, *_left(project)]}  # fmt: skip
    before = before_now(project, now)
    version, notes = None if keep_data else before["version"], []
    if version is not None and not _is_there(project, version):
        notes.append(f"The data {version}, which {before['target']} stands on, was pruned: the newest data stays. "
                     f"scarce rebuild {project.folder} can make it again from its sources.")  # fmt: skip
        version = None
    head = project.head
    same = version is None or head is None or _content(project, head) == _content(project, version)
    text = f"{TAKEN_BACK}{now}" + f": {why}" * bool(why)
    project.state.move_aliases(
        [{"name": CHAMPION, "target": before["target"], "version": before["version"], "why": text}],
        {"decision": f"rollback {before['target']}", "verdict": ROLLED_BACK, "kept": True, "version_before": head,
         "version_after": version or head, "champion": before["target"], "was": now, "why": text},
        expected={CHAMPION: now},
    )  # fmt: skip
    new = head if same else project.restore(str(version))
    return {"champion": before["target"], "was": now, "version": new, "restored": None if same else version,
            "notes": [*notes, *([] if same else _left(project)), *filter(None, [mirror(project)])]}  # fmt: skip


def _left(project: Project) -> list[str]:
    """Say how many labels the data lacks now, and what brings them back."""
    from scarce.flywheel._stranded import stranded

    found = stranded(project, project.dataset())
    return [] if found is None else [f"{found.say(project.folder)} With --keep-data they would have stayed."]


def _begun(project: Project, now: str) -> dict[str, Any] | None:
    """Return the row of a rollback whose data is not back, where nothing was committed since; else None."""
    row = next(reversed(project.state.ledger(PROMOTIONS)), None)
    if row is None or row["verdict"] != ROLLED_BACK or row["champion"] != now:
        return None
    head, wanted = project.head, row["version_after"]
    if head is None or head != row["version_before"] or wanted is None or not _is_there(project, wanted):
        return None
    return None if _content(project, head) == _content(project, wanted) else row


def before_now(project: Project, now: str) -> dict[str, Any]:
    """Return the last meaning of @champion before the present one that still has its model: what a rollback brings.

    Raises:
        DataError: there is none.
    """
    rows = project.state.alias_history(CHAMPION)
    given_up: set[str] = {now}
    for row in reversed(rows):
        if (row["why"] or "").startswith(TAKEN_BACK):
            given_up.add(str(row["why"]).removeprefix(TAKEN_BACK).partition(": ")[0])
        elif row["target"] is not None and row["target"] not in given_up:
            if (project.models / row["target"] / "card.json").is_file():
                return row
            given_up.add(row["target"])
    raise DataError(WHO, f"no champion before {now} is left",
                    f"there were {', '.join(dict.fromkeys(str(row['target']) for row in rows))}",
                    "promote another model")  # fmt: skip


def _is_there(project: Project, version: str) -> bool:
    try:
        project.store.version(version)
    except ScarceError:  # pruned
        return False
    return True


def _content(project: Project, version: str) -> str:
    return str(project.store.version(version).content_id)
