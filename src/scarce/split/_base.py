"""The frame of a splitter: units that must stay whole go in, one split a unit comes out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Final

import numpy as np

from scarce.dataset import Dataset, Ints, Mask
from scarce.errors import ConfigError
from scarce.registry import Plugin

TRAIN, VAL, TEST = 0, 1, 2
NAMES: Final = ("train", "val", "test")
FIRST: Final = (TRAIN, TEST, VAL)
"""Which split a class must reach first if it has fewer groups than there are splits."""


@dataclass(frozen=True, eq=False)
class Units:
    """What is to be split.

    Attributes:
        ds: n labelled rows that have no split yet.
        code: (n,) the unit of each row, 0..G-1; units are numbered by their smallest id.
        ratios: wanted shares of train, val and test; 0 = closed. They sum to 1.
        marks: (n, K) bool, the classes of each row where it can have several; None = its label.
    """

    ds: Dataset
    code: Ints
    ratios: tuple[float, float, float]
    marks: Mask | None = None

    def __len__(self) -> int:
        """Return G."""
        return int(self.code.max()) + 1 if len(self.code) else 0

    @cached_property
    def counts(self) -> Ints:
        """(G, K) rows of each class in each unit."""
        if self.marks is not None:
            found = np.zeros((len(self), self.marks.shape[1]), np.int64)
            np.add.at(found, self.code, self.marks)
            return found
        k = len(self.ds.schema.classes)
        flat = np.bincount(self.code * k + self.ds["label"], minlength=len(self) * k)
        return flat.reshape(len(self), k)


@dataclass(frozen=True, kw_only=True)
class AbstractSplitter(Plugin, ABC):
    """Base of every splitter."""

    whole: ClassVar[bool] = True
    """Whether groups are kept whole; only a baseline that leaks on purpose says no."""

    by_value: ClassVar[bool] = False
    """Whether a row's own values say where it goes; then rows that no person labelled are asked for as well."""

    @abstractmethod
    def assign(self, units: Units, *, seed: int = 0) -> Ints:
        """Return (G,) the split of each unit: 0 = train, 1 = val, 2 = test."""

    def left_out(self, units: Units, assigned: Ints) -> Mask:  # noqa: ARG002 - a hook
        """Return (n,) rows that may not go where their unit goes; they wait in the pool."""
        return np.zeros(len(units.code), bool)


def open_splits(ratios: tuple[float, float, float]) -> tuple[int, ...]:
    """Return the splits that take anything, most important first."""
    return tuple(split for split in FIRST if ratios[split] > 0)


def shares_of(ratios: Sequence[float]) -> tuple[float, float, float]:
    """Return the shares of train, val and test.

    Raises:
        ConfigError: they are no three that sum to 1.
    """
    values = tuple(float(value) for value in ratios)
    if len(values) != 3 or not all(0 <= value <= 1 for value in values) or abs(sum(values) - 1) > 1e-6 or not values[0]:
        raise ConfigError(
            "split", f"ratios = {list(ratios)}", "they are the shares of train, val and test",
            "give three that sum to 1, with train above 0, for example 0.7 0.1 0.2",
        )  # fmt: skip
    return values[0], values[1], values[2]
