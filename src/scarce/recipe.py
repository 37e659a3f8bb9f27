"""Replays recorded operations on samples: the same pixels whatever the order, the batch or the number of workers.

A recipe is one line of JSON that a grown row carries instead of pixels::

    {"v": 1, "cv": "4.13", "base": "<parent id>", "seed": 0, "copy": 3,
     "ops": [{"op": "augment.flip", "params": {"horizontal": true}},
             {"op": "synthesize.cut_paste", "params": {"patch": "<id>", "x": 0.4}}]}

``params`` hold what was *drawn*, in shares of the image, so that replaying needs no random numbers and a recipe can be
written without opening the picture. Draws come from ``default_rng([seed, key64(base), operation index, copy])``.
Neighboring geometric operations are composed into one matrix and resampled once. An operation is the plugin
``stage.name``; this module imports no stage, the registry does on demand.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, TypeAlias, cast

import numpy as np

from scarce.dataset import Array, Dataset, Floats
from scarce.errors import DataError, ReadError
from scarce.lineage import canonical_json, digest
from scarce.registry import Plugin, load

FORMAT: Final = 1
BORDERS: Final = ("reflect", "replicate", "constant")
SMALL: Final = 64 * 64
"""Pictures of at most so many pixels are resampled many at a time."""
Params: TypeAlias = Mapping[str, Any]
_log = logging.getLogger("scarce.recipe")


class Scene(NamedTuple):
    """A picture with what must follow it.

    Attributes:
        image: (H, W) or (H, W, 3) uint8.
        mask: (H, W) bool, the defect's pixels; None = no mask.
        boxes: (M, 4) float64 x0 y0 x1 y1 in pixels; a box that left the picture has no area. None = no boxes.
    """

    image: Array
    mask: Array | None = None
    boxes: Floats | None = None


class Parents(NamedTuple):
    """How a replay gets at its parents, by sample id."""

    image: Callable[[str], Array]
    mask: Callable[[str], Array | None] | None = None

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


class Operation(Protocol):
    """What the plugins of augment and synthesize offer to a replay."""

    geometric: bool

    def matrices(self, params: Params, height: int, width: int) -> Floats:
        """Return (N, 3, 3) maps from source to destination pixels (geometric operations only)."""
        ...

    def replay(self, scene: Scene, params: Params, parents: Parents) -> Scene:
        """Return the changed scene; never writes into its input."""
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


def render(
    recipe: str, open_parent: Callable[[str], Array], open_mask: Callable[[str], Array | None] | None = None
) -> Array:
    """Return the picture that a recipe describes; see :func:`render_full`."""
    return render_full(recipe, open_parent, open_mask).image


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
    """Apply operations with drawn parameters to a scene; neighboring geometric ones as one resample."""
    matrix: Floats | None = None
    border = BORDERS[0]
    for name, params in ops:
        operation = find(name)
        if operation.geometric:
            height, width = scene.image.shape[:2]
            step = operation.matrices(rows_of_one(params), height, width)[0]
            matrix = step if matrix is None else compose(step, matrix)
            border = str(params.get("border", border))
            continue
        if matrix is not None:
            scene, matrix, border = warp(scene, matrix, border), None, BORDERS[0]
        scene = operation.replay(scene, params, parents)
    return scene if matrix is None else warp(scene, matrix, border)


@cache
def find(name: str) -> Operation:
    """Return the operation called ``stage.name`` with its default settings (drawn parameters say the rest)."""
    stage, _, plugin = name.rpartition(".")
    return cast("Operation", load(stage or "augment", plugin, Plugin)())


def rows_of_one(params: Params) -> dict[str, Any]:
    """Return drawn parameters of one sample as arrays of one row (text stays text)."""
    return {key: value if isinstance(value, str) else np.asarray([value]) for key, value in params.items()}


def compose(after: Floats, before: Floats) -> Floats:
    """Return the (..., 3, 3) product ``after @ before``, summed in a fixed order so that batches agree to the bit."""
    first = after[..., :, 0:1] * before[..., 0:1, :]
    return first + after[..., :, 1:2] * before[..., 1:2, :] + after[..., :, 2:3] * before[..., 2:3, :]


def warp(scene: Scene, matrix: Floats, border: str = "reflect") -> Scene:
    """Resample a scene once through a (3, 3) matrix from source to destination pixels; the size stays."""
    if np.array_equal(matrix, np.eye(3)):
        return scene
    image = warp_images(scene.image[None], matrix[None], border)[0]
    mask = scene.mask
    if mask is not None:
        mask = _warp_one(mask.astype(np.uint8), matrix, border, nearest=True).astype(bool)
    boxes = None if scene.boxes is None else warp_boxes(scene.boxes, matrix, scene.image.shape[0], scene.image.shape[1])
    return Scene(image, mask, boxes)


def warp_images(images: Array, matrices: Floats, border: str) -> Array:
    """Return N pictures, each resampled through its matrix, linearly; the same pixels for one picture as for many.

    Args:
        images: (N, H, W) or (N, H, W, 3) uint8.
        matrices: (N, 3, 3) from source to destination pixels.
        border: what is seen beyond the edge: reflect, replicate or constant (black).
    """
    affine = not matrices[:, 2, :2].any()
    if affine and images.shape[1] * images.shape[2] <= SMALL:
        return _warp_small(images, matrices, border)
    out = np.empty_like(images)
    for row in range(len(images)):
        _warp_one(images[row], matrices[row], border, out=out[row])
    return out


def _warp_one(image: Array, matrix: Floats, border: str, *, out: Array | None = None, nearest: bool = False) -> Array:
    import cv2

    modes = {"reflect": cv2.BORDER_REFLECT_101, "replicate": cv2.BORDER_REPLICATE, "constant": cv2.BORDER_CONSTANT}
    flags = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
    size = (image.shape[1], image.shape[0])
    if not matrix[2, :2].any():
        return cast("Array", cv2.warpAffine(image, matrix[:2], size, out, flags, modes[border]))
    return cast("Array", cv2.warpPerspective(image, matrix, size, out, flags, modes[border]))


def _warp_small(images: Array, matrices: Floats, border: str) -> Array:
    """Resample many small pictures as one tall one: a call for each costs three times the work itself."""
    import cv2

    n, height, width = images.shape[:3]
    gap = 1 if border == "constant" else 0  # a black row below each picture stands for what lies beyond its edge
    block = max(1, min(256, (2**15 - 2) // (height + gap)))
    if n > block:
        parts = [_warp_small(images[i : i + block], matrices[i : i + block], border) for i in range(0, n, block)]
        return np.concatenate(parts)
    x, y = _sources(matrices, height, width)
    for axis, size in ((x, width), (y, height)):
        if border == "reflect":
            np.abs(axis, out=axis)
            np.abs(np.subtract(size - 1, axis, out=axis), out=axis)
            np.subtract(size - 1, axis, out=axis)
        np.clip(axis, -gap, size - 1 + gap, out=axis)
    y += (np.arange(n, dtype=np.float32) * (height + gap))[:, None, None]
    if gap:
        padded = np.zeros((n, height + gap, *images.shape[2:]), np.uint8)
        padded[:, :height] = images
        images = padded
    tall, mode = images.reshape(-1, *images.shape[2:]), cv2.BORDER_CONSTANT if gap else cv2.BORDER_REPLICATE
    found = cv2.remap(tall, x.reshape(-1, width), y.reshape(-1, width), cv2.INTER_LINEAR, borderMode=mode)
    return np.asarray(found).reshape(n, height, *images.shape[2:])


def _sources(matrices: Floats, height: int, width: int) -> tuple[Floats, Floats]:
    """Return (N, H, W) float32 x and y that each destination pixel is read from, in 1/32 pixel (OpenCV's own grid)."""
    a, b, c, d = matrices[:, 0, 0], matrices[:, 0, 1], matrices[:, 1, 0], matrices[:, 1, 1]
    scale = 32 / (a * d - b * c)
    parts = ((d, -b), (-c, a))
    found = []
    for first, second in parts:
        shift = -(first * matrices[:, 0, 2] + second * matrices[:, 1, 2]) * scale
        across = (first * scale)[:, None] * np.arange(width)
        down = (second * scale)[:, None] * np.arange(height) + shift[:, None]
        axis = across[:, None, :].astype(np.float32) + down[:, :, None].astype(np.float32)
        np.rint(axis, out=axis)
        axis *= np.float32(1 / 32)
        found.append(axis)
    return found[0], found[1]


def warp_boxes(boxes: Floats, matrix: Floats, height: int, width: int) -> Floats:
    """Return the (M, 4) upright boxes around moved boxes, cut at the picture's edge; lost boxes get no area."""
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    x, y = boxes[:, [0, 2, 2, 0]] - 0.5, boxes[:, [1, 1, 3, 3]] - 0.5
    points = np.stack([x, y, np.ones_like(x)], axis=-1) @ matrix.T
    xy = points[..., :2] / points[..., 2:] + 0.5
    low, high = xy.min(axis=1), xy.max(axis=1)
    moved = np.concatenate([low, high], axis=1)
    limit = np.array([width, height, width, height], np.float64)
    cut: Floats = np.clip(moved, 0.0, limit)
    return cut


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


def fit_mask(mask: Array, height: int, width: int) -> Array:
    """Return a mask as (height, width) bool, resized where it was stored at another size."""
    if mask.ndim == 3:
        mask = np.asarray(mask.any(axis=2))
    if mask.shape == (height, width):
        return mask.astype(bool)
    import cv2

    small = mask.astype(np.uint8)
    return cast("Array", cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)).astype(bool)


