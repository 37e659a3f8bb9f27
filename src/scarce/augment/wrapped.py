"""Pipelines of other libraries."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, final

import numpy as np

from scarce.augment._base import AbstractOperation
from scarce.augment._text import seeds
from scarce.dataset import Array, Floats, Ints
from scarce.errors import DataError, ScarceError
from scarce.recipe import Params, Parents, Scene, fit_mask

LIBRARIES = {"albumentations": "_albumentations", "torchvision": "_torchvision"}
"""Library to the module that runs its pipelines."""


@final
@dataclass(frozen=True, kw_only=True)
class Wrapped(AbstractOperation):
    """Run a pipeline of Albumentations or torchvision; masks, boxes and key points follow.

    Use when an operation is not among ours; :mod:`scarce.augment.adapt` makes it from a pipeline.
    Do not use when ours does the same: it is faster, and neighbors are resampled only once.
    Needs: pictures, and the library.
    Writes: parameters library, version, transform (the pipeline's own plain values), seed. A gray picture
    is passed as three equal channels and comes back gray; the picture comes back at its own size.

    Args:
        library: albumentations or torchvision.
        transform: the pipeline as JSON; empty = no change.
    """

    uniforms: ClassVar[int] = 1

    library: Literal["albumentations", "torchvision"] = "albumentations"
    transform: str = ""

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return the seed and the pipeline."""
        version = runner(self.library).version() if self.transform else ""
        return {
            "library": self.library,
            "version": version,
            "transform": self.transform,
            "seed": seeds(uniform[:, 0]),
        }

    def uses_color(self) -> bool:
        """Return whether the pipeline works on color channels, told by the names of its parts."""
        return any(word in self.transform for word in COLORED)

    def change(self, images: Array, params: Params, rows: Ints) -> None:
        """Run the pipeline on each row."""
        for row in rows.tolist():
            own = {**params, "seed": params["seed"][row]}
            images[row] = changed(Scene(images[row]), own).image

    def replay(self, scene: Scene, params: Params, parents: Parents) -> Scene:  # noqa: ARG002  one hook for all stages
        """Return the scene as the pipeline leaves it."""
        return changed(scene, params)


COLORED = ("Hue", "HSV", "RGBShift", "ColorJitter", "ChannelShuffle", "ChannelDropout", "ToGray", "ToSepia", "FancyPCA",
           "PlanckianJitter", "RandomGrayscale", "RandomChannelPermutation", "ISONoise", "Chromatic")  # fmt: skip
"""Parts of names of transforms that treat color channels differently."""


def runner(library: str) -> Any:
    """Return the module that runs the pipelines of a library."""
    return importlib.import_module(f"scarce.augment.{LIBRARIES[library]}")


def changed(scene: Scene, params: Params) -> Scene:
    """Return the scene as a pipeline with a seed leaves it, at its own size.

    Raises:
        DataError: the pipeline fails on this picture, or returns none.
    """
    if not params["transform"]:
        return scene
    library = str(params["library"])
    gray, (height, width) = scene.image.ndim == 2, scene.image.shape[:2]
    image = np.repeat(scene.image[..., None], 3, axis=2) if gray else scene.image
    try:
        found = runner(library).run(str(params["transform"]), int(params["seed"]), scene._replace(image=image.copy()))
    except ScarceError:
        raise
    except Exception as error:  # whatever a library or the user's pipeline raises
        raise DataError("augment.wrapped", f"the {library} pipeline fails on a picture of {width} x {height}: {error}",
                        do="mend the pipeline, or leave the operation out") from error  # fmt: skip
    out = np.asarray(found.image)
    if out.dtype != np.uint8 or out.ndim != 3 or out.shape[2] != 3:
        raise DataError("augment.wrapped", f"the {library} pipeline returns {out.dtype} of shape {out.shape}",
                        "an operation returns uint8 (H, W, 3)", "leave out what makes tensors or floats")  # fmt: skip
    found = _resized(found._replace(image=out), height, width)
    return found._replace(image=_gray(found.image)) if gray else found


def _gray(image: Array) -> Array:
    import cv2

    alike = (image == image[..., :1]).all()
    return np.ascontiguousarray(image[..., 0] if alike else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))


def _resized(scene: Scene, height: int, width: int) -> Scene:
    import cv2

    old_height, old_width = scene.image.shape[:2]
    if (old_height, old_width) == (height, width):
        return scene
    way = cv2.INTER_AREA if old_height * old_width > height * width else cv2.INTER_LINEAR
    image = np.asarray(cv2.resize(scene.image, (width, height), interpolation=way))
    mask = None if scene.mask is None else fit_mask(scene.mask, height, width)
    factor = np.array([width / old_width, height / old_height])
    boxes = None if scene.boxes is None else scene.boxes * np.tile(factor, 2)
    points = None if scene.points is None else scene.points * factor
    return Scene(image, mask, boxes, points)
