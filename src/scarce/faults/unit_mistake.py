"""Values written in another unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from scarce.errors import DataError, unknown_name
from scarce.faults._base import AbstractFault, Material, Truth


@final
@dataclass(frozen=True, kw_only=True)
class UnitMistake(AbstractFault):
    """Write a share of a table's values of one column in another unit: millimeters among meters.

    Use when you want to know whether an audit, or a contract, finds values that are out of range.
    Do not use with pictures; ``mixed_in`` gives outliers there.

    Args:
        rate: share of the rows.
        column: which; empty = the first.
        factor: by which its values are multiplied; 0 is no unit.
    """

    rate: float = 0.003
    column: str = ""
    factor: float = 1000.0

    def plant(self, material: Material, *, seed: int = 0) -> tuple[Material, Truth]:
        """Return the table with the wrong values, and their rows; values of 0 are left as they are.

        Raises:
            DataError: the material is no table, no value differs from 0, or the factor is 0 or 1.
            UnknownNameError: there is no such column.
        """
        if not material.names:
            raise DataError("faults.unit_mistake", "it spoils tables, and these are pictures", do="use mixed_in")
        if self.factor in (0.0, 1.0) or not np.isfinite(self.factor):
            raise DataError("faults.unit_mistake", f"factor = {self.factor:g} is no other unit")
        name = self.column or material.names[0]
        if name not in material.names:
            raise unknown_name("faults.unit_mistake", "column", name, material.names)
        at = material.names.index(name)
        values = np.array([row[at] for row in material.images])
        fits = np.flatnonzero(np.isfinite(values) & (values != 0))
        rows = self.drawn(fits, np.random.default_rng([seed, 15]))
        values[rows] *= self.factor
        truth = Truth.clean(material)
        truth.faulty[rows], truth.how[rows] = True, "unit_mistake"
        return material.with_values(name, values), truth
