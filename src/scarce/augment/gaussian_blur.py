"""Out of focus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

from scarce.augment._base import AbstractOperation, spread
from scarce.dataset import Array, Floats, Ints
from scarce.recipe import Params


@final
@dataclass(frozen=True, kw_only=True)
class GaussianBlur(AbstractOperation):
    """Blur evenly, as out of focus.

    Use when focus varies.
    Do not use when a hairline is the evidence, or keep it below its width.
    Needs: pictures.
    Writes: parameter radius (share of the shorter side).

    Args:
        radius: smallest and largest standard deviation, in shares of the shorter side.
    """

    uniforms: ClassVar[int] = 1

    radius: tuple[float, float] = (0.001, 0.008)

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        self.check_range("radius", self.radius, 0.0, 0.2)

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return the radius."""
        return {"radius": spread(uniform[:, 0], *self.radius)}

    def change(self, images: Array, params: Params, rows: Ints) -> None:
        """Blur the rows."""
        import cv2

        for row in rows.tolist():
            sigma = float(params["radius"][row]) * min(images.shape[1:3])
            if sigma > 0.1:
                cv2.GaussianBlur(images[row], (0, 0), sigma, images[row], borderType=cv2.BORDER_REFLECT_101)
