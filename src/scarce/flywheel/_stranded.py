"""Labels that people gave and that the newest data does not hold, since an older version was brought back.

They are part of a version that is off the line now, so that collecting takes them in no more; bringing that version
back does.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from scarce import ballot
from scarce.dataset import Dataset
from scarce.errors import ScarceError
from scarce.loop.answering import standing, vote_of

if TYPE_CHECKING:
    from scarce.project import Project

Key = tuple[str, str, Any]
MOST: Final = 5
"""So many versions that were left are looked into, the newest first."""


@dataclass(frozen=True, kw_only=True)
class Stranded:
    """Labels that were left behind.

    Attributes:
        labels: samples whose label by people is in an older version and not in the newest data.
        version: that holds the most of them; None = it was pruned.
        back: how many of them it holds.
        lost: samples with a label of the newest data that it does not hold.
    """

    labels: int
    version: str | None = None
    back: int = 0
    lost: int = 0

    def say(self, folder: object) -> str:
        """Return a sentence for people, with the command that brings them back.

        Args:
            folder: of the project.
        """
        told = f"{self.labels:,} labels that people gave are not in the newest data"
        if self.version is None:
            return f"{told}; the version that held them was pruned."
        some = "them" if self.back >= self.labels else f"{self.back:,} of them"
        instead = f", and leaves out {self.lost:,} that were given since" * bool(self.lost)
        return (
            f"{told}: scarce restore {self.version} --project {shlex.quote(str(folder))} brings {some} back{instead}."
        )


def stranded(project: Project, ds: Dataset) -> Stranded | None:
    """Return the labels that the newest data lacks; None where it has all that were ever part of a version.

    Args:
        project: whose people gave them.
        ds: its newest data.
    """
    said = [row for row in project.state.annotations(frozen=True) if row["kind"] not in ballot.MACHINES]
    votes = {key: row for row in standing(said) if (key := vote_of(row)) is not None and row["label"] is not None}
    missing = _lacking(ds, votes)
    if not missing:
        return None
    best = Stranded(labels=len({key[0] for key in missing}))
    for name in _left(project):
        try:
            then = project.store.open(name)
        except ScarceError:  # pruned
            continue
        gone = set(_lacking(then, votes))
        back = len({key[0] for key in missing if key not in gone})
        if back > best.back:
            lost = len({key[0] for key in gone - set(missing)})
            best = Stranded(labels=best.labels, version=name, back=back, lost=lost)
    return best


def _lacking(ds: Dataset, votes: Mapping[Key, Mapping[str, Any]]) -> list[Key]:
    """Return the votes that a version does not hold, unless the sample has the very label there."""
    there = ds.votes.select(["sample", "voter", "when"]).to_pylist()
    held = {(row["sample"], row["voter"], row["when"]) for row in there}
    away = [key for key in votes if key not in held]
    if not away:
        return []
    rows = np.flatnonzero(ballot.vouched(ds))
    known = {str(ds.ids[row]): ds.schema.classes[ds["label"][row]] for row in rows}
    return [key for key in away if known.get(key[0]) != votes[key]["label"]]


def _left(project: Project) -> list[str]:
    """Return the versions that were newest when an older one was brought back, the newest first."""
    found: list[str] = []
    name = project.head
    while name is not None and len(found) < MOST:
        try:
            version = project.store.version(name)
        except ScarceError:  # pruned
            break
        if version.restored is not None and version.parent is not None:
            found.append(version.parent)
        name = version.parent
    return found
