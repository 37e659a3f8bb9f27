"""Looking from aside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, final

import numpy as np

from scarce.augment._base import AbstractOperation
from scarce.dataset import Floats
from scarce.recipe import Params


@final
@dataclass(frozen=True, kw_only=True)
class Perspective(AbstractOperation):
    """Move the four corners of the view, as a camera that is not held square.

    Use when the camera is held by hand, or parts tilt.
    Do not use when the camera is fixed, or parallel edges are the evidence.
    Needs: pictures.
    Writes: parameters corners (8 shares: x and y of top left, top right, bottom right, bottom left), border.

    Args:
        scale: farthest that a corner moves into the picture, in shares of the side, under .45.
        border: what is seen beyond the edge (hardly ever any): reflect, replicate, or constant (black).
    """

    uniforms: ClassVar[int] = 8
    geometric: ClassVar[bool] = True

    scale: float = 0.08
    border: Literal["reflect", "replicate", "constant"] = "reflect"

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        self.check("scale", self.scale, 0.0, 0.45)

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return the corners that will fill the picture."""
        return {"corners": np.abs(np.array([0, 0, 1, 0, 1, 1, 0, 1]) - self.scale * uniform), "border": self.border}

    def matrices(self, params: Params, height: int, width: int) -> Floats:
        """Return (N, 3, 3) maps that bring the four corners to those of the picture."""
        import cv2

        size = np.array([width - 1, height - 1], np.float32)
        full = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32) * size
        corners = np.asarray(params["corners"], np.float32).reshape(-1, 4, 2) * size
        return np.stack([cv2.getPerspectiveTransform(own, full) for own in corners])
