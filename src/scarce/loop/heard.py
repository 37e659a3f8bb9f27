"""What reading said about the whole set, as far as it is still true: labels may have come since."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from scarce.ballot import vouched
from scarce.dataset import Dataset
from scarce.io._listing import LONE_SAMPLE, MISSING, NO_LABEL, NO_SAMPLE

if TYPE_CHECKING:
    from scarce.project import Project

LEVELS: Final = ("class", "data")


def heard(ds: Dataset, levels: Collection[str] = LEVELS) -> list[dict[str, Any]]:
    """Return the findings of reading with those about missing labels counted anew.

    Args:
        ds: the dataset as it is now.
        levels: of the findings, ``class`` and ``data``.
    """
    real = ds["keep"].astype(bool) & (ds["origin"] == "real")
    names = np.array([*ds.schema.classes, ""], object)[ds["label"][real]]
    counts = Counter(names.tolist())
    found = []
    for row in ds.findings.to_pylist():
        if row["check"] == "read" and row["level"] in levels:
            why = _now(row, counts, int(real.sum()))
            if why:
                found.append({**row, "why": why})
    return list({(row["level"], row["why"]): row for row in found}.values())


def _now(row: Mapping[str, Any], counts: Mapping[str, int], n: int) -> str:
    """Return the sentence of a finding as it holds now; empty where it does not hold any more."""
    why, missing = str(row["why"]), counts.get("", 0)
    if why.startswith(NO_LABEL) and missing == n:
        return why
    if why.startswith(NO_LABEL) or why.endswith(MISSING):
        return f"{missing} of {n} {MISSING}" * bool(missing)
    lacks = any(text in why for text in (LONE_SAMPLE, NO_SAMPLE)) and row["level"] == "class"
    return "" if lacks and any(counts.get(name, 0) > 1 for name in row["members"]) else why


def guessed(ds: Dataset) -> list[str]:
    """Return what labels of rules and models are used for, in words; nothing where there are none."""
    mask = ds["keep"].astype(bool) & (ds["origin"] == "real") & (ds["label"] >= 0) & ~vouched(ds)
    if not mask.any():
        return []
    text = f"{int(mask.sum()):,} labels are those of rules or models: trained on, never judged by"
    waiting = int((mask & (ds["split"].astype(str) == "pool")).sum())
    return [text + (f"; {waiting:,} wait in the pool, since samples of their group are judged on" if waiting else "")]


def picked_test(project: Project, ds: Dataset) -> list[str]:
    """Return how many test samples a strategy chose to be labelled, in words; nothing where it is none."""
    from scarce.loop.rounds import picked

    test = ds.ids[(ds["split"].astype(str) == "test") & ds["keep"].astype(bool) & vouched(ds)].tolist()
    chosen = len(picked(project).intersection(test))
    if not chosen:
        return []
    text = (
        f"{chosen} of {len(test)} test samples were chosen by a strategy and not drawn at random: the figures are "
        "those of such samples, not of the whole pile. For that, label what --strategy random asks first"
    )
    return [text]
