"""What led to a version, as one JSON object for people and other tools."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scarce.project import Project

FORMAT = 1


def metadata(project: Project, version: str | None = None) -> dict[str, Any]:
    """Return the lineage of a version as plain values.

    Every step has its stage, name, parameters, seed, hashes of what came from outside, of what it got and left and of
    each column that it wrote, versions of packages, when, and how many seconds.

    Args:
        project: an opened project.
        version: number, tag or branch; the newest by default.

    Raises:
        UnknownNameError: there is no such version.
    """
    found = project.store.version(version)
    ds = project.store.open(found.name)
    body = {key: value for key, value in found.to_json().items() if key not in ("findings", "votes", "steps")}
    return {
        "format": FORMAT, "project": project.name, "version": found.name, "schema": asdict(ds.schema), "record": body,
        "steps": [step.to_json() for step in ds.steps],
    }  # fmt: skip
