"""Light and exposure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.augment._base import AbstractOperation, spread
from scarce.dataset import Floats, Ints
from scarce.recipe import Params, Tone


@final
@dataclass(frozen=True, kw_only=True)
class BrightnessContrast(AbstractOperation):
    """Change brightness, contrast and, on request, the tint of the light.

    Use when light and exposure vary in the field.
    Do not use when the defect is a matter of brightness alone (uneven coating), or keep it very small.
    Needs: pictures; tint needs RGB and does nothing on gray ones.
    Writes: parameters brightness (share of 255 added), contrast (factor about the pivot), tint (three factors).

    Args:
        brightness: largest change in shares of full white.
        contrast: largest relative change of contrast.
        tint: largest relative change of one color channel; 0 = the color of the light stays.
        pivot: the gray level that contrast leaves alone, in shares of full white; 0 keeps a black ground black.
    """

    uniforms: ClassVar[int] = 5
    color: ClassVar[bool] = True

    brightness: float = 0.2
    contrast: float = 0.2
    tint: float = 0.0
    pivot: float = 0.5

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        self.check("brightness", self.brightness, 0.0, 1.0)
        self.check("contrast", self.contrast, 0.0, 1.0)
        self.check("tint", self.tint, 0.0, 1.0)
        self.check("pivot", self.pivot, 0.0, 1.0)

    def uses_color(self) -> bool:
        """Return whether the tint changes."""
        return self.tint > 0

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return brightness, contrast and tint."""
        drawn = {
            "brightness": spread(uniform[:, 0], -self.brightness, self.brightness),
            "contrast": 1 + spread(uniform[:, 1], -self.contrast, self.contrast),
            "pivot": np.full(len(uniform), self.pivot),
        }
        return {**drawn, "tint": 1 + spread(uniform[:, 2:], -self.tint, self.tint)} if self.tint else drawn

    def tone(self, params: Params, rows: Ints, channels: int) -> Tone:
        """Return gains and offsets of the channels."""
        names = ["brightness", "contrast", "pivot", *(["tint"] if channels == 3 and "tint" in params else [])]
        gain, offset = brightness_gains(*(np.asarray(params[name])[rows] for name in names))
        return Tone(gain=gain, offset=offset)


def brightness_gains(
    brightness: Floats, contrast: Floats, pivot: Floats, tint: Floats | None = None
) -> tuple[Floats, Floats]:
    """Return (N, 1) or, with an (N, 3) tint, (N, 3) factors and offsets on the scale 0..255.

    A value v becomes ``((v - 255 * pivot) * contrast + 255 * (pivot + brightness)) * tint``.
    """
    gain, offset = contrast[:, None], (255 * (pivot + brightness - contrast * pivot))[:, None]
    return (gain, offset) if tint is None else (gain * tint, offset * tint)
