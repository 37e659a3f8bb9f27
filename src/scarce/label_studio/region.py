"""Boxes, outlines and masks: ours in pixels (``meta.boxes``), those of Label Studio in per cent and packed runs.

An object of ours has ``label``, ``bbox`` (left, top, width, height in pixels), ``segmentation`` where it has an outline
(flat polygons) or a mask (``{"size": [H, W], "counts": [...]}``, COCO's runs down the columns), and ``id``, which stays
the same on the way there and back.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np

from scarce.dataset import Array
from scarce.errors import DataError

BOX, OUTLINE, MASK = "rectanglelabels", "polygonlabels", "brushlabels"
NAMES: Final = {BOX: "box", OUTLINE: "polygon", MASK: "brush"}
"""Kind of a region to the name of its control in our label configuration."""
DIGITS: Final = 4
SIZES: Final = (3, 4, 8, 16)
"""Bits of the four lengths of runs that a packed mask may use."""
CHANNELS: Final = 4


def to_regions(objects: Iterable[Mapping[str, Any]], size: tuple[int, int]) -> list[dict[str, Any]]:
    """Return objects as regions of Label Studio.

    Args:
        objects: of one picture.
        size: its width and height in pixels.
    """
    width, height = size
    found = []
    for number, item in enumerate(objects):
        shape = item.get("segmentation")
        left, top, wide, high = (float(value) for value in item["bbox"])
        value: dict[str, Any]
        if isinstance(shape, Mapping):
            kind, value = MASK, {"format": "rle", "rle": pack(_mask(shape))}
        elif isinstance(shape, list) and len(shape) == 1 and len(shape[0]) >= 6:
            points = np.array(shape[0], np.float64).reshape(-1, 2) / (width, height) * 100
            kind, value = OUTLINE, {"points": points.tolist(), "closed": True}
        else:
            kind, value = BOX, {
                "x": left / width * 100, "y": top / height * 100, "width": wide / width * 100,
                "height": high / height * 100, "rotation": 0,
            }  # fmt: skip
        found.append({
            "id": str(item.get("id") or f"object-{number}"), "type": kind, "from_name": NAMES[kind],
            "to_name": "sample", "original_width": width, "original_height": height, "image_rotation": 0,
            "value": {**value, kind: [str(item["label"])]},
        })  # fmt: skip
    return found


def to_objects(regions: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return regions of Label Studio as objects; what is no box, outline or mask is left out."""
    found = []
    for region in regions:
        kind, value = region.get("type"), region.get("value") or {}
        if kind not in NAMES or not value.get(kind):
            continue
        width, height = int(region["original_width"]), int(region["original_height"])
        item: dict[str, Any] = {"label": str(value[kind][0])}
        if kind == BOX:
            shares = (value["x"] * width, value["y"] * height, value["width"] * width, value["height"] * height)
            item["bbox"] = [_plain(share / 100) for share in shares]
        elif kind == OUTLINE:
            points = np.array(value["points"], np.float64) * (width, height) / 100
            low, high = points.min(0), points.max(0)
            item["bbox"] = [_plain(number) for number in (*low, *(high - low))]
            item["segmentation"] = [[_plain(number) for number in points.ravel()]]
        else:
            mask = unpack(value["rle"], (width, height))
            item["bbox"] = _around(mask)
            item["segmentation"] = {"size": [height, width], "counts": _counts(mask)}
        found.append({**item, "id": str(region["id"])})
    return found


def pack(mask: Array) -> list[int]:
    """Return a mask (H, W) as the bytes that Label Studio draws: runs of equal numbers, four channels a pixel.

    Source: thi.ng's rle-pack, which Label Studio uses.
    """
    values = np.repeat(np.asarray(mask, bool).ravel(), CHANNELS)
    edges = [0, *(np.flatnonzero(values[1:] != values[:-1]) + 1).tolist(), len(values)]
    parts = [f"{len(values):032b}", f"{7:05b}", *(f"{bits - 1:04b}" for bits in SIZES)]
    for start, stop in pairwise(edges):
        word = "11111111" if values[start] else "00000000"
        while start < stop:
            run = min(stop - start, 1 << SIZES[-1])
            place = next(at for at, bits in enumerate(SIZES) if run <= 1 << bits)
            parts.append(f"1{place:02b}{run - 1:0{SIZES[place]}b}{word}")
            start += run
    bits = "".join(parts)
    bits += "0" * (-len(bits) % 8)
    return [int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)]


def unpack(packed: Sequence[int], size: tuple[int, int]) -> Array:
    """Return packed runs as a mask (H, W) bool: marked is what is not wholly clear.

    Raises:
        DataError: the runs do not fill the picture.
    """
    bits = _Bits(packed)
    total, word = bits.read(32), bits.read(5) + 1
    sizes = [bits.read(4) + 1 for _ in range(4)]
    width, height = size
    if total != width * height * CHANNELS:
        there = f"{total} numbers for {width} x {height} pixels"
        raise DataError("label studio", "a mask does not fill its picture", there, "is it the same picture?")
    parts: list[Array] = []
    done = 0
    while done < total:
        same = bits.read(1)
        run = bits.read(sizes[bits.read(2)]) + 1
        parts.append(np.full(run, bits.read(word)) if same else np.array([bits.read(word) for _ in range(run)]))
        done += run
    channels = np.concatenate(parts)[:total].reshape(height, width, CHANNELS)
    return np.asarray(channels[:, :, -1] > 0)


class _Bits:
    """Reads numbers of any number of bits."""

    def __init__(self, data: Sequence[int]) -> None:
        self.text, self.place = "".join(f"{byte:08b}" for byte in data), 0

    def read(self, n: int) -> int:
        start, self.place = self.place, self.place + n
        if self.place > len(self.text):
            raise DataError("label studio", "a mask ends in the middle", f"{len(self.text)} bits")
        return int(self.text[start : self.place], 2)


def _mask(shape: Mapping[str, Any]) -> Array:
    if isinstance(shape["counts"], str):
        return np.asarray(importlib.import_module("scarce.io.boxes").decode_mask(shape))
    height, width = shape["size"]
    marked = np.arange(len(shape["counts"])) % 2 == 1
    return np.repeat(marked, shape["counts"]).reshape(width, height).T


def _counts(mask: Array) -> list[int]:
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(np.concatenate([[flat[0]], flat[1:] != flat[:-1], [True]]))
    return [int(run) for run in np.diff(np.concatenate([[0], edges]))]


def _around(mask: Array) -> list[int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return [0, 0, 0, 0]
    return [int(columns[0]), int(rows[0]), int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1)]


def _plain(value: float) -> float:
    value = round(float(value), DIGITS)
    return int(value) if value.is_integer() else value
