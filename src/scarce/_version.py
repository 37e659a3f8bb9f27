"""What a version says about itself, as plain values inside its Lance transaction."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from scarce import lineage
from scarce._objects import VotePart
from scarce.dataset import Schema
from scarce.errors import StoreError

FORMAT = 1
MIGRATIONS: tuple[Callable[[dict[str, Any]], dict[str, Any]], ...] = ()
"""Entry k turns a record of format k + 1 into format k + 2, when it is read."""
MAIN = "main"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
NUMBERED = re.compile(r"v[0-9]+")


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

    def data_schema(self) -> Schema:
        """Return the schema of its data."""
        lists = ("classes", "normal_classes")
        values: dict[str, Any] = {key: tuple(item) if key in lists else item for key, item in self.schema.items()}
        return Schema(**values)

    def parts(self) -> list[str]:
        """Return the names of its side files; of its steps only the last one."""
        return [
            name
            for name in (*(item[1] for item in self.findings), *(item[0] for item in self.votes), self.steps[0])
            if name
        ]

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


def check_name(kind: str, name: str) -> None:
    """Refuse a name of a tag or branch that is no plain word or is taken by versions.

    Raises:
        StoreError: choose another name.
    """
    if not NAME.fullmatch(name) or NUMBERED.fullmatch(name) or name == MAIN:
        raise StoreError("store", f"{name!r} cannot be a {kind}", "v1, v2 ... and main are taken by versions",
                         "use letters, digits, dot, hyphen and underscore")  # fmt: skip


def places_of(path: str, root: Path) -> dict[str, str]:
    """Return where a source lies, seen from the project and from the root of the disk."""
    absolute = os.path.abspath(path)  # noqa: PTH100 (links are kept as the user wrote them)
    try:
        relative = os.path.relpath(absolute, os.path.abspath(root))  # noqa: PTH100
    except ValueError:  # another drive
        return {"absolute": absolute}
    return {"relative": Path(relative).as_posix(), "absolute": absolute}


def source_of(places: Mapping[str, str], root: Path) -> str:
    """Return a source's path: beside the project first, so that both can be moved, else where it was."""
    if "relative" not in places:
        return places["absolute"]
    near = os.path.abspath(root / places["relative"])  # noqa: PTH100
    return near if Path(near).exists() or not Path(places["absolute"]).exists() else places["absolute"]
