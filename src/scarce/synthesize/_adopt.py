"""Samples that were made into a folder become rows: a recipe each, no pixels."""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice

import numpy as np

from scarce.dataset import Dataset
from scarce.errors import LeakError, unknown_name
from scarce.lineage import Step
from scarce.recipe import grown_columns, opencv_version
from scarce.registry import canonical
from scarce.synthesize._base import AbstractDefect
from scarce.synthesize._make import source_of


def adopt(ds: Dataset, kind: AbstractDefect | str, numbers: Collection[int], *, label: str, seed: int = 0) -> Dataset:
    """Append the tries of these numbers that :func:`scarce.synthesize.make` made of the same data with the same seed.

    Rows that are there already are passed over. The step records kind, class, seed and numbers, so that the rows can be
    made again without the folder.

    Args:
        ds: the data, split.
        kind: the kind of defect with its settings.
        numbers: of accepted tries, as in ``tries.jsonl``.
        label: their class; one of the data's.
        seed: as it was made with.

    Raises:
        LeakError: the data is not split.
        UnknownNameError: the data has no such class.
        DataError: see :func:`scarce.synthesize.make`.
    """
    source, _ = source_of(ds, kind, label, seed)
    name = canonical(source.defect.plugin_name())
    if "split" not in ds:
        raise LeakError(f"synthesize.{name}", "the data has no split yet", do="split first: scarce split")
    if label not in ds.schema.classes:
        raise unknown_name(f"synthesize.{name}", "class", label, ds.schema.classes)
    wanted = set(numbers)
    found = [
        (one.row, one.recipe, one.others)
        for one in islice(source.tries(0, None), max(wanted, default=-1) + 1)
        if one.number in wanted
    ]
    values = grown_columns(ds, found, origin="synthetic", labels=[label] * len(found))
    new = np.flatnonzero(~np.isin(values["id"], ds.ids.astype(str)))
    if not len(new):
        return ds
    fresh = [found[place] for place in new.tolist()]
    grown = ds.append(grown_columns(ds, fresh, origin="synthetic", labels=[label] * len(fresh)))
    params = {**source.defect.params(), "class": label, "numbers": sorted(wanted)}
    return grown.with_step(
        Step(stage="synthesize", name=name, params=params, seed=seed, versions={"opencv": opencv_version()})
    )
