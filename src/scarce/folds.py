"""Folds of the ledger: who is judged on by a model that saw none of its group, and who is only trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np

from scarce.ballot import vouched
from scarce.dataset import Array, Dataset, FoldView
from scarce.errors import DataError
from scarce.kin import families
from scarce.probe import fold_of

Views: TypeAlias = list[list[tuple[Array, FoldView]]]


class Repeats(Protocol):
    """How often the data is cut, and into how many folds."""

    @property
    def folds(self) -> int:
        """Folds of each cross-validation."""

    @property
    def repeats(self) -> int:
        """Cross-validations."""

    @property
    def seed(self) -> int:
        """Of the folds."""


@dataclass(frozen=True)
class Folds:
    """The folds of all repeats: (R, N) fold numbers over the development rows."""

    ids: Array
    labels: Array
    groups: Array
    place: Array
    beside: tuple[Array, Array] = (np.zeros(0, object), np.zeros(0, object))
    """Ids and groups of rows that are trained on and never judged on: their label is a rule's or a model's."""

    @classmethod
    def of(cls, dev: Dataset, design: Repeats) -> Folds:
        """Return the folds of the kept, real rows that people labelled; rows of test and pool take no part.

        Raises:
            DataError: fewer than two classes, or fewer than two groups.
        """
        inside = development(dev)
        judged = inside & vouched(dev)
        rows, more = dev.take(judged), dev.take(inside & ~judged)
        labels, groups = rows["label"], groups_of(rows)
        if len(np.unique(labels)) < 2:
            raise DataError("folds", "the development data has one class only", do="add samples of another class")
        count = min(design.folds, len(np.unique(groups)))
        if count < 2:
            raise DataError(
                "folds", "the development data is one single group", do="add data or check the group column"
            )
        place = np.stack([fold_of(labels, groups, count, seed=design.seed + 1000 * r) for r in range(design.repeats)])
        return cls(rows.ids, labels, groups, place, (more.ids, groups_of(more)))

    def view(self, ds: Dataset, mask: Array) -> FoldView:
        """Return the view that judges the masked rows; what is trained on shares no group with them."""
        ids, groups = self.beside
        free = ids[~np.isin(groups.astype(str), self.groups[mask].astype(str))]
        return ds.fold(np.concatenate([self.ids[~mask], free]), self.ids[mask])


def development(ds: Dataset) -> Array:
    """Return (N,) which rows decisions may use: kept, labelled, real, and neither test nor pool.

    Judged on are those of them that people labelled (:func:`scarce.dataset.vouched`).
    """
    mask: Array = ds["keep"].astype(bool) & (ds["label"] >= 0) & (ds["origin"] == "real")
    if "split" in ds:
        mask &= ~np.isin(ds["split"].astype(str), ("test", "pool"))
    return mask


def groups_of(ds: Dataset) -> Array:
    """Return (N,) what each row must stay together with, its split group first; one that stands alone has its id."""
    return np.array([sample if name is None else name for name, sample in
                     zip(families(ds), ds.ids, strict=True)], object)  # fmt: skip


def views_of(ds: Dataset, folds: Folds) -> Views:
    """Return per repeat the (mask, view) of each fold; made once, so that instruments may keep what they prepared."""
    out = []
    for place in folds.place:
        masks = [place == fold for fold in np.unique(place)]
        out.append([(mask, folds.view(ds, mask)) for mask in masks])
    return out
