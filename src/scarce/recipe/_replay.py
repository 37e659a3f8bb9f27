"""Reads, writes and replays recipes."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, ClassVar, Final, NamedTuple, Protocol, TypeAlias, cast

import numpy as np

from scarce.dataset import Array, Floats
from scarce.errors import ConfigError, DataError
from scarce.lineage import canonical_json
from scarce.recipe._mask import fit_mask
from scarce.recipe._pending import Pending, moved_mask, moved_points
from scarce.recipe._warp import bent_boxes, warp_boxes, warp_images, warp_one
from scarce.registry import Plugin, load

FORMAT: Final = 1
Params: TypeAlias = Mapping[str, Any]
_log = logging.getLogger("scarce.recipe")


class Scene(NamedTuple):
    """A picture with what must follow it.

    Attributes:
        image: (H, W) or (H, W, 3) uint8.
        mask: (H, W) bool, the defect's pixels; None = no mask.
        boxes: (M, 4) float64 x0 y0 x1 y1 in pixels; a box that left the picture has no area. None = no boxes.
        points: (M, 2) float64 x y key points in pixels; a point may leave the picture. None = no points.
        parts: the (H, W) bool pixels of each made defect by itself, in the order of the boxes; None = not known.
    """

    image: Array
    mask: Array | None = None
    boxes: Floats | None = None
    points: Floats | None = None
    parts: tuple[Array, ...] | None = None


class Parents(NamedTuple):
    """How a replay gets at its parents, by sample id."""

    image: Callable[[str], Array]
    mask: Callable[[str], Array | None] | None = None
    boxes: Callable[[str], Floats | None] | None = None

    def scene(self, sample_id: str) -> Scene:
        """Return the picture of a parent with its mask and boxes, where these can be opened."""
        image = checked(self.image(sample_id))
        mask = self.mask(sample_id) if self.mask is not None else None
        held = None if mask is None else fit_mask(np.asarray(mask), image.shape[0], image.shape[1])
        return Scene(image, held, self.boxes(sample_id) if self.boxes is not None else None)

    def need_mask(self, sample_id: str) -> Array:
        """Return the mask of a parent.

        Raises:
            DataError: nobody can open masks here, or this sample has none.
        """
        found = self.mask(sample_id) if self.mask is not None else None
        if found is None:
            raise DataError("recipe", f"the recipe needs the mask of sample {sample_id}, which cannot be opened",
                            do="pass open_mask, or restore the mask file")  # fmt: skip
        return found


def _nobody(sample_id: str) -> Array:
    raise DataError("recipe", f"the recipe needs sample {sample_id}, and a policy changes one picture alone")


ALONE: Final = Parents(_nobody)
"""The parents of a picture that is changed by itself."""


class Operation(Protocol):
    """What the plugins of augment and synthesize offer to a replay."""

    geometric: bool
    color: bool
    bends: ClassVar[bool]

    def matrices(self, params: Params, height: int, width: int) -> Floats:
        """Return (N, 3, 3) maps from source to destination pixels (geometric operations only)."""
        ...

    def sources(self, params: Params, x: Floats, y: Floats, size: tuple[int, int]) -> tuple[Floats, Floats]:
        """Return where one picture's destination points are read from (bending operations only)."""
        ...

    def replay(self, scene: Scene, params: Params, parents: Parents) -> Scene:
        """Return the changed scene; never writes into its input."""
        ...

    def alter(self, sample: Any, params: Params, other: Any = None) -> Any:
        """Return the changed text, sound or series (operations on these only)."""
        ...


class Recipe(NamedTuple):
    """A parsed recipe."""

    base: str
    ops: tuple[tuple[str, Params], ...]
    seed: int
    copy: int
    opencv: str


def write(base: str, ops: Sequence[tuple[str, Params]], *, seed: int, copy: int) -> str:
    """Return the JSON of a recipe.

    Args:
        base: id of the sample whose picture is the canvas.
        ops: (``stage.name``, drawn parameters) in order.
        seed: the seed that the parameters were drawn with.
        copy: number of the copy offline, of the epoch online.
    """
    body = {"v": FORMAT, "cv": opencv_version(), "base": base, "seed": int(seed), "copy": int(copy)}
    return canonical_json({**body, "ops": [{"op": name, "params": dict(params)} for name, params in ops]})


def parse(recipe: str) -> Recipe:
    """Read a recipe.

    Raises:
        DataError: it is no JSON, of a newer format, or lacks something.
    """
    try:
        body = json.loads(recipe)
        if body["v"] != FORMAT:
            raise DataError("recipe", f"format {body['v']} is unknown", f"this scarce reads {FORMAT}", "update scarce")
        ops = tuple((str(item["op"]), cast("Params", item.get("params", {}))) for item in body["ops"])
        return Recipe(str(body["base"]), ops, int(body["seed"]), int(body["copy"]), str(body.get("cv", "")))
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise DataError("recipe", f"cannot read the recipe {recipe[:80]!r} ({error!r})") from error


