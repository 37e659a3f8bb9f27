"""The same object in another picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from scarce.dataset import Array
from scarce.errors import DataError
from scarce.faults._base import AbstractFault, Material, Truth


def retaken(image: Array, rng: np.random.Generator, *, shift: float = 0.04, light: float = 0.3) -> Array:
    """Return what a second photo of the same object shows: a shifted frame, other light that falls off, own noise.

    Args:
        image: uint8 (H, W) or (H, W, 3).
        rng: draws how much.
        shift: largest shift as a share of the edges; the frame is cut to fit.
        light: how much the exposure and its slope may differ, in (0, 1).
    """
    height, width = image.shape[:2]
    room = [max(1, round(shift * edge)) for edge in (height, width)]
    top, left = (int(rng.integers(0, most + 1)) for most in room)
    part = image[top : top + height - room[0], left : left + width - room[1]].astype(np.float32)
    y, x = np.mgrid[-0.5 : 0.5 : part.shape[0] * 1j, -0.5 : 0.5 : part.shape[1] * 1j].astype(np.float32)
    field = 1 + rng.uniform(-light, light) + rng.uniform(-light, light) * x + rng.uniform(-light, light) * y
    field = field if part.ndim == 2 else field[:, :, None]
    return np.asarray(np.clip(part * field + rng.normal(0, 2, part.shape), 0, 255).astype(np.uint8))


@final
@dataclass(frozen=True, kw_only=True)
class Retaken(AbstractFault):
    """Add other photos of a share of the objects: shifted, in other light, with noise of their own.

    Use when you want to know whether an audit, or a split, notices that some parts were photographed more than once.

    Args:
        rate: share of the samples that are photographed again.
        times: how often each.
        other_split: put the photos into another split than their object, where there are splits.
    """

    times: int = 2
    other_split: bool = False

    def plant(self, material: Material, *, seed: int = 0) -> tuple[Material, Truth]:
        """Return the material with the photos at the end; ``truth.source`` names the first photo of the object."""
        material.refuse_tables(self.plugin_name())
        if self.times < 1:
            raise DataError("faults.retaken", f"times = {self.times}", do="use 1 or more")
        rng = np.random.default_rng([seed, 13])
        rows = np.repeat(self.drawn(np.arange(len(material.images)), rng), self.times)
        images = [retaken(material.images[row], rng) for row in rows.tolist()]
        labels = np.asarray(material.labels)[rows]
        split = None if material.split is None else np.asarray(material.split, object)[rows]
        if split is not None and self.other_split:
            split = np.where(split == "train", "test", "train").astype(object)
        return material.added(images, labels, split), Truth.clean(material).added(rows, labels, ["retaken"] * len(rows))
