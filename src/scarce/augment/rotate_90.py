"""Quarter turns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.augment._base import AbstractOperation
from scarce.augment.flip import flip_matrices
from scarce.dataset import Floats
from scarce.recipe import Params


@final
@dataclass(frozen=True, kw_only=True)
class Rotate90(AbstractOperation):
    """Turn by none, one, two or three quarters, without blending.

    Use when a sample has no upright: surfaces, fields seen from above, cells.
    Do not use when gravity or the camera fixes the upright: garments, scenes, text.
    Needs: pictures; oblong ones are turned by none or two quarters.
    Writes: parameter quarters (0 to 3, counter-clockwise).
    """

    uniforms: ClassVar[int] = 1
    geometric: ClassVar[bool] = True

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return the number of quarters."""
        return {"quarters": (uniform[:, 0] * 4).astype(np.int64)}

    def matrices(self, params: Params, height: int, width: int) -> Floats:
        """Return (N, 3, 3) exact turns."""
        quarters = np.asarray(params["quarters"])
        if height != width:
            quarters = quarters // 2 * 2
        return flip_matrices(
            (quarters == 2) | (quarters == 3), (quarters == 1) | (quarters == 2), quarters % 2 == 1, (height, width)
        )
