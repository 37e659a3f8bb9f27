"""Rows of a table as detectors of foreign samples see them: numbers in units of their own, what is rare marked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np

from scarce.dataset import Array, Floats

PREFIX: Final = "rows/"
NORMAL: Final = 1.349
"""Interquartile range of a normal distribution of deviation 1."""
UNIT: Final = 0.25
"""A cell of probability p is UNIT sqrt(-2 log p) long: a detector that takes UNIT for one deviation finds a squared
distance of -2 log p."""
MOST_LEVELS: Final = 12
"""Levels of a category that get a feature of their own, the most frequent first."""
RARE: Final = 4
"""Levels that occur so often at most count as never seen."""
LEAST: Final = 1e-12
FARTHEST: Final = 700.0
"""What stands for a number that overflows."""


@dataclass(frozen=True, eq=False)
class RowFeatures:
    """What was learnt of each column.

    Features of a row: asinh((x - median) / spread) of each number, 0 where missing; of each category how rare its level
    is, and which of the frequent ones it is; a mark for each column that had holes, and one that adds up the holes of
    those that had none. Marks and rarities grow with -log of their probability, so one odd cell does not make a row
    foreign, and several do. The rarest levels count as never seen, for so they would look from outside.

    Attributes:
        middle, spread: (F - C,) median and interquartile range / 1.349 of the columns of numbers, the last ones.
        hole: (F,) what a missing cell weighs, -log of its probability.
        holes: (F,) bool, columns that had holes.
        rarity: (L + C,) -log of the probability of each level, and after those of a column of a level never seen.
        starts: (C + 1,) where each category begins in ``rarity``.
    """

    middle: Array
    spread: Array
    hole: Array
    holes: Array
    rarity: Array
    starts: Array

    @classmethod
    def of(cls, matrix: Array, levels: tuple[int, ...]) -> RowFeatures:
        """Learn from (N, F) numbers of training rows, categories first, as places among their levels.

        Args:
            matrix: NaN = missing; a level that is not among those that are told apart is their number.
            levels: (C,) how many levels each category has.
        """
        n, numbers = len(matrix), matrix[:, len(levels) :]
        missing = np.isnan(matrix).sum(0)
        middle, spread = _units(numbers)
        rarity = [_rarity(matrix[:, place], count) for place, count in enumerate(levels)]
        return cls(
            middle=middle, spread=spread, hole=-np.log((missing + 1) / (n + 2)), holes=missing > 0,
            rarity=np.concatenate([*rarity, np.zeros(0)]),
            starts=np.cumsum([0, *(len(one) for one in rarity)]),
        )  # fmt: skip

    def __call__(self, matrix: Array) -> Floats:
        """Return (N, D) float64 features of (N, F) numbers."""
        categories = len(self.starts) - 1
        gone = np.isnan(matrix)
        with np.errstate(over="ignore"):
            scaled = np.arcsinh((matrix[:, categories:] - self.middle) / self.spread)
        parts = [np.nan_to_num(scaled, nan=0.0, posinf=FARTHEST, neginf=-FARTHEST)]
        for place in range(categories):
            own = self.rarity[self.starts[place] : self.starts[place + 1]]
            level = np.where(gone[:, place], 0, matrix[:, place]).astype(np.int64)
            parts.append(np.where(gone[:, place], 0.0, _mark(own[level]))[:, None])
            told = np.flatnonzero(own[:-1] != own[-1])[:MOST_LEVELS]
            parts.append(2 * UNIT * ((level[:, None] == told) & ~gone[:, [place]]))
        parts += [gone[:, self.holes] * _mark(self.hole[self.holes])]
        parts += [_mark(gone[:, ~self.holes] @ self.hole[~self.holes])[:, None]]
        return np.concatenate(parts, axis=1)

    def tensors(self) -> dict[str, Array]:
        """Return what was learnt, as arrays under names of their own."""
        return {PREFIX + name: array for name, array in asdict(self).items()}

    @classmethod
    def restored(cls, tensors: Mapping[str, Array]) -> RowFeatures:
        """Put back what :meth:`tensors` gave."""
        return cls(**{name.removeprefix(PREFIX): array for name, array in tensors.items()})


def _units(numbers: Array) -> tuple[Floats, Floats]:
    """Return (F,) medians and spreads: of the middle half, else of all, else the median's own size, else 1."""
    middle, spread = np.zeros(numbers.shape[1]), np.ones(numbers.shape[1])
    for place, column in enumerate(numbers.T):
        known = column[np.isfinite(column)]
        if len(known):
            low, middle[place], high = np.quantile(known, [0.25, 0.5, 0.75])
            sizes = (high - low) / NORMAL, known.std(), abs(middle[place]), 1.0
            spread[place] = next(size for size in sizes if size > LEAST * max(1.0, abs(middle[place])))
    return middle, spread


def _rarity(column: Array, levels: int) -> Floats:
    """Return (levels + 1,) -log of each level's probability; the rarest share that of a level never seen."""
    counts = np.bincount(column[~np.isnan(column)].astype(np.int64), minlength=levels + 1).astype(np.float64)
    rare = counts <= RARE
    rare[levels] = True
    shared = counts[rare].sum() + 1
    return np.asarray(-np.log(np.where(rare, shared, counts) / (counts.sum() + 1)))


def _mark(weight: Array) -> Floats:
    return np.asarray(UNIT * np.sqrt(2 * np.maximum(weight, 0.0)))
