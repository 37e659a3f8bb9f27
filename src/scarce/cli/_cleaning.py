"""What ``scarce clean`` shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scarce.cli._screen import table

if TYPE_CHECKING:
    from rich.console import Console

    from scarce.clean import Action, Applied
    from scarce.cli._findings import Names
    from scarce.cli._screen import Screen, Tail

ELASTIC = ("samples", "new", "why")
KINDS = ("set_aside", "bring_back", "merge", "relabel", "resplit", "ask")


@dataclass
class Done:
    """What a cleaning did, or would do."""

    actions: list[Action] = field(default_factory=list)
    version: str | None = None
    asked: int = 0
    waiting: int = 0
    verb: str = "carried out"

    @property
    def wanted(self) -> list[Action]:
        """The actions that are carried out, and no mere proposals."""
        return [action for action in self.actions if action.apply and action.kind != "ask"]

    def to_json(self, names: Names) -> dict[str, Any]:
        """Return plain values; ``files`` and ``content`` say what people call the samples and what those say."""
        return {
            "version": self.version, "counts": {kind: sum(a.kind == kind for a in self.actions) for kind in KINDS},
            "carried_out": len(self.wanted) if self.version else 0, "asked": self.asked,
            "unanswered": self.waiting, "actions": [_told(action, names) for action in self.actions],
        }  # fmt: skip

    def draw(self, console: Console, names: Names, limit: int, *, dry_run: bool) -> None:
        """Show the actions and what became of them."""
        rows = [
            (item.id, item.kind.replace("_", " "), "yes" if item.apply and item.kind != "ask" else "proposed",
             names.cell(item.samples), _becomes(item, names), item.reason)
            for item in self.actions[:limit]
        ]  # fmt: skip
        if rows:
            console.print(table(("id", "action", "apply", "samples", "new", "why"), rows, elastic=ELASTIC))
        if len(self.actions) > limit:
            console.print(f"{len(self.actions) - limit:,} more: --limit {len(self.actions)}")
        wanted, proposed = len(self.wanted), len(self.actions) - len(self.wanted)
        said = f"{self.version}: actions {self.verb}: {wanted}" if self.version else "nothing was changed"
        said += f"; {proposed} proposed" * (self.verb != "undone")
        said += f" ({wanted} would be {self.verb})" * (dry_run and bool(wanted))
        said += f"; {self.asked} questions wait in the review queue" * bool(self.asked)
        console.print(said + f"; {self.waiting} have no answer yet" * bool(self.waiting))


def _told(action: Action, names: Names) -> dict[str, Any]:
    said = names.words(action.samples)
    return {
        **action.to_json(), "files": [names.places.get(item, item) for item in action.samples],
        "content": [said.get(item) for item in action.samples] if said else None,
    }  # fmt: skip


def _becomes(action: Action, names: Names) -> str | Tail:
    """Return what an action makes of its samples, for people."""
    if action.into is not None:
        return names.cell([action.into], "copy of ")
    return " ".join(sorted({str(new) for new in action.new if new})) if action.kind in ("relabel", "resplit") else ""


def show_history(out: Screen, done: list[Applied], names: Names, limit: int) -> None:
    """Show what was carried out so far, newest first."""
    shown = done[::-1]

    def draw(console: Console) -> None:
        rows = [
            (item.action.id, item.state, item.at[:16].replace("T", " "), item.action.kind.replace("_", " "),
             names.cell(item.action.samples), item.action.reason)
            for item in shown[:limit]
        ]  # fmt: skip
        if not rows:
            console.print("nothing was carried out yet")
            return
        console.print(table(("id", "", "at", "action", "samples", "why"), rows, elastic=ELASTIC))
        if len(shown) > limit:
            console.print(f"{len(shown) - limit:,} more: --limit {len(shown)}")
        console.print("scarce clean --undo ID takes one back; the others stay.")

    out.show({"applied": [item.to_json() for item in shown]}, draw)
