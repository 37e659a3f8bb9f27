"""Pictures that change along their order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, final

import numpy as np

from scarce.faults._base import AbstractFault, Material, Truth


@final
@dataclass(frozen=True, kw_only=True)
class Drifting(AbstractFault):
    """Let the light fade along the order of the samples, slowly or in one step.

    Use when you want to know whether an audit notices that data changed while it was collected.

    Args:
        rate: share of the samples, the last ones, over which the light fades.
        light: share of the light that is left at the end, in (0, 1).
        kind: ``slow`` = evenly to the last sample; ``step`` = at once.
    """

    rate: float = 0.5
    light: float = 0.6
    kind: Literal["slow", "step"] = "slow"

    def plant(self, material: Material, *, seed: int = 0) -> tuple[Material, Truth]:
        """Return the material with the drift, and which pictures are darker than they were.

        Args:
            material: N pictures in the order in which they were taken.
            seed: draws by how much the light flickers, up to 2 %, and so where exactly the drift begins.
        """
        material.refuse_tables(self.plugin_name())
        n = len(material.images)
        count = len(self.drawn(np.arange(n), np.random.default_rng([seed, 9])))
        rng = np.random.default_rng([seed, 10])
        start = int(np.clip(n - count + rng.integers(-max(1, n // 20), max(1, n // 20) + 1), 0, n - 1))
        images, truth = list(material.images), Truth.clean(material)
        for row in range(start, n):
            way = (row - start + 1) / (n - start) if self.kind == "slow" else 1.0
            light = (1 - (1 - self.light) * way) * (1 + rng.uniform(-0.02, 0.02))
            images[row] = np.clip(images[row].astype(np.float32) * min(light, 1.0), 0, 255).astype(np.uint8)
        truth.faulty[start:], truth.how[start:] = True, f"drifting {self.kind}"
        return replace(material, images=images), truth
