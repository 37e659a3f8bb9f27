"""The base class of synthetic defects, and where on a picture they may lie."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias, cast

import numpy as np

from scarce.dataset import Array, Dataset, Floats, Ints
from scarce.errors import ConfigError, DataError
from scarce.recipe import Params, Parents, Scene
from scarce.registry import Plugin

Region: TypeAlias = tuple[int, int, int, int] | Array | None
"""Where a defect may lie: x0, y0, x1, y1 in pixels, an (H, W) mask, or None for the whole picture."""


@dataclass(frozen=True)
class Material:
    """What a kind of defect can be made from for one class.

    Attributes:
        rows: rows of the samples that the material comes from; all become parents. Empty for drawn defects.
        params: what the recipe must know about it.
    """

    rows: tuple[int, ...] = ()
    params: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, kw_only=True)
class AbstractDefect(Plugin, ABC):
    """Base of synthetic defects.

    Args:
        severity: how large and strong, in (0, 1].
        spread: severity varies from sample to sample by this share to either side, in [0, 1].
        classes: class names that this defect shows, besides those whose name says so.
        stay: object keeps the defect on the object where the ground is plain; anywhere does not look.
    """

    geometric: ClassVar[bool] = False
    color: ClassVar[bool] = False
    words: ClassVar[frozenset[str]] = frozenset()
    """Words in class names that say that the class is about this defect."""

    severity: float = 0.5
    spread: float = 0.5
    classes: tuple[str, ...] = ()
    stay: str = "object"

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        who = f"synthesize.{self.plugin_name()}"
        if not 0 < self.severity <= 1 or not 0 <= self.spread <= 1:
            raise ConfigError(who, f"severity = {self.severity}, spread = {self.spread} are out of range",
                              do="use 0 < severity <= 1 and 0 <= spread <= 1")  # fmt: skip
        if self.stay not in ("object", "anywhere"):
            raise ConfigError(who, f"stay = {self.stay!r} is unknown", "known are object, anywhere")

    @abstractmethod
    def draw(self, image: Array, params: Params, parents: Parents) -> tuple[Array, Array]:
        """Return the picture with the defect that the parameters describe and the (H, W) bool mask of its pixels.

        The picture that comes in is not changed.
        """

    def refusal(self, ds: Dataset, name: str) -> str:  # noqa: ARG002  a hook
        """Return why this kind cannot show a class honestly; empty if it can."""
        words = set(re.split(r"[^a-z]+", name.lower()))
        stems = {word.rstrip("s") for word in words} | words | {word.removesuffix("es") for word in words}
        if name in self.classes or stems & self.words:
            return ""
        kind = self.plugin_name()
        why = f"nothing says that {name!r} is about a {kind}, so a drawn {kind} could be mislabelled"
        return f"{why}; name the class in classes if it is"

    def materials(self, ds: Dataset, rows: Ints) -> tuple[list[Material], str]:  # noqa: ARG002  a hook
        """Return what samples of a class can be made from (the class's training rows are given), and what was left."""
        return [Material()], ""

    def params_for(self, rng: np.random.Generator, material: Material) -> dict[str, Any]:
        """Return what the recipe of one sample holds."""
        factor = 1 + self.spread * (2 * rng.random() - 1)
        severity = round(float(np.clip(self.severity * factor, 0.02, 1.0)), 3)
        seed = int(rng.integers(2**31))
        return {"seed": seed, "severity": severity, "stay": self.stay, **dict(material.params)}

    def region(self, image: Array, params: Params) -> Array | None:
        """Return where the recipe lets the defect lie: on the object, or None for anywhere."""
        return object_mask(image) if params.get("stay") == "object" else None

    def replay(self, scene: Scene, params: Params, parents: Parents) -> Scene:
        """Return the scene with the defect: its pixels join the mask, its box joins the boxes."""
        return add_defect(scene, *self.draw(scene.image, params, parents))


def add_defect(scene: Scene, image: Array, mask: Array) -> Scene:
    """Return the scene with a new picture whose defect pixels join the mask and whose box joins the boxes."""
    joined = mask if scene.mask is None else scene.mask | mask
    boxes = mask_box(mask)[None] if scene.boxes is None else np.vstack([scene.boxes, mask_box(mask)])
    return Scene(image, joined, boxes, scene.points)


def mask_box(mask: Array) -> Floats:
    """Return (4,) x0 y0 x1 y1 pixels around the True pixels; zeros if there are none."""
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return np.zeros(4)
    return np.array([cols[0], rows[0], cols[-1] + 1, rows[-1] + 1], np.float64)


def object_mask(image: Array) -> Array | None:
    """Return the (H, W) bool pixels of the object where it lies on plain ground, else None (the picture is all object).

    The ground is plain when three quarters of the picture's outermost pixels are within 12 gray levels of their median.
    """
    import cv2

    gray = image if image.ndim == 2 else np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
    edge = np.concatenate([gray[0], gray[-1], gray[1:-1, 0], gray[1:-1, -1]]).astype(np.int16)
    ground = np.median(edge)
    if np.mean(np.abs(edge - ground) <= 12) < 0.75:
        return None
    apart = (np.abs(gray.astype(np.int16) - ground) > 24).astype(np.uint8)
    size = max(3, int(0.03 * min(gray.shape)) | 1)
    apart = np.asarray(cv2.morphologyEx(apart, cv2.MORPH_CLOSE, np.ones((size, size), np.uint8)))
    if not 0.05 <= apart.mean() <= 0.95:
        return None
    return apart.astype(bool)


def allowed(region: Region, height: int, width: int, who: str) -> Array | None:
    """Return a region as an (H, W) bool mask, None for the whole picture.

    Raises:
        DataError: the region is empty, lies outside, or its mask has another size.
    """
    if region is None:
        return None
    if isinstance(region, np.ndarray) and region.ndim == 2:
        if region.shape != (height, width):
            raise DataError(who, f"the region's mask has shape {region.shape}", f"the picture has {(height, width)}")
        mask = region.astype(bool)
    else:
        x0, y0, x1, y1 = (round(float(value)) for value in cast("Sequence[float]", region))
        mask = np.zeros((height, width), bool)
        mask[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)] = True
    if not mask.any():
        raise DataError(who, "the region holds no pixel of the picture", f"the picture is {width} x {height} pixels",
                        "give x0, y0, x1, y1 inside it with x0 < x1 and y0 < y1")  # fmt: skip
    return mask


def pick(rng: np.random.Generator, mask: Array | None, height: int, width: int) -> tuple[float, float]:
    """Return the x, y of a random pixel of the mask, or of the picture."""
    if mask is None:
        return float(rng.integers(width)), float(rng.integers(height))
    flat = np.flatnonzero(mask)
    y, x = divmod(int(flat[rng.integers(len(flat))]), width)
    return float(x), float(y)


def checked_severity(severity: float, who: str) -> float:
    """Return the severity.

    Raises:
        ConfigError: it is outside (0, 1].
    """
    if not 0 < severity <= 1:
        raise ConfigError(who, f"severity = {severity} is out of range", do="use 0 < severity <= 1")
    return float(severity)
