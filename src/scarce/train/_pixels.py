"""Pictures as a network takes them: one size, one or three channels, uint8 in memory or in a temporary file."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from scarce.dataset import Array, Dataset, Ints
from scarce.errors import TrainError
from scarce.execute.local import cores
from scarce.modality import open_samples

BLOCK = 32
"""Pictures that a thread opens at once."""
MOST_BYTES = 1 << 30
"""Larger sets go to a temporary file that the system pages."""
SMALL = 64
"""Pictures up to this side keep their size."""
LOOKED_AT = 64


@dataclass(frozen=True)
class Shape:
    """What a network sees: squares of ``size`` pixels with 1 or 3 channels; the whole picture, squeezed to a square."""

    size: int
    channels: int

    def of(self, image: Array) -> Array:
        """Return (S, S, C) uint8."""
        import cv2

        if image.ndim == 3 and self.channels == 1:
            image = image[..., 0] if (image == image[..., :1]).all() else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        if image.ndim == 2 and self.channels == 3:
            image = np.repeat(image[..., None], 3, axis=2)
        if image.shape[:2] != (self.size, self.size):
            smaller = (
                min(image.shape[:2]) >= self.size
            )  # as encoders squeeze: OpenCV has no area mean to enlarge one side
            way = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
            image = np.asarray(cv2.resize(image, (self.size, self.size), interpolation=way))
        return image.reshape(self.size, self.size, self.channels)


def shape_for(ds: Dataset, rows: Ints, *, size: int | None, largest: int) -> Shape:
    """Return the shape that suits the pictures: their own size up to 64 pixels, else ``largest`` at most.

    Gray pictures, also those stored as equal RGB channels, get one channel.
    """
    some = rows[:: max(1, len(rows) // LOOKED_AT)][:LOOKED_AT]
    images = [np.asarray(image) for image in open_samples(ds, some)]
    gray = all(image.ndim == 2 or bool((image == image[..., :1]).all()) for image in images)
    if size is None:
        longest = max(max(image.shape[:2]) for image in images)
        shorter = int(np.median([min(image.shape[:2]) for image in images]))
        size = longest if longest <= SMALL else int(np.clip(shorter // 32 * 32, SMALL, largest))
    if not 8 <= size <= 2048:
        raise TrainError("train.finetune", f"size = {size} pixels", do="use 8 to 2048")
    return Shape(size, 1 if gray else 3)


def load_pixels(ds: Dataset, rows: Ints, shape: Shape) -> Array:
    """Return (n, S, S, C) uint8 pictures of some rows, opened in blocks by threads."""
    wanted = (len(rows), shape.size, shape.size, shape.channels)
    out: Array
    if int(np.prod(wanted)) > MOST_BYTES:
        file = tempfile.TemporaryFile(prefix="scarce-pixels-")  # noqa: SIM115 - lives as long as the map
        out = np.memmap(file, np.uint8, "w+", shape=wanted)
    else:
        out = np.empty(wanted, np.uint8)

    def fill(start: int) -> None:
        for place, image in enumerate(open_samples(ds, rows[start : start + BLOCK], at_least=shape.size), start):
            out[place] = shape.of(np.asarray(image))

    with ThreadPoolExecutor(cores(), "open") as pool:
        list(pool.map(fill, range(0, len(rows), BLOCK)))
    return out


def moments(pixels: Array) -> tuple[list[float], list[float]]:
    """Return mean and deviation of each channel on the scale 0 to 1."""
    total = np.zeros(pixels.shape[3])
    square = np.zeros(pixels.shape[3])
    for start in range(0, len(pixels), 1024):
        block = pixels[start : start + 1024].astype(np.float64) / 255
        total += block.mean((1, 2)).sum(0)
        square += (block**2).mean((1, 2)).sum(0)
    mean = total / len(pixels)
    deviation = np.sqrt(np.maximum(square / len(pixels) - mean**2, 1e-6))
    return mean.tolist(), deviation.tolist()


def batches_of(mean: Sequence[float], std: Sequence[float]) -> Callable[[Array, Any], Any]:
    """Return what makes :func:`to_batch` of (pictures, device) with this mean and deviation."""
    return lambda images, device: to_batch(images, list(mean), list(std), device)


def to_batch(images: Array, mean: list[float], std: list[float], device: Any) -> Any:
    """Return a normalized (n, C, S, S) float32 tensor in channels-last order."""
    import torch

    batch = torch.from_numpy(np.ascontiguousarray(images)).to(device).permute(0, 3, 1, 2).float()
    middle = torch.tensor(mean, device=device).view(1, -1, 1, 1) * 255
    scale = torch.tensor(std, device=device).view(1, -1, 1, 1) * 255
    return ((batch - middle) / scale).contiguous(memory_format=torch.channels_last)
