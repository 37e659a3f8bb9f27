"""A source joins a project: read once, compared with what is there, and split so that test stays test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from scarce.loop.measure import with_copies

if TYPE_CHECKING:
    from scarce.dataset import Dataset
    from scarce.project import Project


@dataclass(frozen=True)
class Admitted:
    """What became of a new source.

    Attributes:
        dataset: old and new samples; the old dataset itself where nothing was new.
        new: ids of the samples that were not there before, in order.
        waiting: id to reason of the new samples that wait in the pool, since they would carry test into train.
    """

    dataset: Dataset
    new: tuple[str, ...]
    waiting: Mapping[str, str]


def admit(
    project: Project, old: Dataset | None, new: Dataset, class_map: Mapping[str, str] | None = None, *,
    workers: int | None = None, seed: int = 0,
) -> Admitted:  # fmt: skip
    """Add a source to a version; nothing is committed.

    Where the version is split, the new samples are compared with all others and split as :func:`scarce.split.run`
    says: old test samples stay test, copies of them wait in the pool, and a class that had no test sample gets its
    shares. Where it is not, they wait for the first split.

    Args:
        project: whose settings, ratios and caches are used.
        old: the version that the source joins; None = the source is the first.
        new: the source, as :func:`scarce.io.read` returns it.
        class_map: class of the new source to class of ours; what is not named keeps its name.
        workers: threads at most; None = all cores.
        seed: of what is drawn.

    Raises:
        DataError: the two are different kinds of data, or the split would leave nothing to train on.
        UnknownNameError: the map names a class that the source does not have.
    """
    from scarce import io, modality, split

    before = _empty(new) if old is None else old
    ds = io.merge_sources(before, new, class_map)
    fresh = tuple(ds.ids[~np.isin(ds.ids.astype(str), before.ids.astype(str))].astype(str).tolist())
    if not fresh:
        return Admitted(before, (), {})
    ds = modality.scan(ds, workers=workers, cache=project.features / "scan")
    if "split" not in before or not len(before):
        return Admitted(ds, fresh, {})
    ds = with_copies(project, ds, workers=workers, seed=seed)
    ds = split.run(ds, ratios=project.config.split.ratios, seed=seed)
    return Admitted(ds, fresh, _waiting(ds, fresh))


def _empty(new: Dataset) -> Dataset:
    from scarce.dataset import Dataset

    return Dataset.from_columns(replace(new.schema, classes=(), normal_classes=()), {"id": []})


def _waiting(ds: Dataset, fresh: tuple[str, ...]) -> dict[str, str]:
    """Return id to reason of new samples that the split holds back."""
    mine = set(fresh)
    rows = [row for row in ds.findings.to_pylist() if row["check"] == "split" and row["level"] == "sample"]
    return {row["members"][0]: row["why"] for row in rows if row["members"][0] in mine}
