"""What a model was trained on, also where the version of its data was pruned; and which versions must not be.

A version that is gone is no reason to stop: what is new is then counted by the numbers that the model's card holds.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from scarce.dataset import Dataset
from scarce.errors import DataError, ScarceError
from scarce.flywheel._back import before_now
from scarce.flywheel._journal import DONE, KIND, OPEN
from scarce.flywheel._stranded import stranded
from scarce.flywheel.promote import CHALLENGER, CHAMPION

if TYPE_CHECKING:
    from scarce.project import Project

REAL: Final = "real"
TRAINED: Final = ("train", "val")


@dataclass(frozen=True, eq=False, kw_only=True)
class Learnt:
    """What the last training knew.

    Attributes:
        version: of its data; None = no model was trained yet.
        dataset: that version; None = it is gone.
        counts: class to real samples of train and val in it, from the model's card; None = not known.
        note: what a person should know; empty = nothing.
    """

    version: str | None = None
    dataset: Dataset | None = None
    counts: Mapping[str, int] | None = None
    note: str = ""


def learnt(project: Project, versions: tuple[str, ...], model: str | None) -> Learnt:
    """Return what a model was trained on.

    Args:
        project: whose model it is.
        versions: names of its data, the best first: one that was grown from it holds the same real samples.
        model: its name; None = not known.
    """
    for name in versions:
        try:
            return Learnt(version=name, dataset=project.dataset(name))
        except ScarceError:  # pruned
            continue
    if not versions:
        return Learnt()
    gone = f"The data {versions[0]}, which {model or 'the last model'} was trained on, was pruned"
    counts = counts_of(card_of(project, model))
    if counts is None:
        return Learnt(version=versions[0], note=f"{gone}, and no card says how much that was: all labelled samples "
                      "count as new.")  # fmt: skip
    return Learnt(version=versions[0], counts=counts, note=f"{gone}: what is new is counted against its card, by "
                  "class. New samples that took the place of old ones are not seen.")  # fmt: skip


def more_than(ds: Dataset, counts: Mapping[str, int]) -> int:
    """Return how many more labelled real samples of train and val there are now, summed over classes that gained.

    Args:
        ds: the data now, split.
        counts: class to such samples, then.
    """
    rows = ds["keep"].astype(bool) & (ds["origin"] == REAL) & (ds["label"] >= 0)
    rows &= np.isin(ds["split"].astype(str), TRAINED)
    now = np.bincount(ds["label"][rows], minlength=len(ds.schema.classes))
    return sum(max(0, int(n) - counts.get(name, 0)) for name, n in zip(ds.schema.classes, now, strict=True))


def card_of(project: Project, model: str | None) -> Mapping[str, Any]:
    """Return the card of a model; empty where there is none that can be read."""
    try:
        body: Any = json.loads((project.models / str(model) / "card.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return body if isinstance(body, dict) else {}


def counts_of(card: Mapping[str, Any]) -> dict[str, int] | None:
    """Return class to real samples that a model was trained on; None where its card does not say so."""
    told = (card.get("data") or {}).get("counts")
    if not told or any("boxes" in origins for origins in told.values()):
        return None
    return {str(name): int(origins.get(REAL, 0)) for name, origins in told.items()}


def needed(project: Project) -> dict[str, tuple[str, ...]]:
    """Return the versions that production stands on, and what each is needed for.

    That is the data of @champion, of @challenger and of the champion that a rollback would bring back, and what their
    networks were begun with; what the last round that trained, and one that was interrupted, work on; and the version
    with labels that a rollback left behind.
    """
    found: defaultdict[str, list[str]] = defaultdict(list)
    for alias, name, version in _served(project):
        card = card_of(project, name)
        own = (card.get("data") or {}).get("version")
        for one in dict.fromkeys([version, own]):
            if one:
                found[one].append(f"{alias} stands on it")
        for one in (card.get("started_from") or {}).get("versions") or ():
            if one not in (version, own):
                found[one].append(f"the network of {alias} was begun on it")
    for version in _worked_on(project):
        found[version].append("the next round counts from it")
    left = stranded(project, project.dataset()) if project.head else None
    if left is not None and left.version is not None:
        found[left.version].append(f"{left.back:,} labels that the newest data lacks lie in it")
    return {name: tuple(dict.fromkeys(why)) for name, why in found.items()}


def _served(project: Project) -> list[tuple[str, str, str | None]]:
    """Return words, model and version of what answers, what challenges, and what a rollback would bring back."""
    rows = [(alias, project.state.alias_history(alias)) for alias in (CHAMPION, CHALLENGER)]
    found = [(f"@{alias} {told[-1]['target']}", str(told[-1]["target"]), told[-1]["version"]) for alias, told in rows
             if told and told[-1]["target"]]  # fmt: skip
    try:
        back = before_now(project, project.state.aliases()[CHAMPION])
    except (DataError, KeyError):  # no champion, or none before it
        return found
    return [*found, (f"{back['target']}, which a rollback would bring back,", str(back["target"]), back["version"])]


def _worked_on(project: Project) -> list[str]:
    """Return the versions of the last round that trained, and of one that was interrupted."""
    rows = project.state.rounds(KIND)
    found = []
    for row in rows[-1:]:
        if row["status"] == OPEN:
            body = row["body"]
            found += [body["head"], *(step.get(key) for step in body["steps"].values() for key in ("version", "since"))]
    for row in reversed(rows):
        if row["status"] == DONE and "grow" in row["body"]["steps"]:
            grow = row["body"]["steps"]["grow"]
            found += [grow["from"], grow["version"]]
            break
    return [name for name in dict.fromkeys(found) if name]
