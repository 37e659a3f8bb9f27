"""Mirroring and quarter turns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.augment._base import AbstractOperation, identities
from scarce.dataset import Floats
from scarce.recipe import Params


@final
@dataclass(frozen=True, kw_only=True)
class Flip(AbstractOperation):
    """Mirror left-right, top-bottom or along the diagonal.

    Use when a mirrored sample could have been photographed: surfaces take all eight symmetries of the square, garments
    and natural scenes only left-right.
    Do not use when the side matters: text, left against right shoe, X-rays with the heart on one side.
    Needs: pictures; the diagonal needs square ones and is skipped elsewhere.
    Writes: parameters horizontal, vertical, diagonal (bool).

    Args:
        horizontal: probability of mirroring left-right.
        vertical: probability of mirroring top-bottom.
        diagonal: probability of swapping rows and columns; with the other two at .5 all eight symmetries are alike.
    """

    uniforms: ClassVar[int] = 3
    geometric: ClassVar[bool] = True

    horizontal: float = 0.5
    vertical: float = 0.0
    diagonal: float = 0.0

    def __post_init__(self) -> None:
        """Refuse probabilities outside [0, 1]."""
        AbstractOperation.__post_init__(self)
        for name in ("horizontal", "vertical", "diagonal"):
            self.check(name, getattr(self, name), 0.0, 1.0)

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return which of the three mirrors are applied."""
        limits = np.array([self.horizontal, self.vertical, self.diagonal])
        drawn = uniform < limits
        return {"horizontal": drawn[:, 0], "vertical": drawn[:, 1], "diagonal": drawn[:, 2]}

    def matrices(self, params: Params, height: int, width: int) -> Floats:
        """Return (N, 3, 3) exact mirrors."""
        return flip_matrices(params["horizontal"], params["vertical"], params["diagonal"], (height, width))


def flip_matrices(horizontal: Any, vertical: Any, diagonal: Any, size: tuple[int, int]) -> Floats:
    """Return (N, 3, 3) mirrors of (height, width) pictures from three (N,) masks; the diagonal comes first."""
    height, width = size
    horizontal, vertical = np.asarray(horizontal, bool), np.asarray(vertical, bool)
    swap = np.asarray(diagonal, bool) & (height == width)
    out = identities(len(horizontal))
    x_sign, y_sign = np.where(horizontal, -1.0, 1.0), np.where(vertical, -1.0, 1.0)
    out[:, 0, 0], out[:, 0, 1] = np.where(swap, 0.0, x_sign), np.where(swap, x_sign, 0.0)
    out[:, 1, 1], out[:, 1, 0] = np.where(swap, 0.0, y_sign), np.where(swap, y_sign, 0.0)
    out[:, 0, 2], out[:, 1, 2] = np.where(horizontal, width - 1.0, 0.0), np.where(vertical, height - 1.0, 0.0)
    return out