def render_full(
    recipe: str,
    open_parent: Callable[[str], Array],
    open_mask: Callable[[str], Array | None] | None = None,
    *,
    boxes: Floats | None = None,
) -> Scene:
    """Return picture, mask and boxes that a recipe describes.

    Args:
        recipe: JSON text of the row.
        open_parent: returns a parent's picture, uint8 (H, W) or (H, W, 3), by id.
        open_mask: returns a parent's mask (H, W) by id, or None; needed by pasted defects.
        boxes: (M, 4) boxes of the base in pixels, if it has some.

    Raises:
        DataError: the recipe or a parent cannot be used.
    """
    parsed = parse(recipe)
    if parsed.opencv and parsed.opencv != opencv_version():
        _warn_version(parsed.opencv, opencv_version())
    mask = open_mask(parsed.base) if open_mask is not None else None
    scene = Scene(checked(open_parent(parsed.base)), None if mask is None else np.asarray(mask, bool), boxes)
    if scene.mask is not None:
        scene = scene._replace(mask=fit_mask(scene.mask, scene.image.shape[0], scene.image.shape[1]))
    return replay(scene, parsed.ops, Parents(open_parent, open_mask))


def replay(scene: Scene, ops: Sequence[tuple[str, Params]], parents: Parents) -> Scene:
    """Apply operations with drawn parameters to a scene; neighboring ones as one resample and one table."""
    waiting: Pending | None = None
    only = np.zeros(1, np.int64)
    for name, params in ops:
        operation = find(name)
        if operation.geometric or operation.color:
            waiting = waiting or Pending(1, *scene.image.shape[:2])
            add = waiting.move if operation.geometric else waiting.shade
            add(operation, rows_of_one(params), only)
            continue
        if waiting is not None:
            scene, waiting = finished(scene, waiting), None
        scene = operation.replay(scene, params, parents)
    return scene if waiting is None else finished(scene, waiting)


def finished(scene: Scene, waiting: Pending) -> Scene:
    """Return the scene after all that waits for it: one resample, then one table or matrix."""
    steps = waiting.steps(0)
    mask, boxes, points = scene.mask, scene.boxes, scene.points
    if steps:
        mask = None if mask is None else moved_mask(mask, waiting)
        points = None if points is None else moved_points(points, waiting)
        if boxes is not None:
            only = steps[0] if len(steps) == 1 else None
            straight = only if isinstance(only, np.ndarray) else None
            boxes = (
                bent_boxes(boxes, steps, waiting.size)
                if straight is None
                else warp_boxes(boxes, straight, *waiting.size)
            )
    image = scene.image[None].copy()
    waiting.finish(image, np.zeros(1, np.int64))
    return Scene(image[0], mask, boxes, points)


@cache
def find(name: str) -> Operation:
    """Return the operation called ``stage.name`` with its default settings (drawn parameters say the rest)."""
    stage, _, plugin = name.rpartition(".")
    return cast("Operation", load(stage or "augment", plugin, Plugin)())


def rows_of_one(params: Params) -> dict[str, Any]:
    """Return drawn parameters of one sample as arrays of one row (text stays text)."""
    return {key: value if isinstance(value, str) else np.asarray([value]) for key, value in params.items()}


def warp(scene: Scene, matrix: Floats, border: str = "reflect") -> Scene:
    """Resample a scene once through a (3, 3) matrix from source to destination pixels; the size stays."""
    if np.array_equal(matrix, np.eye(3)):
        return scene
    image = warp_images(scene.image[None], matrix[None], border)[0]
    mask = scene.mask
    if mask is not None:
        mask = warp_one(mask.astype(np.uint8), matrix, border, nearest=True).astype(bool)
    boxes = None if scene.boxes is None else warp_boxes(scene.boxes, matrix, scene.image.shape[0], scene.image.shape[1])
    return Scene(image, mask, boxes, scene.points)


def checked(image: Array) -> Array:
    """Return a picture that the operations can work on.

    Raises:
        DataError: it is not uint8 (H, W) or (H, W, 3), or it is empty.
    """
    image = np.asarray(image)
    fits = image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)
    if image.dtype != np.uint8 or not fits or not image.size:
        raise DataError("recipe", f"a picture of type {image.dtype} and shape {image.shape} cannot be changed",
                        "operations take uint8 (H, W) or (H, W, 3)", "open it through scarce.modality")  # fmt: skip
    return np.ascontiguousarray(image)


def checked_seed(seed: Any, who: str) -> int:
    """Return a seed.

    Raises:
        ConfigError: it is no whole number from 0 on.
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ConfigError(who, f"seed = {seed!r} cannot be used", do="give a whole number from 0 on")
    return int(seed)


@cache
def opencv_version() -> str:
    """Return the minor version of OpenCV, which fixes the pixels: ``4.13``."""
    import cv2

    return ".".join(cv2.__version__.split(".")[:2])


@cache
def _warn_version(recorded: str, present: str) -> None:
    _log.warning("recipes were written with OpenCV %s, this is %s: pixels may differ slightly", recorded, present)
