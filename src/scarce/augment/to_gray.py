"""Without color."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.augment._base import AbstractOperation
from scarce.dataset import Floats, Ints
from scarce.recipe import Params, Tone


@final
@dataclass(frozen=True, kw_only=True)
class ToGray(AbstractOperation):
    """Take the color away; the picture keeps its channels.

    Use when the model must not lean on color alone.
    Do not use when color is the evidence.
    Needs: pictures; gray ones stay as they are.
    Writes: nothing but that it was applied.
    Source: ITU-R BT.601 luma weights.
    """

    uniforms: ClassVar[int] = 0
    color: ClassVar[bool] = True

    probability: float = 0.1

    def uses_color(self) -> bool:
        """Return True: gray pictures have none."""
        return True

    def parameters(self, uniform: Floats) -> dict[str, Any]:  # noqa: ARG002  nothing is drawn
        """Return nothing."""
        return {}

    def tone(self, params: Params, rows: Ints, channels: int) -> Tone:  # noqa: ARG002  one shape for all
        """Return one matrix a row."""
        out = np.zeros((len(rows), 3, 4))
        out[:, :, :3] = [0.299, 0.587, 0.114]
        return Tone(matrix=out)
