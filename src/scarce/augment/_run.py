"""The driver of augmentation: appends rows that carry a recipe."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from scarce.augment._partner import partners_of, pool_of, same_kind, shared_label
from scarce.augment.policy import Policy
from scarce.augment.policy import policy as preset
from scarce.dataset import Dataset, Floats, Ints
from scarce.errors import DataError
from scarce.lineage import Step
from scarce.recipe import growable, grown_columns, opencv_version, real_rows_of_class, with_reasons, write

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
        DataError: a class has no sample to grow from, or the policy is for another kind of data.
        ConfigError: an operation lacks what it needs: words, a model.
    """
    chosen = preset(policy) if isinstance(policy, str) else policy
    parents = growable(ds, ids, who="augment")
    same_kind(ds, chosen)
    for operation in chosen.parts():
        operation.ready()
    pool, mixes, kinds = pool_of(ds, parents), chosen.mixes, np.eye(len(ds.schema.classes), dtype=np.float32)
    labels: list[Floats | None] = []
    made: list[tuple[int, str, tuple[int, ...]]] = []
    findings: list[dict[str, Any]] = []
    for name, wanted in counts.items():
        rows = real_rows_of_class(ds, parents, name, who="augment")
        if wanted < 0:
            raise DataError("augment", f"counts asks for {wanted} rows of {name!r}", do="ask for 0 or more")
        if not wanted:
            continue
        turns = _turns(ds, rows, wanted, seed, cap)
        for row, copy in turns:
            base = str(ds.ids[row])
            drawn = chosen.draw_with(base, pool, seed=seed, copy=copy)
            others = partners_of(drawn)
            rest = tuple(dict.fromkeys(ds.rows_of(others).tolist())) if others else ()
            made.append((row, write(base, drawn, seed=seed, copy=copy), rest))
            labels.append(shared_label(drawn, mixes, pool, kinds[int(ds["label"][row])]))
        if len(turns) < wanted:
            why = f"{len(turns)} of {wanted} copies made: {len(rows)} originals, at most {cap} copies each"
            findings.append({"level": "class", "members": [name], "score": 1 - len(turns) / wanted, "why": why})
    if not made:
        return ds
    columns = grown_columns(ds, made, origin="augmented")
    if any(label is not None for label in labels):
        columns["label_probs"] = _soft(columns.get("label_probs"), labels)
    grown = ds.append(columns)
    grown = with_reasons(grown, "augment", findings)
    params = {**chosen.params(), "counts": dict(counts), "cap": cap}
    return grown.with_step(
        Step(stage="augment", name=chosen.name, params=params, seed=seed, versions={"opencv": opencv_version()})
    )


def _soft(inherited: Any, labels: Sequence[Floats | None]) -> list[list[float] | None]:
    """Return the soft labels of the new rows: mixed ones, else what the original has."""
    before = [None] * len(labels) if inherited is None else inherited.to_pylist()
    return [old if new is None else new.tolist() for old, new in zip(before, labels, strict=True)]


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
