"""One condition is the test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from scarce.dataset import Dataset, Ints, Mask
from scarce.errors import ConfigError, unknown_name
from scarce.split._base import TEST, AbstractSplitter, Units
from scarce.split.grouped import assign_groups


@final
@dataclass(frozen=True, kw_only=True)
class HoldOut(AbstractSplitter):
    """Test on one camera, place, lot or any other condition that training never sees.

    Use when the model must work on a condition that it was not trained on.
    Do not use when the condition holds nearly all samples of a class: nothing is left to learn it from.
    Needs: label and the column. Samples of a group that is partly held out wait in the pool.
    Writes: split, split_group; val is drawn from the rest as by ``grouped``.
    Source: leave-one-domain-out, Gulrajani and Lopez-Paz 2021.

    Args:
        where: ``column=value``, or several values: ``camera=B,C``. Columns of the manifest need no ``meta.``.
    """

    where: str = ""

    by_value: ClassVar[bool] = True

    def assign(self, units: Units, *, seed: int = 0) -> Ints:
        """Return (G,) splits."""
        held = np.zeros(len(units), bool)
        held[units.code[held_rows(units.ds, self.where)]] = True
        train, val, _ = units.ratios
        rest = (train / (train + val), val / (train + val), 0.0)
        codes = np.full(len(units), TEST)
        codes[~held] = assign_groups(units.counts[~held], rest, seed=seed)
        return codes

    def left_out(self, units: Units, assigned: Ints) -> Mask:
        """Return the rows of held-out groups that do not have the condition themselves."""
        return np.asarray((assigned[units.code] == TEST) & ~held_rows(units.ds, self.where), np.bool_)


def held_rows(ds: Dataset, where: str) -> Mask:
    """Return (N,) the rows that meet ``column=value``.

    Raises:
        ConfigError: it is not written so.
        UnknownNameError: there is no such column, or no row with that value.
    """
    column, sign, text = where.partition("=")
    if not sign or not column.strip() or not text.strip():
        raise ConfigError("split.hold_out", f"hold_out = {where!r}", "it takes column=value", "for example camera=B")
    values = [str(value) for value in _column(ds, column.strip()).tolist()]
    wanted = {part.strip() for part in text.split(",")}
    for value in sorted(wanted):
        if value not in values:
            raise unknown_name("split.hold_out", f"{column.strip()} value", value, set(values))
    found: Mask = np.fromiter((value in wanted for value in values), np.bool_, len(values))
    return found


def _column(ds: Dataset, name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.object_]]:
    known = ds.table.column_names
    for full in (name, f"meta.{name}"):
        if full in known:
            return np.array(ds.table[full].to_pylist(), object)
    raise unknown_name("split.hold_out", "column", name, [item.removeprefix("meta.") for item in known])
