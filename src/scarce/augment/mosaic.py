"""Four samples in one picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scarce.augment._mix import like, one_hot
from scarce.dataset import Array, Floats
from scarce.errors import ConfigError, DataError
from scarce.recipe import warp_boxes


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
    soft = one_hot("augment.mosaic", images, labels)
    rng = np.random.default_rng([seed, 0x6D6F73])
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
        DataError: there are not four pictures.
    """
    if len(images) != 4:
        raise DataError("augment.mosaic", f"{len(images)} pictures", "a mosaic takes four")
    height, width = images[0].shape[:2]
    y, x = (
        int(np.clip(round(float(part) * side), 1, side - 1)) for part, side in zip(middle, (height, width), strict=True)
    )
    parts = ((0, y, 0, x), (0, y, x, width), (y, height, 0, x), (y, height, x, width))
    out = np.empty_like(images[0])
    areas, moved = np.zeros(4), []
    for place, (top, bottom, left, right) in enumerate(parts):
        shape = (bottom - top, right - left, *images[0].shape[2:])
        out[top:bottom, left:right] = like(images[place], shape)
        areas[place] = (bottom - top) * (right - left) / (height * width)
        if boxes is not None:
            scale = np.diag([shape[1] / images[place].shape[1], shape[0] / images[place].shape[0], 1.0])
            scale[:2, 2] = (left, top) + (np.diag(scale)[:2] - 1) / 2
            moved.append(warp_boxes(boxes[place], scale, height, width))
    return out, moved, areas
