"""The driver of augmentation: appends rows that carry a recipe."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from scarce.augment.policy import Policy
from scarce.augment.policy import policy as preset
from scarce.dataset import Dataset, Ints
from scarce.errors import DataError, LeakError, unknown_name
from scarce.lineage import Step, digest
from scarce.recipe import grown_hash, opencv_version

MOST_COPIES: Final = 20
"""Default cap on the copies of one original: beyond it the model learns the original by heart."""


def run(
    ds: Dataset, policy: Policy | str, *, counts: Mapping[str, int], seed: int = 0, cap: int = MOST_COPIES,
    ids: Sequence[str] | None = None,
) -> Dataset:  # fmt: skip
    """Append augmented rows of kept real training samples, parents taken in turn.

    Args:
        ds: the data; only rows of split train are grown.
        policy: a policy or the name of a preset.
        counts: class to number of new rows.
        seed: seed of the drawn parameters and of the order of the parents.
        cap: most copies of one original, rows of earlier runs included. What the cap cuts off is a finding.
        ids: if given, only these samples are grown (a fold's train side).

    Raises:
        LeakError: the data is not split, or ``ids`` names samples outside the training split.
        DataError: a class has no sample to grow from.
    """
    chosen = preset(policy) if isinstance(policy, str) else policy
    parents = growable(ds, ids)
    made: list[tuple[int, str]] = []
    findings: list[dict[str, Any]] = []
    for name, wanted in counts.items():
        rows = rows_of_class(ds, parents, name)
        if wanted < 0:
            raise DataError("augment", f"counts asks for {wanted} rows of {name!r}", do="ask for 0 or more")
        if not wanted:
            continue
        turns = _turns(ds, rows, wanted, seed, cap)
        made += [(row, chosen.recipe(str(ds.ids[row]), seed=seed, copy=copy)) for row, copy in turns]
        if len(turns) < wanted:
            why = f"{len(turns)} of {wanted} copies made: {len(rows)} originals, at most {cap} copies each"
            findings.append({"level": "class", "members": [name], "score": 1 - len(turns) / wanted, "why": why})
    if not made:
        return ds
    grown = ds.append(grown_columns(ds, made))
    if findings:
        grown = grown.with_findings("augment", findings)
    params = {**chosen.params(), "counts": dict(counts), "cap": cap}
    return grown.with_step(
        Step(stage="augment", name=chosen.name, params=params, seed=seed, versions={"opencv": opencv_version()})
    )


def growable(ds: Dataset, ids: Sequence[str] | None = None) -> Ints:
    """Return the row numbers of kept, real, labelled training samples, in id order.

    Raises:
        LeakError: the data is not split yet, or ``ids`` reaches outside the training split.
    """
    if "split" not in ds:
        raise LeakError("augment", "the data has no split yet", "copies of later test samples would be trained on",
                        "split first: scarce split")  # fmt: skip
    train = (ds["split"] == "train") & (ds["origin"] == "real")
    if ids is not None:
        rows = ds.rows_of(list(ids))
        outside = rows[~train[rows]]
        if len(outside):
            where = ds["split"][outside[0]] if ds["origin"][outside[0]] == "real" else ds["origin"][outside[0]]
            raise LeakError("augment", f"{len(outside)} samples to grow from are no real training samples",
                            f"{ds.ids[outside[0]]} is {where}", "grow real training samples only")  # fmt: skip
        train &= np.isin(np.arange(len(ds)), rows)
    found: Ints = np.flatnonzero(train & ds["keep"].astype(bool) & (ds["label"] >= 0))
    return found


def rows_of_class(ds: Dataset, parents: Ints, name: str) -> Ints:
    """Return the parents of one class.

    Raises:
        UnknownNameError: no such class.
        DataError: the class has no usable training sample.
    """
    if name not in ds.schema.classes:
        raise unknown_name("augment", "class", name, ds.schema.classes)
    code = ds.schema.classes.index(name)
    rows: Ints = parents[ds["label"][parents] == code]
    if not len(rows):
        elsewhere = int((ds["label"] == code).sum())
        raise DataError("augment", f"class {name!r} has no kept real training sample to grow from",
                        f"{elsewhere} of its samples are in other splits or set aside; those are never grown",
                        "label or collect training samples of this class")  # fmt: skip
    return rows


def _turns(ds: Dataset, rows: Ints, wanted: int, seed: int, cap: int) -> list[tuple[int, int]]:
    """Return (row, copy) round robin; copies continue after those of earlier runs."""
    shuffled = np.random.default_rng([seed, 0]).permutation(rows)
    used = _copies(ds)
    found: list[tuple[int, int]] = []
    for turn in range(cap):
        for row in shuffled.tolist():
            if len(found) == wanted:
                return found
            copy = used.get(str(ds.ids[row]), 0) + turn
            if copy < cap:
                found.append((row, copy))
    return found


def _copies(ds: Dataset) -> dict[str, int]:
    used: dict[str, int] = {}
    for recipe in ds["recipe"][ds["origin"] == "augmented"]:
        if recipe:
            body = json.loads(recipe)
            used[body["base"]] = max(used.get(body["base"], 0), int(body["copy"]) + 1)
    return used


def grown_columns(ds: Dataset, made: Sequence[tuple[int, str]]) -> dict[str, Any]:
    """Return the columns of new rows from (parent row, recipe): everything is inherited but what says where it lies."""
    rows = np.fromiter((row for row, _ in made), np.int64, count=len(made))
    table, n = ds.table.take(pa.array(rows)), len(made)
    keep = [name for name in table.column_names if name in _INHERITED or name.startswith("meta.")]
    values: dict[str, Any] = {name: table[name].combine_chunks() for name in keep}
    recipes, hashes = [recipe for _, recipe in made], table["content_hash"].to_pylist()
    return {
        **values,
        "id": [digest("augment", recipe)[:16] for recipe in recipes],
        "content_hash": [grown_hash([known], recipe) for known, recipe in zip(hashes, recipes, strict=True)],
        "label_source": ["inherited"] * n,
        "origin": ["augmented"] * n,
        "parents": [[str(ds.ids[row])] for row in rows],
        "recipe": recipes,
    }


_INHERITED: Final = ("source", "group", "captured_at", "label", "label_probs", "split", "split_group")
