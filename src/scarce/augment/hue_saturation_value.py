"""The color of the light."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.augment._base import AbstractOperation, spread
from scarce.dataset import Floats, Ints
from scarce.recipe import Params, Tone


@final
@dataclass(frozen=True, kw_only=True)
class HueSaturationValue(AbstractOperation):
    """Turn the hue, change the saturation and the brightness.

    Use when lamps, dyes or cameras differ.
    Do not use when the color is the evidence (a stain, ripeness), or pictures are gray.
    Needs: pictures; on gray ones only the value changes.
    Writes: parameters hue (degrees), saturation and value (factors).
    Source: a turn about the gray axis of the YIQ colors, one 3 x 3 matrix, in place of HSV's six cases.

    Args:
        hue: largest turn of the hue in degrees.
        saturation: largest relative change of the saturation.
        value: largest relative change of the brightness.
    """

    uniforms: ClassVar[int] = 3
    color: ClassVar[bool] = True

    hue: float = 10.0
    saturation: float = 0.3
    value: float = 0.1

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        self.check("hue", self.hue, 0.0, 180.0)
        self.check("saturation", self.saturation, 0.0, 1.0)
        self.check("value", self.value, 0.0, 1.0)

    def uses_color(self) -> bool:
        """Return whether hue or saturation change."""
        return self.hue > 0 or self.saturation > 0

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return hue, saturation and value."""
        return {
            "hue": spread(uniform[:, 0], -self.hue, self.hue),
            "saturation": 1 + spread(uniform[:, 1], -self.saturation, self.saturation),
            "value": 1 + spread(uniform[:, 2], -self.value, self.value),
        }

    def tone(self, params: Params, rows: Ints, channels: int) -> Tone:  # noqa: ARG002  one shape for all
        """Return one matrix a row."""
        return Tone(
            matrix=color_matrices(
                *(np.asarray(params[name], np.float64)[rows] for name in ("hue", "saturation", "value"))
            )
        )


def color_matrices(hue: Floats, saturation: Floats, value: Floats) -> Floats:
    """Return (N, 3, 4) RGB matrices from (N,) hue in degrees and factors of saturation and value; gray stays gray."""
    radians = np.deg2rad(hue)
    along, across = (saturation * part for part in (np.cos(radians), np.sin(radians)))
    out = np.zeros((len(hue), 3, 4))
    out[:, :, :3] = _GRAY + along[:, None, None] * (np.eye(3) - _GRAY) + across[:, None, None] * _TURN
    return out * value[:, None, None]


_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
_GRAY = np.repeat(_YIQ[:1], 3, axis=0)
_TURN = np.linalg.inv(_YIQ) @ np.array([[0, 0, 0], [0, 0, -1], [0, 1, 0]]) @ _YIQ
