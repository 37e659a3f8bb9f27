"""The base class of synthetic defects."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol

import numpy as np

from scarce.dataset import Array, Dataset, Ints
from scarce.errors import ConfigError
from scarce.recipe import Params, Parents, Scene
from scarce.registry import Plugin
from scarce.synthesize._light import under_one_light
from scarce.synthesize._look import Look
from scarce.synthesize._material import Material, looks_of
from scarce.synthesize._region import Region, mask_box, object_mask

VARIED: Final = 0x76617279
"""Keeps what is drawn about one of several defects apart from what is drawn inside it."""


class Sketch(Protocol):
    """A public function that draws one defect."""

    def __call__(
        self, image: Array, *, seed: int, region: Region = None, severity: float = 0.5, look: Look | None = None
    ) -> tuple[Array, Array]:
        """Return the picture and the (H, W) bool mask."""
        ...


@dataclass(frozen=True, kw_only=True)
class AbstractDefect(Plugin, ABC):
    """Base of synthetic defects.

    Args:
        severity: how large and strong, in (0, 1].
        spread: severity varies from sample to sample by this share to either side, in [0, 1].
        classes: class names that this defect shows, besides those whose name says so.
        stay: object keeps the defect on the object where the ground is plain; anywhere does not look.
        n_defects: defects on one picture, each with a size and severity of its own, all under one light.
        fit: where samples of the class have masks or boxes, sizes, shapes, places, colors and contrast are theirs.
    """

    geometric: ClassVar[bool] = False
    color: ClassVar[bool] = False
    words: ClassVar[frozenset[str]] = frozenset()
    """Words in class names that say that the class is about this defect."""

    severity: float = 0.5
    spread: float = 0.5
    classes: tuple[str, ...] = ()
    stay: str = "object"
    n_defects: int = 1
    fit: bool = True

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        who = f"synthesize.{self.plugin_name()}"
        if not 0 < self.severity <= 1 or not 0 <= self.spread <= 1:
            raise ConfigError(who, f"severity = {self.severity}, spread = {self.spread} are out of range",
                              do="use 0 < severity <= 1 and 0 <= spread <= 1")  # fmt: skip
        if self.stay not in ("object", "anywhere"):
            raise ConfigError(who, f"stay = {self.stay!r} is unknown", "known are object, anywhere")
        if not 1 <= self.n_defects <= 100:
            raise ConfigError(who, f"n_defects = {self.n_defects} is out of range", do="use 1 to 100")

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

    def materials(self, ds: Dataset, rows: Ints) -> tuple[list[Material], str]:
        """Return what samples of a class can be made from (the class's training rows are given), and what was left."""
        found, lost = looks_of(ds, rows) if self.fit else ([], "")
        return found or [Material()], lost

    def params_for(self, rng: np.random.Generator, material: Material) -> dict[str, Any]:
        """Return what the recipe of one sample holds."""
        factor = 1 + self.spread * (2 * rng.random() - 1)
        severity = round(float(np.clip(self.severity * factor, 0.02, 1.0)), 3)
        seed = int(rng.integers(2**31))
        several = {"n": self.n_defects} if self.n_defects > 1 else {}
        return {"seed": seed, "severity": severity, "stay": self.stay, **several, **dict(material.params)}

    def sketch(self, draw: Sketch, image: Array, params: Params) -> tuple[Array, Array]:
        """Draw with a public function what a recipe says: the hook of drawn kinds."""
        look = Look.from_params(params["look"]) if "look" in params else None
        region, severity = self.region(image, params), float(params["severity"])
        return draw(image, seed=int(params["seed"]), region=region, severity=severity, look=look)

    def region(self, image: Array, params: Params) -> Array | None:
        """Return where the recipe lets the defect lie: on the object, or None for anywhere."""
        return object_mask(image) if params.get("stay") == "object" else None

    def replay(self, scene: Scene, params: Params, parents: Parents) -> Scene:
        """Return the scene with the defects: their pixels join the mask, their boxes join the boxes."""
        n = int(params.get("n", 1))
        if n == 1:
            return add_defect(scene, *self.draw(scene.image, params, parents))
        with under_one_light(scene.image, int(params["seed"])):
            for number in range(n):
                own = {**params, "seed": int(params["seed"]) + 7919 * number}
                scene = add_defect(scene, *self.draw(scene.image, self.varied(own), parents))
        return scene

    def varied(self, params: Params) -> dict[str, Any]:
        """Return the parameters of one of several defects of a picture: few are severe, and no two are alike."""
        rng = np.random.default_rng([int(params["seed"]), VARIED])
        severity = float(params["severity"]) * float(np.exp(rng.normal(-0.2, 0.7)))
        return {**params, "severity": round(float(np.clip(severity, 0.03, 1.0)), 3)}


def add_defect(scene: Scene, image: Array, mask: Array) -> Scene:
    """Return the scene with a new picture whose defect pixels join the mask and whose box joins the boxes."""
    joined = mask if scene.mask is None else scene.mask | mask
    boxes = mask_box(mask)[None] if scene.boxes is None else np.vstack([scene.boxes, mask_box(mask)])
    parts = (mask,) if scene.boxes is None else None if scene.parts is None else (*scene.parts, mask)
    return Scene(image, joined, boxes, scene.points, parts)
