"""Four samples in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.augment._base import AbstractOperation
from scarce.augment._mix import batch_of, both_boxes, like, one_hot
from scarce.dataset import Array, Floats
from scarce.errors import ConfigError, DataError
from scarce.recipe import Params, Scene, checked_seed, fit_mask, warp_boxes


@final
@dataclass(frozen=True, kw_only=True)
class Mosaic(AbstractOperation):
    """Make one picture of four: itself in the largest part and three other training pictures (mosaic).

    Use when objects are looked for (boxes, masks): more and smaller objects in one picture.
    Do not use for classes of whole pictures unless a small part shows the class.
    Needs: pictures; other training samples.
    Writes: parameters middle (y, x where the four meet, shares of the sides), partner (three ids). The label is shared
    by area.
    Source: Bochkovskiy, Wang and Liao 2020, YOLOv4; the picture itself takes the largest part.

    Args:
        spread: farthest that the middle lies from the picture's, in shares of the side.
    """

    uniforms: ClassVar[int] = 2
    partner: ClassVar[bool] = True
    partners: ClassVar[int] = 3

    spread: float = 0.2

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        self.check("spread", self.spread, 0.0, 0.49)

    def pool(self) -> tuple[bool, bool]:
        """Return that any training samples may be partners."""
        return False, False

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return the middle."""
        return {"middle": 0.5 + self.spread * (2 * uniform - 1)}

    def shares(self, params: Params) -> tuple[float, ...]:
        """Return the areas, the largest one first."""
        areas = _areas(params)
        own = int(np.argmax(areas))
        return tuple(areas[place] for place in _order(own))

    def combine(self, scene: Scene, params: Params, others: Sequence[Scene]) -> Scene:
        """Return the four in one, of the picture's own size."""
        middle = np.asarray(params["middle"], np.float64)
        order = _order(int(np.argmax(_areas(params))))
        parts = [scene, *others]
        turn = np.argsort(order).tolist()
        parts = [parts[place] for place in turn]
        none = np.zeros((0, 4))
        boxes = [none if part.boxes is None else part.boxes for part in parts]
        image, moved, _ = tile([like(part.image, scene.image.shape) for part in parts], middle, [
            _rescaled(held, part.image, scene.image) for held, part in zip(boxes, parts, strict=True)
        ])  # fmt: skip
        mask = None
        if any(part.mask is not None for part in parts):
            size = image.shape[:2]
            masks = [np.zeros(size, np.uint8) if part.mask is None else fit_mask(part.mask, *size).astype(np.uint8)
                     for part in parts]  # fmt: skip
            mask = tile(masks, middle)[0] > 0
        found = None
        for place in order:
            found = both_boxes(found, None if parts[place].boxes is None else moved[place])
        points = scene.points
        if points is not None:
            top, bottom, left, right = _parts(middle, image.shape[:2])[order[0]]
            scale = np.array([(right - left) / image.shape[1], (bottom - top) / image.shape[0]])
            points = np.asarray(points, np.float64) * scale + (left, top)
        return Scene(image, mask, found, points)


def _parts(middle: Floats, size: tuple[int, ...]) -> tuple[tuple[int, int, int, int], ...]:
    """Return top, bottom, left and right of the four parts of a picture of height and width."""
    y, x = (int(np.clip(round(float(part) * side), 1, side - 1)) for part, side in zip(middle, size, strict=True))
    height, width = size
    return (0, y, 0, x), (0, y, x, width), (y, height, 0, x), (y, height, x, width)


def _areas(params: Params) -> list[float]:
    y, x = map(float, params["middle"])
    return [y * x, y * (1 - x), (1 - y) * x, (1 - y) * (1 - x)]


def _order(own: int) -> list[int]:
    """Return the four parts, the picture's own one first."""
    return [own, *(place for place in range(4) if place != own)]


def _rescaled(boxes: Floats, old: Array, new: Array) -> Floats:
    factor = np.array([new.shape[1] / old.shape[1], new.shape[0] / old.shape[0]])
    return np.asarray(boxes * np.tile(factor, 2))


def mix(images: Array, labels: Array, *, spread: float = 0.2, seed: int) -> tuple[Array, Floats]:
    """Return pictures of four parts, itself and three others of the batch, and labels by area (mosaic).

    Use when objects are looked for (boxes): more and smaller objects in one picture. Do not use for classes of whole
    pictures unless a small part shows the class.

    Args:
        images: (N, H, W) or (N, H, W, C); not changed.
        labels: (N,) codes or (N, K) shares.
        spread: farthest that the middle lies from the picture's, in shares of the side, under .5.
        seed: of partners and middles.

    Returns:
        Pictures of the same type, and (N, K) float32 shares.

    Source: Bochkovskiy, Wang and Liao 2020, YOLOv4.
    """
    if not 0 <= spread < 0.5:
        raise ConfigError("augment.mosaic", f"spread = {spread} is out of range", "it takes 0 to .5")
    images = batch_of("augment.mosaic", images)
    soft = one_hot("augment.mosaic", images, labels)
    rng = np.random.default_rng([checked_seed(seed, "augment.mosaic"), 0x6D6F73])
    others = np.stack([np.arange(len(images)), *(rng.permutation(len(images)) for _ in range(3))], axis=1)
    middles = 0.5 + spread * (2 * rng.random((len(images), 2)) - 1)
    out, target = np.empty_like(images), np.zeros_like(soft)
    for row, members in enumerate(others):
        made, _, areas = tile([images[one] for one in members], middles[row])
        out[row] = made
        target[row] = (areas[:, None] * soft[members]).sum(axis=0)
    return out, target


def tile(
    images: Sequence[Array], middle: Floats, boxes: Sequence[Floats] | None = None
) -> tuple[Array, list[Floats], Floats]:
    """Return one picture of the first one's size made of four, resized to their parts, with their boxes.

    Args:
        images: four pictures: top left, top right, bottom left, bottom right.
        middle: y and x where the four meet, in shares of the side.
        boxes: for each picture (M, 4) x0 y0 x1 y1 in its own pixels.

    Returns:
        The picture, the moved boxes of each of the four, and the (4,) shares of the area.

    Raises:
        DataError: there are not four pictures, or the first is too small.
    """
    if len(images) != 4:
        raise DataError("augment.mosaic", f"{len(images)} pictures", "a mosaic takes four")
    height, width = images[0].shape[:2]
    if min(height, width) < 2:
        raise DataError("augment.mosaic", f"a picture of {width} x {height} pixels has no room for four",
                        do="give pictures of 2 x 2 pixels or more")  # fmt: skip
    out = np.empty_like(images[0])
    areas, moved = np.zeros(4), []
    for place, (top, bottom, left, right) in enumerate(_parts(middle, (height, width))):
        shape = (bottom - top, right - left, *images[0].shape[2:])
        out[top:bottom, left:right] = like(images[place], shape)
        areas[place] = (bottom - top) * (right - left) / (height * width)
        if boxes is not None:
            scale = np.diag([shape[1] / images[place].shape[1], shape[0] / images[place].shape[0], 1.0])
            scale[:2, 2] = (left, top) + (np.diag(scale)[:2] - 1) / 2
            moved.append(warp_boxes(boxes[place], scale, height, width))
    return out, moved, areas
