"""A property that gives one class away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

import numpy as np

from scarce.dataset import Array
from scarce.errors import unknown_name
from scarce.faults._base import AbstractFault, Material, Truth


def with_shortcut(image: Array, kind: str, strength: float) -> Array:
    """Return a picture that carries the shortcut.

    Args:
        image: uint8 (H, W) or (H, W, 3).
        kind: ``brightness`` (all gray levels up), ``border`` (a light frame), ``color`` (a red cast; the picture
            becomes RGB) or ``size`` (each edge shrunk).
        strength: in (0, 1].
    """
    import cv2

    if kind == "brightness":
        return np.asarray(cv2.convertScaleAbs(image, alpha=1.0, beta=255 * strength))
    if kind == "border":
        framed, width = image.copy(), max(1, round(0.05 * min(image.shape[:2])))
        light = np.uint8(round(255 * strength))
        framed[:width], framed[-width:], framed[:, :width], framed[:, -width:] = light, light, light, light
        return framed
    if kind == "color":
        red = (image if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2)).astype(np.float32)
        red[:, :, 0] += 255 * strength
        red[:, :, 2] -= 128 * strength
        return np.asarray(np.clip(red, 0, 255), np.uint8)
    height, width = (max(8, round(edge * (1 - 0.5 * strength))) for edge in image.shape[:2])
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))


@final
@dataclass(frozen=True, kw_only=True)
class Shortcut(AbstractFault):
    """Give a share of one class a property that tells it from the others: brightness, border, color, size or a column.

    Use when you want to know whether an audit sees what a model would take for the class.

    Args:
        rate: share of the class's samples that get it.
        kind: see :func:`with_shortcut`; ``column`` adds a column ``station``, the only kind for tables.
        label: name of the class; empty = the smallest.
        strength: how plain it is, in (0, 1].
    """

    rate: float = 0.95
    kind: Literal["brightness", "border", "color", "size", "column"] = "brightness"
    label: str = ""
    strength: float = 0.4

    def plant(self, material: Material, *, seed: int = 0) -> tuple[Material, Truth]:
        """Return the material with the shortcut, and which pictures carry it.

        Raises:
            UnknownNameError: there is no such class.
        """
        labels = np.asarray(material.labels)
        if self.label and self.label not in material.classes:
            raise unknown_name("faults.shortcut", "class", self.label, material.classes)
        counts = np.bincount(labels, minlength=len(material.classes))
        smallest = int(np.where(counts > 0, counts, counts.max() + 1).argmin())
        code = material.classes.index(self.label) if self.label else smallest
        rows = self.drawn(np.flatnonzero(labels == code), np.random.default_rng([seed, 8]))

        if self.kind == "column":
            station, truth = np.full(len(labels), "a", object), Truth.clean(material)
            station[rows], truth.faulty[rows], truth.how[rows] = "b", True, "shortcut column"
            return material.with_columns({"station": station}), truth

        def mark(image: Array) -> Array:
            return with_shortcut(image, self.kind, self.strength)

        return self.changed(material, rows, mark, f"shortcut {self.kind}")