def mask_opener(ds: Dataset) -> Callable[[str], Array | None]:
    """Return a function that opens the mask file of a sample by id: (H, W) bool, or None where it has none."""

    def opened(sample_id: str) -> Array | None:
        row = ds.table.slice(int(ds.rows_of([sample_id])[0]), 1).to_pylist()[0]
        if not row.get("mask_uri"):
            return None
        return read_mask(Path(ds.sources[row["source"]]) / row["mask_uri"])

    return opened


def read_mask(path: Path) -> Array:
    """Return a mask file as (H, W) bool; anything above zero belongs to the defect.

    Raises:
        ReadError: the file is missing or no picture.
    """
    import cv2

    try:
        found = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    except (OSError, cv2.error) as error:
        raise ReadError("recipe", f"the mask {path.name} cannot be read ({error})", do="restore the file") from error
    if found is None:
        raise ReadError("recipe", f"the mask {path.name} is no picture", do="restore the file")
    found = np.asarray(found)
    return np.asarray(found[..., :3].any(axis=2) if found.ndim == 3 else found > 0)


def grown_hash(parent_hashes: Sequence[str | None], recipe: str) -> str:
    """Return the content hash of a grown row: a hash of its parents' content and its recipe."""
    return digest(recipe, *(value or "" for value in parent_hashes))


@cache
def opencv_version() -> str:
    """Return the minor version of OpenCV, which fixes the pixels: ``4.13``."""
    import cv2

    return ".".join(cv2.__version__.split(".")[:2])


@cache
def _warn_version(recorded: str, present: str) -> None:
    _log.warning("recipes were written with OpenCV %s, this is %s: pixels may differ slightly", recorded, present)
