"""The driver of synthesis: appends rows of defect classes that are made on sound training samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from scarce.dataset import Dataset, Ints
from scarce.errors import DataError, unknown_name
from scarce.lineage import Step, key64
from scarce.recipe import growable, grown_columns, opencv_version, with_reasons, write
from scarce.registry import load
from scarce.synthesize._base import AbstractDefect
from scarce.synthesize._material import Material

MOST_USES: Final = 20
"""Default cap on how often one patch, or one sound picture for drawn defects, is used."""


def servable(ds: Dataset, kind: AbstractDefect | str) -> dict[str, str]:
    """Return class -> reason why this kind cannot make samples of it; an empty reason means that it can."""
    defect = _plugin(kind)
    if not ds.schema.normal_classes:
        return dict.fromkeys(ds.schema.classes, "no class is known to be sound, so there is nothing to make defects on")
    return {
        name: "it is a sound class" if name in ds.schema.normal_classes else defect.refusal(ds, name)
        for name in ds.schema.classes
    }


def run(
    ds: Dataset, kind: AbstractDefect | str, *, counts: Mapping[str, int], seed: int = 0, cap: int = MOST_USES,
    ids: Sequence[str] | None = None,
) -> Dataset:  # fmt: skip
    """Append synthetic rows on sound training samples; what could not be made honestly is a finding.

    Args:
        ds: the data, split; one class must be known as sound.
        kind: a defect or its name, for example ``cut_paste``.
        counts: class to number of new rows.
        seed: seed of everything drawn.
        cap: most uses of one patch (pasted defects) or of one sound picture (drawn defects).
        ids: if given, only these samples are used (a fold's train side).

    Raises:
        LeakError: the data is not split, or ``ids`` names samples outside the training split.
        DataError: no class is known as sound, or this kind can serve none of the classes asked for.
    """
    defect = _plugin(kind)
    who = f"synthesize.{defect.plugin_name()}"
    rows = growable(ds, ids, who=who)
    bases = _bases(ds, rows, who)
    made: list[tuple[int, str, tuple[int, ...]]] = []
    labels: list[str] = []
    findings: list[dict[str, Any]] = []
    reasons = servable(ds, defect)
    for name, wanted in counts.items():
        if name not in ds.schema.classes:
            raise unknown_name(who, "class", name, ds.schema.classes)
        if wanted < 0:
            raise DataError(who, f"counts asks for {wanted} rows of {name!r}", do="ask for 0 or more")
        why, new = reasons[name], []
        if not why and wanted:
            materials, lost = defect.materials(ds, rows[ds["label"][rows] == ds.schema.classes.index(name)])
            new = _made(ds, defect, materials, bases, _Wish(name, wanted, seed, cap))
            short = "" if len(new) == wanted else f"one patch or picture is used at most {cap} times"
            why = "; ".join(part for part in (lost, short) if part)
        if why and wanted:
            text = f"{len(new)} of {wanted} synthetic samples made by {defect.plugin_name()}: {why}"
            findings.append({"level": "class", "members": [name], "score": 1 - len(new) / wanted, "why": text})
        made, labels = made + new, labels + [name] * len(new)
    if not made and any(counts.values()):
        raise DataError(who, "; ".join(item["why"] for item in findings), do="choose another kind, or add masks")
    if not made:
        return ds
    grown = ds.append(grown_columns(ds, made, origin="synthetic", labels=labels))
    grown = with_reasons(grown, "synthesize", findings)
    params = {**defect.params(), "counts": dict(counts), "cap": cap}
    versions = {"opencv": opencv_version()}
    return grown.with_step(
        Step(stage="synthesize", name=defect.plugin_name(), params=params, seed=seed, versions=versions)
    )


def _bases(ds: Dataset, rows: Ints, who: str) -> Ints:
    names = ds.schema.normal_classes
    if not names:
        there = f"classes are {', '.join(ds.schema.classes[:8])}"
        what = "no class is known to be sound, so there is nothing to make defects on"
        raise DataError(who, what, there, "name the sound class, for example --normal good")
    codes = [ds.schema.classes.index(name) for name in names]
    bases: Ints = rows[np.isin(ds["label"][rows], codes)]
    if not len(bases):
        raise DataError(who, f"no kept real training sample of {' or '.join(names)} to make defects on",
                        do="add sound training samples")  # fmt: skip
    return bases


class _Wish(NamedTuple):
    name: str
    wanted: int
    seed: int
    cap: int


def _made(
    ds: Dataset, defect: AbstractDefect, materials: Sequence[Material], bases: Ints, wish: _Wish
) -> list[tuple[int, str, tuple[int, ...]]]:
    """Return (base row, recipe, other parents): bases and materials in turn, each in its own shuffled order."""
    if not materials:
        return []
    name, wanted, seed, cap = wish
    rng = np.random.default_rng([seed, key64(name), key64(defect.plugin_name())])
    canvas, stuff = rng.permutation(bases), rng.permutation(len(materials))
    most = cap * (len({row for material in materials for row in material.rows}) or len(bases))
    op, found = f"synthesize.{defect.plugin_name()}", []
    before = _made_before(ds, op, name)
    for index in range(before, min(before + wanted, most)):
        row, material = int(canvas[index % len(canvas)]), materials[int(stuff[index % len(stuff)])]
        base = str(ds.ids[row])
        drawn = defect.params_for(np.random.default_rng([seed, key64(base), key64(op + name), index]), material)
        found.append((row, write(base, [(op, drawn)], seed=seed, copy=index), material.rows))
    return found


def _made_before(ds: Dataset, op: str, name: str) -> int:
    """Return how many rows of this kind and class are there already, so that a second run makes others."""
    rows = (ds["origin"] == "synthetic") & (ds["label"] == ds.schema.classes.index(name))
    return sum(op in (recipe or "") for recipe in ds["recipe"][rows])


def _plugin(kind: AbstractDefect | str) -> AbstractDefect:
    if isinstance(kind, str):
        return load("synthesize", kind, AbstractDefect)()  # type: ignore[type-abstract]
    return kind
