"""Scores under each condition: camera, light, batch ..."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, final

import numpy as np

from scarce.dataset import Array, Floats
from scarce.errors import ConfigError
from scarce.evaluate._base import AbstractSection, Judged
from scarce.metric.confusion import accuracy, balanced_accuracy, macro_f1
from scarce.metric.interval import clopper_pearson

MISSING = "(missing)"


@final
@dataclass(frozen=True, kw_only=True)
class PerSlice(AbstractSection):
    """Scores for every value of the manifest's own columns (camera, light, angle, batch ...).

    Use when the test set was taken under several conditions: one bad camera hides in a good mean.
    Needs: ``meta.*`` columns with at most ``most`` values each; numbers with more values (an angle, a brightness, a
    time) are cut into ``parts`` of about equal size. Of pictures, measured brightness and sharpness are sliced by too.
    Columns of numbers that are features of a table are no conditions and get no slices: fifty of them, cut into four
    each, would show a weak one by chance.
    Writes: column to value to ``n``, ``accuracy`` with exact 95 % bounds ``low`` and ``high`` (counted by group
    where samples share one), ``balanced_accuracy`` and ``macro_f1`` over the classes that occur there.

    Args:
        most: columns of names with more different values are left out.
        parts: that a column of many numbers is cut into, 2 or more.
    """

    most: int = 30
    parts: int = 4

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        if self.parts < 2 or self.most < 2:
            raise ConfigError("evaluate.per_slice", f"parts = {self.parts}, most = {self.most}", do="give 2 or more")

    def measure(self, judged: Judged) -> dict[str, Any]:
        """Return the tables."""
        tables: dict[str, Any] = {}
        for column, values in judged.slices.items():
            numbers = _numbers(np.asarray(values))
            if numbers is not None and len(np.unique(numbers)) == len(numbers) > self.most and _whole(numbers):
                continue  # a number of its own for every sample names it, and groups nothing
            names = self._names(np.asarray(values))
            kinds = list(dict.fromkeys(sorted(names.tolist(), key=_order)))
            if 2 <= len(kinds) <= self.most:
                tables[column] = {kind: self._scores(judged, names == kind) for kind in kinds}
        return tables

    def _names(self, values: Array) -> Array:
        """Return (N,) what each sample's slice is called; many numbers are cut into parts of about equal size."""
        numbers = _numbers(values)
        if numbers is None or len(np.unique(numbers[np.isfinite(numbers)])) <= self.most:
            return np.array([_name(value) for value in values.tolist()], object)
        known = np.isfinite(numbers)
        edges = np.unique(np.quantile(numbers[known], np.linspace(0, 1, self.parts + 1)))
        place = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, max(len(edges) - 2, 0))
        tiny = 1e-9 * float(np.ptp(edges))
        edges = np.where(np.abs(edges) < tiny, 0.0, edges)
        titles = [f"{_short(low)} to {_short(high)}" for low, high in pairwise(edges.tolist())]
        return np.array([titles[at] if good else MISSING for at, good in zip(place, known, strict=True)], object)

    def _scores(self, judged: Judged, mask: Array) -> dict[str, Any]:
        y, pred = judged.y[mask], judged.pred[mask]
        low, high = clopper_pearson(int((y == pred).sum()), len(y), 0.95, groups=judged.group_count(mask))
        return {
            "n": len(y), "accuracy": accuracy(y, pred), "low": low, "high": high,
            "balanced_accuracy": balanced_accuracy(y, pred, judged.n_classes),
            "macro_f1": macro_f1(y, pred, judged.n_classes),
        }  # fmt: skip


def _numbers(values: Array) -> Floats | None:
    """Return the values as numbers where all that are not missing are some, else None."""
    if values.dtype.kind in "iuf":
        return np.asarray(values, np.float64)
    known = [value for value in values.tolist() if value is not None]
    if values.dtype.kind != "O" or not all(isinstance(value, int | float) for value in known):
        return None
    return np.array([np.nan if value is None else float(value) for value in values.tolist()])


def _whole(numbers: Floats) -> bool:
    known = numbers[np.isfinite(numbers)]
    return bool((known == np.round(known)).all())


def _order(name: str) -> tuple[int, float, str]:
    """Sort numbers and parts of numbers by size, names by letter, and what is missing last."""
    if name == MISSING:
        return 2, 0.0, name
    try:
        return 0, float(name.split(" to ", maxsplit=1)[0]), name
    except ValueError:
        return 1, 0.0, name


def _short(value: float) -> str:
    """Return a number in four digits, and a large one whole."""
    return f"{value:.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:.4g}"


def _name(value: object) -> str:
    missing = value is None or (isinstance(value, float) and np.isnan(value))
    return MISSING if missing else str(value)
