"""Objects of other pictures, along their masks or boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.augment._base import AbstractOperation, spread
from scarce.augment._mix import both_boxes, either_mask, like
from scarce.augment._partner import BOXES
from scarce.dataset import Array, Floats
from scarce.errors import DataError
from scarce.recipe import Params, Scene

EDGE = 0.1
"""Where an object has a box alone, it fades out over this share of the box's shorter side."""
LARGEST = 0.5
"""An object that covers more of its picture is not pasted: little of the other picture would be left."""


@final
@dataclass(frozen=True, kw_only=True)
class CopyPaste(AbstractOperation):
    """Paste the object of another training picture, cut out along its mask or box, at a random place (copy-paste).

    Use when objects are rare and have masks: each picture shows more of them, in more places. Of an object with a box
    alone the rectangle is pasted, with a soft edge; what is around the object comes along.
    Do not use when an object belongs to its place, or when pictures hold one object in the middle.
    Needs: pictures; training samples with mask_uri or meta.boxes (in the training loop: with mask_uri).
    Writes: parameters zoom, place (x, y, shares of the room), partner, and object_boxes where it has no mask. The
    picture keeps its class, so that partners are of the same class unless ``any_class``; mask and boxes of the object
    are added. An object that covers more than half of its picture, or an empty mask, changes nothing.
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
        other, soft = others[0], None
        if other.mask is None:
            if BOXES not in params:
                raise DataError("augment.copy_paste", "the partner has no mask", do="restore the mask file")
            corners = np.asarray(params[BOXES], np.float64)
            soft = faded(corners, other.image.shape[:2])
            other = other._replace(mask=soft > 0, boxes=corners if other.boxes is None else other.boxes)
        assert other.mask is not None
        if not other.mask.any() or other.mask.mean() > LARGEST:
            lost = None if other.boxes is None else np.zeros_like(other.boxes)
            return scene._replace(boxes=both_boxes(scene.boxes, lost))
        found = paste_object(scene, other, zoom=float(params["zoom"]), place=params["place"], soft=soft)
        return found if soft is None or scene.mask is not None else found._replace(mask=None)  # a box is no mask


def faded(boxes: Floats, size: tuple[int, int]) -> Floats:
    """Return (H, W) float32 shares of rectangles that fade out towards their edges.

    Args:
        boxes: (M, 4) x0 y0 x1 y1 pixels; what lies outside of the picture is cut off.
        size: H and W.
    """
    out = np.zeros(size, np.float32)
    for box in boxes:
        low = np.clip(np.floor(box[:2]), 0, size[::-1]).astype(int)
        high = np.clip(np.ceil(box[2:]), 0, size[::-1]).astype(int)
        wide, tall = (high - low).tolist()
        if wide < 1 or tall < 1:
            continue
        edge = max(1.0, EDGE * min(wide, tall))
        along, down = (np.minimum(np.arange(n) + 1, np.arange(n, 0, -1)) for n in (wide, tall))
        share = np.minimum(1.0, np.minimum(down[:, None], along[None]) / edge)
        part = out[low[1] : high[1], low[0] : high[0]]
        np.maximum(part, share, out=part, casting="same_kind")
    return out


def paste_object(
    scene: Scene, other: Scene, *, zoom: float, place: Sequence[float], soft: Floats | None = None
) -> Scene:
    """Return a scene with the object of another one; costs the object and one copy of the picture.

    Args:
        scene: where it goes; not changed.
        other: picture with a mask that is not empty, and perhaps boxes.
        zoom: of the object, after both pictures were brought to one size; it is made smaller where it does not fit.
        place: x and y in shares of the room.
        soft: (H, W) how much of each pixel of the other picture is pasted; None = the mask, all of it.
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
    hard = (other.mask if soft is None else soft)[top:bottom, left:right].astype(np.float32)
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
