"""SMOTE for tables with numbers and categories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from scarce.dataset import Array, Ints
from scarce.errors import DataError
from scarce.rebalance._base import AbstractRebalance, Adjustment, Counts
from scarce.rebalance._resample import Resampled, Samples
from scarce.rebalance.target import added, check_neighbors, check_target


@final
@dataclass(frozen=True, kw_only=True)
class SmoteNc(AbstractRebalance):
    """Draw new rows between rows of a rare class in a table of numbers and categories.

    Numbers are interpolated; a category is the commonest one among the neighbors, and of equally common ones that of
    the nearest. Two rows of different category are as far apart as the median spread of the numbers in that class.

    Use on tables with columns of both kinds. Do not use where all columns are categories: take oversample.
    Needs: (N, D) values, numbers or text, of which ``categories`` names the columns that hold categories.
    Writes: nothing to the data; new rows are two parents, a weight, and the row that each category was taken from.
    Source: Chawla et al. 2002, section 6.1 (SMOTE-NC).

    Args:
        categories: numbers of the columns that hold categories.
        neighbors: of the same class that a sample is joined with one of.
        ratio: wanted ratio of the largest class to any other; 1 = equal, 1 to 3 is usual.
        cap: most new samples for one that is there; None = no cap.
        target_count: class to its wanted size, in place of the ratio.
    """

    interpolates: ClassVar[bool] = True

    categories: tuple[int, ...] = ()
    neighbors: int = 5
    ratio: float = 1.0
    cap: int | None = None
    target_count: Mapping[str, int] | None = None

    def _check(self) -> None:
        """Refuse settings out of range."""
        check_target(self.ratio, self.cap, self.target_count, who="smote_nc")
        check_neighbors("smote_nc", self.neighbors)

    def adjust(self, counts: Counts) -> Adjustment:
        """Return how many rows to add."""
        return added(counts, self.ratio, self.cap, self.target_count, who="smote_nc")

    def _draw(self, given: Samples) -> Resampled:
        width = given.X.shape[1]
        columns = tuple(sorted({column % width for column in self.categories}))
        if not columns or len(columns) == width:
            raise DataError(
                "rebalance.smote_nc", f"categories = {list(self.categories)} of {width} columns",
                do="name some columns as categories and leave some numbers; smote and oversample do the rest",
            )  # fmt: skip
        codes = np.stack([_numbered(given.X[:, column]) for column in columns], axis=1)
        parents, weight, donors = [], [], []
        for code, extra in given.missing(self.ratio, self.cap, self.target_count):
            own = given.own(code, "smote_nc")
            kin = given.kin(own, self.neighbors, points=mixed_points(given.points[own], codes[own]))
            pairs, share = given.pairs(own, kin, extra)
            place = np.searchsorted(own, pairs[:, 0])
            parents.append(pairs)
            weight.append(share)
            donors.append(commonest(codes, kin)[place])
        made = given.made(parents, weight, donors)
        return made if not donors else made.with_categories(columns)


def mixed_points(numbers: Array, codes: Ints) -> Array:
    """Return points in which two rows of different category are as far apart as the median spread of the numbers.

    Args:
        numbers: (n, D) of one class.
        codes: (n, C) categories of the same rows.
    """
    numbers = numbers.astype(np.float64)
    spread = float(np.median(numbers.std(axis=0)))
    parts = [numbers]
    for column in codes.T:
        values, place = np.unique(column, return_inverse=True)
        parts.append(np.eye(len(values))[place] * spread / np.sqrt(2.0))
    return np.concatenate(parts, axis=1)


def commonest(codes: Ints, kin: Ints) -> Ints:
    """Return (n, C) the row whose category is the commonest among the kin, the nearest such row.

    Args:
        codes: (N, C) categories of all rows.
        kin: (n, k) rows, near ones first.
    """
    out = np.empty((len(kin), codes.shape[1]), np.int32)
    for column in range(codes.shape[1]):
        found = codes[kin, column]
        votes = (found[:, :, None] == found[:, None, :]).sum(axis=2)
        out[:, column] = kin[np.arange(len(kin)), votes.argmax(axis=1)]
    return out


def _numbered(values: Array) -> Ints:
    plain = values.astype(str) if values.dtype.kind == "O" else values
    return np.asarray(np.unique(plain, return_inverse=True)[1], np.int64)
