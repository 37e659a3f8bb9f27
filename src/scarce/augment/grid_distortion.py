"""Uneven stretch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, final

import numpy as np

from scarce.augment._base import AbstractOperation
from scarce.dataset import Floats
from scarce.recipe import Params


@final
@dataclass(frozen=True, kw_only=True)
class GridDistortion(AbstractOperation):
    """Stretch and squeeze the columns and rows of a grid unevenly.

    Use when cloth or paper is drawn unevenly past the camera.
    Do not use when widths or distances are the evidence.
    Needs: pictures.
    Writes: parameters x, y (shifts of the inner grid lines, shares of a cell), border.

    Args:
        cells: columns and rows of the grid.
        strength: farthest that a grid line moves, in shares of a cell, under .5.
        border: what is seen beyond the edge: reflect, replicate, or constant (black).
    """

    uniforms: ClassVar[int] = 2 * 16
    geometric: ClassVar[bool] = True
    bends: ClassVar[bool] = True

    cells: int = 5
    strength: float = 0.25
    border: Literal["reflect", "replicate", "constant"] = "reflect"

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        self.check("cells", self.cells, 2, 16)
        self.check("strength", self.strength, 0.0, 0.45)

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return the shifts of the inner lines."""
        lines = self.cells - 1
        shifts = self.strength * (2 * uniform - 1)
        return {"x": shifts[:, :lines], "y": shifts[:, lines : 2 * lines], "border": self.border}

    def sources(self, params: Params, x: Floats, y: Floats, size: tuple[int, int]) -> tuple[Floats, Floats]:
        """Return the points after the piecewise linear stretch of both axes."""
        found = []
        for values, shifts, side in ((x, params["x"], size[1]), (y, params["y"], size[0])):
            knots = np.linspace(0.0, side - 1, len(shifts) + 2)
            moves = np.zeros(len(knots))
            moves[1:-1] = np.asarray(shifts) * (side - 1) / (len(shifts) + 1)
            found.append((values + np.interp(values, knots, moves)).astype(np.float32))
        return found[0], found[1]
