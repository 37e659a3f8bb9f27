"""Sharpened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.augment._base import AbstractOperation, spread
from scarce.dataset import Array, Floats, Ints
from scarce.recipe import Params


@final
@dataclass(frozen=True, kw_only=True)
class Sharpen(AbstractOperation):
    """Sharpen by an unsharp mask, as cameras do by themselves.

    Use when cameras or their settings differ.
    Do not use when faint soft marks are the evidence.
    Needs: pictures.
    Writes: parameter amount (share of the detail that is added again).

    Args:
        amount: smallest and largest amount; negative softens.
        radius: deviation of the blur that tells detail, in pixels.
    """

    uniforms: ClassVar[int] = 1

    amount: tuple[float, float] = (0.2, 1.0)
    radius: float = 1.0

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        self.check_range("amount", self.amount, -1.0, 5.0)
        self.check("radius", self.radius, 0.2, 20.0)

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return amount and radius."""
        return {"amount": spread(uniform[:, 0], *self.amount), "radius": np.full(len(uniform), self.radius)}

    def change(self, images: Array, params: Params, rows: Ints) -> None:
        """Sharpen the rows."""
        import cv2

        for row in rows.tolist():
            soft = cv2.GaussianBlur(images[row], (0, 0), float(params["radius"][row]))
            amount = float(params["amount"][row])
            cv2.addWeighted(images[row], 1 + amount, soft, -amount, 0, images[row])
