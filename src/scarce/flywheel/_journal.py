"""What a round has done so far, in the database: each step's result is written as soon as it is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from scarce.errors import ConflictError

if TYPE_CHECKING:
    from scarce.dataset import Dataset
    from scarce.project import Project

KIND: Final = "turn"
OPEN, DONE, OVERTAKEN = "open", "done", "overtaken"
DRAW: Final = "queue: "
"""So begin the messages of versions that a draw of questions makes; it has a journal of its own."""
Result = dict[str, Any]


class Journal:
    """The record of one round of a project.

    Args:
        project: whose round it is.
        number: counted from 1.
        body: what is known: ``head`` (the version that the next step works on) and ``steps`` (name to result).
    """

    def __init__(self, project: Project, number: int, body: Mapping[str, Any]) -> None:
        self.project, self.number, self.body = project, number, dict(body)

    @classmethod
    def begin(cls, project: Project, **body: Any) -> Journal:
        """Begin a round."""
        body = {"kind": KIND, "steps": {}, **body}
        return cls(project, project.state.open_round(body, body["head"]), body)

    @classmethod
    def unfinished(cls, project: Project) -> Journal | None:
        """Return the round that a killed process left; None where there is none."""
        rows = project.state.rounds(KIND)
        if not rows or rows[-1]["status"] != OPEN:
            return None
        return cls(project, len(rows), rows[-1]["body"])

    @property
    def head(self) -> str:
        """The version that the next step works on."""
        return str(self.body["head"])

    @property
    def steps(self) -> dict[str, Result]:
        """Results by step."""
        found: dict[str, Result] = self.body["steps"]
        return found

    def once(self, step: str, do: Callable[[], Result]) -> Result:
        """Return what a step gave; do it where that is not known, and write it down.

        A result with ``version`` moves the head that the next step works on.
        """
        if step not in self.steps:
            found = do()
            self.body["steps"] = {**self.steps, step: found}
            self.body["head"] = found.get("version") or self.head
            self._write(OPEN)
        return self.steps[step]

    def close(self, status: str = DONE, **more: Any) -> None:
        """End the round."""
        self.body |= more
        self._write(status)

    def overtaken(self) -> bool:
        """Return whether somebody else has committed since; what this round itself committed does not count."""
        head = self.project.head
        if head in (None, self.head):
            return False
        version = self.project.store.version(head)
        own = (self._message(""), DRAW) if "groups" in self.steps else (self._message(""),)
        return version.parent != self.head or not version.message.startswith(own)

    def adopted(self, step: str) -> str | None:
        """Return the version that a killed process wrote for this step; None = there is none."""
        head = str(self.project.head)
        version = self.project.store.version(head)
        return head if version.parent == self.head and version.message == self._message(step) else None

    def commit(self, ds: Dataset, step: str, owner: tuple[str, ...]) -> str:
        """Write a step's version; a version that a killed process wrote for the same step is taken as it is.

        Raises:
            ConflictError: somebody else has committed since.
            ContractError: the contract or a rule of the data would be broken.
        """
        self.project.dataset()  # the head that the commit then builds on, whatever this project saw before
        head = str(self.project.head)
        if head == self.head:
            return self.project.commit(ds, self._message(step), owner=owner)
        found = self.adopted(step)
        if found is not None:
            return found
        told = self.project.store.version(head).message
        raise ConflictError("flywheel.round", f"{head} was committed meanwhile ({told})",
                            f"this round works on {self.head}", "call it again: it then begins anew")  # fmt: skip

    def _message(self, step: str) -> str:
        return f"round {self.number}: {step}"

    def _write(self, status: str) -> None:
        self.project.state.update_round(self.number, self.body, status=status, version=self.head)
