"""Objects of other pictures, along their masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.augment._base import AbstractOperation, spread
from scarce.augment._mix import both_boxes, either_mask, like
from scarce.dataset import Array, Floats
from scarce.errors import DataError
from scarce.recipe import Params, Scene

LARGEST = 0.5
"""An object that covers more of its picture is not pasted: little of the other picture would be left."""


@final
@dataclass(frozen=True, kw_only=True)
class CopyPaste(AbstractOperation):
    """Paste the object of another training picture, cut out along its mask, at a random place (copy-paste).

    Use when objects are rare and have masks: each picture shows more of them, in more places.
    Do not use when an object belongs to its place, or when pictures hold one object in the middle.
    Needs: pictures; training samples with mask_uri.
    Writes: parameters zoom, place (x, y, shares of the room), partner. The picture keeps its class, so that
    partners are of the same class unless ``any_class``; mask and boxes of the object are added. An object that covers
    more than half of its picture, or an empty mask, changes nothing.
    Source: Ghiasi et al. 2021, Simple Copy-Paste is a Strong Data Augmentation Method.

    Args:
        scale: smallest and largest zoom of the object.
        any_class: objects of other classes too; for data whose labels are boxes and masks, not classes of pictures.
    """

    uniforms: ClassVar[int] = 3
    partner: ClassVar[bool] = True

    probability: float = 0.5
    scale: tuple[float, float] = (0.5, 1.5)
    any_class: bool = False

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractOperation.__post_init__(self)
        self.check_range("scale", self.scale, 0.05, 20.0)

    def pool(self) -> tuple[bool, bool]:
        """Return that partners have a mask, and whether they are of the same class."""
        return not self.any_class, True

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return zoom and place."""
        return {"zoom": spread(uniform[:, 0], *self.scale), "place": uniform[:, 1:3]}

    def combine(self, scene: Scene, params: Params, others: Sequence[Scene]) -> Scene:
        """Return the picture with the object."""
        other = others[0]
        if other.mask is None:
            raise DataError("augment.copy_paste", "the partner has no mask", do="restore the mask file")
        if not other.mask.any() or other.mask.mean() > LARGEST:
            lost = None if other.boxes is None else np.zeros_like(other.boxes)
            return scene._replace(boxes=both_boxes(scene.boxes, lost))
        return paste_object(scene, other, zoom=float(params["zoom"]), place=params["place"])


def paste_object(scene: Scene, other: Scene, *, zoom: float, place: Sequence[float]) -> Scene:
    """Return a scene with the object of another one; costs the object and one copy of the picture.

    Args:
        scene: where it goes; not changed.
        other: picture with a mask that is not empty, and perhaps boxes.
        zoom: of the object, after both pictures were brought to one size; it is made smaller where it does not fit.
        place: x and y in shares of the room.
    """
    import cv2

    assert other.mask is not None
    (height, width), (high, wide) = scene.image.shape[:2], other.image.shape[:2]
    rows, columns = (np.flatnonzero(other.mask.any(axis=axis)) for axis in (1, 0))
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    zoom = min(zoom * min(height / high, width / wide), height / (bottom - top), width / (right - left))
    size = (max(1, int((right - left) * zoom)), max(1, int((bottom - top) * zoom)))
    way = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
    shape = (bottom - top, right - left, *scene.image.shape[2:])
    patch: Array = np.asarray(cv2.resize(like(other.image[top:bottom, left:right], shape), size, interpolation=way))
    hard = other.mask[top:bottom, left:right].astype(np.float32)
    alpha: Array = np.asarray(cv2.resize(hard, size, interpolation=way))
    x, y = round(float(place[0]) * (width - size[0])), round(float(place[1]) * (height - size[1]))
    image = scene.image.copy()
    part = image[y : y + size[1], x : x + size[0]]
    share = alpha[..., None] if image.ndim == 3 else alpha
    part[:] = np.rint(patch.reshape(part.shape) * share + part * (1 - share)).astype(np.uint8)
    mask = np.zeros((height, width), bool)
    mask[y : y + size[1], x : x + size[0]] = alpha >= 0.5
    factor = np.tile(np.array(size) / [right - left, bottom - top], 2)
    corner, moved = np.tile([left, top], 2), None
    if other.boxes is not None:
        inside = np.clip(other.boxes, corner, np.tile([right, bottom], 2))
        moved = (inside - corner) * factor + np.tile([x, y], 2)
    return Scene(image, either_mask(scene.mask, mask), both_boxes(scene.boxes, moved), scene.points)
