"""What the counts of each class can prove, said with numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from scarce.dataset import Array, Dataset, Mask
from scarce.errors import unknown_name
from scarce.metric import needed_for, provable
from scarce.split._base import NAMES

WANTED_RECALL = 0.99


def proofs(ds: Dataset, marks: Mask | None = None) -> list[Mapping[str, Any]]:
    """Return one finding a class and one about the whole: counts, and what the test samples can prove.

    Args:
        ds: N rows, split.
        marks: (N, K or more) bool, the classes of each row where boxes say them; None = its label.
    """
    has = ds["label"][:, None] == np.arange(len(ds.schema.classes)) if marks is None else marks
    usable = ds["keep"].astype(bool) & has.any(1) & (ds["origin"] == "real")
    split = ds["split"]
    groups = ds["split_group"] if "split_group" in ds else np.full(len(ds), None, object)
    named = np.array([name is not None for name in groups.tolist()], bool)
    owner = np.where(named, groups, ds.ids).astype(str)
    found = []
    for code, name in enumerate(ds.schema.classes):
        inside = {part: usable & has[:, code] & (split == part) for part in NAMES}
        rows = {part: int(mask.sum()) for part, mask in inside.items()}
        held = {part: len(np.unique(owner[mask])) for part, mask in inside.items()}
        score = 1 - provable(rows["test"])
        found.append({"level": "class", "members": [name], "score": score, "why": _sentence(name, rows, held)})
    totals = {part: int((usable & (split == part)).sum()) for part in NAMES}
    pool = int((ds["keep"].astype(bool) & (split == "pool")).sum())
    why = ", ".join(f"{part} {count}" for part, count in totals.items()) + f", pool {pool}"
    why += f" samples in {len(np.unique(owner[usable]))} groups"
    return [{"level": "data", "members": [], "score": 0.0, "why": why}, *found]


def _sentence(name: str, rows: Mapping[str, int], groups: Mapping[str, int]) -> str:
    counts = ", ".join(
        f"{part} {rows[part]}" + (f" ({_plural(groups[part], 'group')})" if groups[part] != rows[part] else "")
        for part in NAMES
    )
    n, needed = rows["test"], needed_for(WANTED_RECALL)
    if not any(rows.values()):
        return f"{name}: no usable sample"
    if n == 0:
        return f"{name}: {counts}. Nothing can be proved: no sample of it is in test"
    tested = _plural(n, "test sample")
    text = f"{name}: {counts}. Zero misses among the {tested} would prove a recall of at least "
    text += f"{_percent(provable(n))} % (one-sided 95 %)"
    if groups["test"] != n:
        text += f"; counted by group, {_percent(provable(groups['test']))} %"
    return text if n >= needed else f"{text}; {100 * WANTED_RECALL:.0f} % needs {needed}"


def _percent(share: float) -> str:
    """Return a share in per cent, rounded down: a bound must not be overstated."""
    digits = 1 if share < 0.999 else 3
    return f"{math.floor(share * 100 * 10**digits) / 10**digits:.{digits}f}"


def _plural(n: int, word: str) -> str:
    return f"{n} {word}" if n == 1 else f"{n} {word}s"


def conditions(ds: Dataset, column: str) -> dict[str, dict[str, dict[str, int]]]:
    """Return value of a column to split to class to number of kept, real rows.

    Args:
        ds: the dataset.
        column: any column; those of the manifest need no ``meta.``.

    Raises:
        UnknownNameError: no such column.
    """
    known = ds.table.column_names
    full = next((name for name in (column, f"meta.{column}") if name in known), None)
    if full is None:
        raise unknown_name("split.conditions", "column", column, [name.removeprefix("meta.") for name in known])
    rows = np.flatnonzero(ds["keep"].astype(bool) & (ds["origin"] == "real"))
    values = [str(value) for value in np.array(ds.table[full].to_pylist(), object)[rows]]
    labels: Array = ds["label"][rows]
    names = [ds.schema.classes[code] if code >= 0 else "(unlabelled)" for code in labels]
    out: dict[str, dict[str, dict[str, int]]] = {}
    for value, split, name in sorted(zip(values, (part or "(none)" for part in ds["split"][rows]), names, strict=True)):
        cell = out.setdefault(value, {}).setdefault(split, {})
        cell[name] = cell.get(name, 0) + 1
    return out
