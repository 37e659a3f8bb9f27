"""Feature rows as they are, with holes marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, final

import numpy as np

from scarce.dataset import Array, Floats
from scarce.encode._base import AbstractEncoder


@final
@dataclass(frozen=True, kw_only=True)
class Table(AbstractEncoder):
    """Numbers as they are and on a logarithmic scale, holes filled with 0 and marked.

    Use when a sample is a row of measurements; categories arrive as fixed codes already.
    Do not use when interactions decide: a linear probe on these features sees none.
    Needs: (F,) float32, NaN = missing; the same F everywhere.
    Writes: embedding.table (N, 3F) float32: values, sign(x) log(1 + |x|), and 1 where the value is missing. Not scaled:
    scaling is fitted, so the probe does it on its training rows.
    Source: the missing-indicator method, Little and Rubin 2002, section 3.
    """

    modalities: ClassVar[tuple[str, ...]] = ("tabular",)
    stored: ClassVar[Literal["float16", "float32"]] = "float32"
    single: ClassVar[bool] = True

    def embed(self, batch: Sequence[Array | str]) -> Floats:
        """Return (B, 3F) features of rows."""
        return numbers_with_holes(np.stack([np.asarray(row, np.float32).ravel() for row in batch]))


def numbers_with_holes(rows: Floats) -> Floats:
    """Return (B, 3F) float32 features of (B, F) numbers; see :class:`Table`."""
    hole = ~np.isfinite(rows)
    filled = np.where(hole, 0.0, rows)
    return np.concatenate([filled, np.sign(filled) * np.log1p(np.abs(filled)), hole], axis=1).astype(np.float32)
