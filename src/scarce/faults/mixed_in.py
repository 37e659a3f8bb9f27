"""Foreign pictures among the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from scarce.dataset import Array
from scarce.faults._base import AbstractFault, Material, Truth


@final
@dataclass(frozen=True, kw_only=True)
class MixedIn(AbstractFault):
    """Replace a share of the samples by pictures that do not belong there.

    Use when you want to know whether an audit finds outliers. Give real foreign pictures to :meth:`plant_from`; without
    them, drawn test cards (checker boards, rings, gratings) stand in.

    Args:
        rate: share of the samples.
    """

    def plant(self, material: Material, *, seed: int = 0) -> tuple[Material, Truth]:
        """Return the material with test cards in place of some pictures."""
        material.refuse_tables(self.plugin_name())
        rng = np.random.default_rng([seed, 4])
        shapes = [image.shape for image in material.images]
        cards = [_card(shapes[row], rng) for row in range(min(len(shapes), 64))]
        return self.plant_from(material, cards, seed=seed)

    def plant_from(self, material: Material, foreign: Sequence[Array], *, seed: int = 0) -> tuple[Material, Truth]:
        """Return the material with foreign pictures in place of some.

        Args:
            material: what is spoiled.
            foreign: at least one picture (of a table: rows (F,) of another one); used in turn.
            seed: draws the rows.
        """
        rng = np.random.default_rng([seed, 5])
        rows = self.drawn(np.arange(len(material.images)), rng)
        images = list(material.images)
        for number, row in enumerate(rows):
            images[row] = foreign[number % len(foreign)]
        truth = Truth.clean(material)
        truth.faulty[rows], truth.source[rows], truth.how[rows] = True, -1, "mixed_in"
        return replace(material, images=images), truth


def _card(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32) / max(shape[:2])
    angle, waves = rng.uniform(0, np.pi), rng.uniform(3, 9)
    field = [
        np.sin(2 * np.pi * waves * (x * np.cos(angle) + y * np.sin(angle))),
        np.sign(np.sin(2 * np.pi * waves * x) * np.sin(2 * np.pi * waves * y)),
        np.sin(2 * np.pi * waves * np.hypot(x - rng.uniform(0.2, 0.8), y - rng.uniform(0.2, 0.8))),
    ][int(rng.integers(0, 3))]
    gray = np.clip(128 + rng.uniform(60, 127) * field, 0, 255).astype(np.uint8)
    return gray if len(shape) == 2 else np.repeat(gray[:, :, None], shape[2], axis=2)
