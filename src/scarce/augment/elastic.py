"""Soft deformation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, final

import numpy as np

from scarce.augment._base import AbstractOperation, spread
from scarce.dataset import Floats
from scarce.recipe import Params


@final
@dataclass(frozen=True, kw_only=True)
class Elastic(AbstractOperation):
    """Bend the picture softly, as cloth or tissue gives way.

    Use when the material is soft, and for handwriting.
    Do not use when shapes are the evidence: a bent screw is a defect.
    Needs: pictures.
    Writes: parameters strength (share of the shorter side), cells (waves across), noise (seed of the field), border.
    Source: Simard, Steinkraus and Platt 2003; a coarse grid of normal numbers stands for blurred noise.

    Args:
        strength: smallest and largest deviation of the shifts, in shares of the shorter side.
        cells: grid cells across the picture; fewer = longer waves.
        border: what is seen beyond the edge: reflect, replicate, or constant (black).
    """

    uniforms: ClassVar[int] = 2
    geometric: ClassVar[bool] = True
    bends: ClassVar[bool] = True

    strength: tuple[float, float] = (0.005, 0.02)
    cells: int = 5
    border: Literal["reflect", "replicate", "constant"] = "reflect"

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        self.check_range("strength", self.strength, 0.0, 0.1)
        self.check("cells", self.cells, 2, 64)

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return strength and seed."""
        noise = (uniform[:, 1] * 2**31).astype(np.int64)
        cells = np.full(len(uniform), self.cells)
        return {
            "strength": spread(uniform[:, 0], *self.strength),
            "cells": cells,
            "noise": noise,
            "border": self.border,
        }

    def sources(self, params: Params, x: Floats, y: Floats, size: tuple[int, int]) -> tuple[Floats, Floats]:
        """Return the points shifted by a smooth random field."""
        import cv2

        nodes = np.random.default_rng(int(params["noise"])).standard_normal(
            (int(params["cells"]) + 1,) * 2 + (2,), np.float32
        )
        nodes = np.clip(nodes, -2, 2) * np.float32(params["strength"] * min(size))
        return shifted(np.asarray(cv2.resize(nodes, size[::-1], interpolation=cv2.INTER_CUBIC)), x, y)


def shifted(field: Floats, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Return points moved by an (H, W, 2) float32 field of shifts in pixels, read between pixels."""
    import cv2

    shape = x.shape
    u, v = (part.astype(np.float32).reshape(-1, shape[-1]) for part in (x, y))
    moves = cv2.remap(field, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).reshape(*shape, 2)
    return x + moves[..., 0], y + moves[..., 1]
