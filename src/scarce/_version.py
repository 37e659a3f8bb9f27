"""What a version says about itself, as plain values inside its Lance transaction."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from scarce import lineage
from scarce._objects import VotePart
from scarce.errors import StoreError

FORMAT = 1
MIGRATIONS: tuple[Callable[[dict[str, Any]], dict[str, Any]], ...] = ()
"""Entry k turns a record of format k + 1 into format k + 2, when it is read."""
MAIN = "main"


@dataclass(frozen=True, kw_only=True)
class Version:
    """What a version says about itself.

    Attributes:
        name: ``v1``, ``v2`` ...; never used again.
        parent: name of the version it was made from; None for the first.
        branch: the branch it belongs to.
        content_id: canonical hash of its narrow columns and schema.
        intent: id of the SQL intent that it fulfils, if any.
        owner: the stages that made it; None = a person.
        restored: the version whose content it brought back.
        findings: check, side file, number of rows.
        votes: side file, number of rows.
        steps: last side file of the steps, and how many there are.
    """

    name: str = ""
    parent: str | None = None
    branch: str = MAIN
    message: str = ""
    at: str = ""
    rows: int = 0
    content_id: str = ""
    intent: str | None = None
    owner: tuple[str, ...] | None = None
    restored: str | None = None
    notes: tuple[str, ...] = ()
    schema: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    findings: tuple[tuple[str, str, int], ...] = ()
    votes: tuple[VotePart, ...] = ()
    steps: tuple[str | None, int] = (None, 0)

    @property
    def number(self) -> int:
        """Return the number in the name."""
        return int(self.name[1:])

    @classmethod
    def from_record(cls, name: str, raw: bytes) -> Version:
        """Read a record of this or an earlier format.

        Raises:
            StoreError: it is of a later format.
        """
        body = json.loads(raw)
        version = body.pop("format")
        if version > FORMAT:
            raise StoreError(
                "store", f"{name} has format {version}", f"this scarce reads up to {FORMAT}", "upgrade scarce"
            )
        for step in MIGRATIONS[version - 1 : FORMAT - 1]:
            body = step(body)
        lists = ("owner", "findings", "votes", "steps", "notes")
        return cls(**{**body, **{key: _tuple(body.get(key)) for key in lists}, "name": name})

    def to_record(self) -> bytes:
        """Return what the version carries in its Lance transaction."""
        body = {key: value for key, value in self.to_json().items() if key != "name"}
        return lineage.canonical_json({"format": FORMAT, **body}).encode()

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        body: dict[str, Any] = json.loads(lineage.canonical_json(asdict(self)))
        return body


def _tuple(value: Any) -> Any:
    return tuple(_tuple(item) for item in value) if isinstance(value, list) else value
