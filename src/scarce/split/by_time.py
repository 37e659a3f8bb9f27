"""The past trains, the future tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from scarce.dataset import Ints
from scarce.errors import DataError
from scarce.split._base import TEST, TRAIN, VAL, AbstractSplitter, Units


@final
@dataclass(frozen=True, kw_only=True)
class ByTime(AbstractSplitter):
    """Train on the oldest groups, test on the newest.

    Use when the process drifts (tools wear, seasons, suppliers) and the model will judge tomorrow's parts.
    Do not use when classes were photographed one after the other: then time is the label.
    Needs: captured_at, label. A group counts at its newest sample; groups without a time go to train.
    Writes: split, split_group.
    Source: Cerqueira, Torgo and Mozetic 2020 (hold-out by time).
    """

    needs: ClassVar[tuple[str, ...]] = ("captured_at",)

    by_value: ClassVar[bool] = True

    def assign(self, units: Units, *, seed: int = 0) -> Ints:  # noqa: ARG002 - nothing is drawn
        """Return (G,) splits."""
        if "captured_at" not in units.ds:
            raise DataError("split.by_time", "no sample says when it was taken", do="name the column: --time COLUMN")
        times = units.ds["captured_at"].astype("datetime64[us]")
        known = ~np.isnat(times)
        newest = np.full(len(units), np.iinfo(np.int64).min)
        np.maximum.at(newest, units.code[known], times[known].astype(np.int64))
        return assign_by_order(newest, np.bincount(units.code, minlength=len(units)), units.ratios)


def assign_by_order(order: Ints, sizes: Ints, ratios: tuple[float, float, float]) -> Ints:
    """Return (G,) splits: groups in ascending order fill train, then val, then test; equal ones stay together.

    Args:
        order: (G,) when each group comes.
        sizes: (G,) its rows.
        ratios: shares of train, val and test.
    """
    keys, inverse = np.unique(order, return_inverse=True)
    rows = np.bincount(inverse, sizes, minlength=len(keys))
    middle = (np.cumsum(rows) - rows / 2) / max(rows.sum(), 1)
    code = np.full(len(keys), TRAIN)
    code[middle >= ratios[TRAIN]] = VAL
    code[middle >= ratios[TRAIN] + ratios[VAL]] = TEST
    if ratios[TEST] == 0:
        code[code == TEST] = VAL if ratios[VAL] else TRAIN
    if ratios[VAL] == 0:
        code[code == VAL] = TEST if ratios[TEST] else TRAIN
    return np.asarray(code[inverse], np.int64)
