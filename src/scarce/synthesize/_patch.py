"""Patches: cut out of one picture, turned, and given a place on another."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np

from scarce.dataset import Array
from scarce.recipe import Params, fit_mask
from scarce.synthesize._region import pick


def patch_boxes(mask: Array) -> list[tuple[int, int, int, int]]:
    """Return x0 y0 x1 y1 of each separate defect, with a margin; specks under a fifth of the largest are left out."""
    import cv2

    margin = max(2, int(0.02 * min(mask.shape)))
    near = cv2.dilate(mask.astype(np.uint8), np.ones((2 * margin + 1, 2 * margin + 1), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(near)
    areas = stats[1:count, cv2.CC_STAT_AREA]
    found = []
    for x, y, w, h in stats[1:count, :4][areas >= 0.2 * areas.max(initial=0)].tolist():
        if mask[y : y + h, x : x + w].any():
            found.append((x, y, x + w, y + h))
    return found


def encode_mask(mask: Array, box: tuple[int, int, int, int]) -> dict[str, Any]:
    """Return a patch's place and outline as short plain values, so that a recipe needs no mask file."""
    x0, y0, x1, y1 = box
    bits = zlib.compress(np.packbits(mask[y0:y1, x0:x1].astype(bool)).tobytes(), 9)
    return {"box": list(box), "of": list(mask.shape), "outline": base64.b85encode(bits).decode()}


def decode_mask(params: Params) -> Array:
    """Return the (h, w) bool pixels that :func:`encode_mask` wrote."""
    x0, y0, x1, y1 = params["box"]
    flat = np.frombuffer(zlib.decompress(base64.b85decode(params["outline"])), np.uint8)
    return np.unpackbits(flat)[: (y1 - y0) * (x1 - x0)].reshape(y1 - y0, x1 - x0).astype(bool)


def cut_patch(image: Array, params: Params) -> tuple[Array, Array]:
    """Return the patch and its (h, w) mask that a recipe names, from the picture that it was cut from."""
    x0, y0, x1, y1 = params["box"]
    mask = decode_mask(params)
    down, across = image.shape[0] / params["of"][0], image.shape[1] / params["of"][1]
    if (down, across) != (1, 1):  # the mask was stored at another size than its picture
        y0, y1, x0, x1 = round(y0 * down), round(y1 * down), round(x0 * across), round(x1 * across)
        y1, x1 = max(y1, y0 + 1), max(x1, x0 + 1)
        mask = fit_mask(mask, y1 - y0, x1 - x0)
    return image[y0:y1, x0:x1], mask


def turn_patch(patch: Array, mask: Array, params: Params, size: tuple[int, ...]) -> tuple[Array, Array]:
    """Return the patch and mask mirrored, turned and zoomed; a patch larger than the picture is made smaller."""
    import cv2

    if params["mirror"]:
        patch, mask = patch[:, ::-1], mask[:, ::-1]
    if params["upend"]:
        patch, mask = patch[::-1], mask[::-1]
    relative = np.sqrt(size[0] * size[1] / (params["of"][0] * params["of"][1]))
    zoom = float(params["scale"]) * float(np.clip(relative, 0.5, 2.0))
    radians = np.deg2rad(float(params["angle"]))
    cosine, sine = abs(np.cos(radians)), abs(np.sin(radians))
    height, width = mask.shape
    wide, high = width * cosine + height * sine, width * sine + height * cosine
    zoom = min(zoom, 0.95 * size[1] / wide, 0.95 * size[0] / high)
    out = (max(1, int(np.ceil(wide * zoom))), max(1, int(np.ceil(high * zoom))))
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), float(params["angle"]), zoom)
    matrix[:, 2] += [(out[0] - width) / 2, (out[1] - height) / 2]
    turned = cv2.warpAffine(np.ascontiguousarray(patch), matrix, out, None, cv2.INTER_LINEAR, cv2.BORDER_REFLECT_101)
    share = cv2.warpAffine(np.ascontiguousarray(mask, np.float32), matrix, out, None, cv2.INTER_LINEAR)
    share = np.asarray(share)
    return np.asarray(turned), share >= min(0.5, float(share.max()))


def place(rng: np.random.Generator, mask: Array, region: Array | None, size: tuple[int, ...]) -> tuple[int, int]:
    """Return a left top corner such that the patch lies inside the picture and its mask, if it can, on the region."""
    height, width = mask.shape
    room = (max(0, size[1] - width), max(0, size[0] - height))
    best, best_share = (0, 0), -1.0
    for _ in range(12):
        x, y = pick(rng, region, size[0], size[1])
        corner = (int(np.clip(x - width // 2, 0, room[0])), int(np.clip(y - height // 2, 0, room[1])))
        if region is None:
            return corner
        window = region[corner[1] : corner[1] + height, corner[0] : corner[0] + width]
        share = float(window[mask[: window.shape[0], : window.shape[1]]].mean())
        if share > best_share:
            best, best_share = corner, share
        if share >= 0.98:
            break
    return best
