"""Tables with holes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, final

import numpy as np

from scarce.dataset import Array, Ints, Mask
from scarce.errors import DataError, unknown_name
from scarce.faults._base import AbstractFault, Material, Truth


def holes_by_class(labels: Ints, shares: Array, *, seed: int = 0) -> Mask:
    """Return (N,) where a value is to be blanked: a known share of each class.

    Args:
        labels: (N,) class codes.
        shares: (K,) probability of a hole by class, in [0, 1].
        seed: of the draw.
    """
    return np.asarray(np.random.default_rng([seed, 12]).random(len(labels)) < np.asarray(shares)[labels])


def measured(material: Material) -> dict[str, Array]:
    """Return columns of numbers that the pictures themselves give: ``brightness`` and ``contrast``."""
    light = [f"{np.mean(image):.3f}" for image in material.images]
    contrast = [f"{np.std(image):.3f}" for image in material.images]
    return {"brightness": np.array(light, object), "contrast": np.array(contrast, object)}


@final
@dataclass(frozen=True, kw_only=True)
class MissingValues(AbstractFault):
    """Blank a share of the values of a table's column, at random or in one class above all.

    Use when you want to know whether an audit finds holes, and sees that they depend on the class. Pictures without
    columns get two that they give: brightness and contrast.

    Args:
        rate: share of the samples (of the rarest class, for ``by_class``) whose value is blanked.
        kind: ``random`` in every class alike; ``by_class`` in the rarest class only.
        column: which; empty = the first.
        written: what stands there instead: nothing, or ``?``, ``-999`` ...
    """

    kind: Literal["random", "by_class"] = "random"
    column: str = ""
    written: str = ""

    def plant(self, material: Material, *, seed: int = 0) -> tuple[Material, Truth]:
        """Return the material with holes, and where they are.

        Raises:
            UnknownNameError: there is no such column.
            DataError: what is to be written does not fit the column.
        """
        columns = dict(material.columns) or ({} if material.names else measured(material))
        name = self.column or next(iter((*material.names, *columns)))
        if name not in columns and name not in material.names:
            raise unknown_name("faults.missing_values", "column", name, (*material.names, *columns))
        labels = np.asarray(material.labels, np.int64)
        rows: Ints = np.arange(len(labels))
        if self.kind == "by_class":
            counts = np.bincount(labels, minlength=len(material.classes))
            rows = np.flatnonzero(labels == np.where(counts > 0, counts, counts.max() + 1).argmin())
        rows = self.drawn(rows, np.random.default_rng([seed, 13]))
        truth = Truth.clean(material)
        truth.how[rows] = f"missing_values {self.kind}"
        truth.faulty[rows] = True
        if name in material.names:
            return self._blanked(material, name, rows), truth
        values = np.array(columns[name], object)
        values[rows] = self.written
        return replace(material, columns={**columns, name: values}), truth

    def _blanked(self, material: Material, name: str, rows: Ints) -> Material:
        at = material.names.index(name)
        values = np.array([row[at] for row in material.images])
        try:
            values[rows] = float(self.written) if self.written else np.nan
        except ValueError:
            what = f"written = {self.written!r} is no number, and {name} is a column of numbers"
            raise DataError("faults.missing_values", what, do="leave it empty, or give a number such as -999") from None
        return material.with_values(name, values)
