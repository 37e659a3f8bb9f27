"""Pictures that are of none of the classes, made from pictures that are: to try detectors on before real ones come."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from scarce import io, modality
from scarce.dataset import Array, Dataset

CELLS = 4
"""Patches on a side, for shuffling and weaving."""


def foreign_pictures(train: Dataset, ids: Array, folder: Path, *, count: int, seed: int) -> Dataset | None:
    """Write foreign pictures into a folder and return them as a scanned data set; None where nothing can be opened.

    A quarter each: patches of a picture in another order; a picture whose Fourier phases are random (its texture
    without its form); two pictures of different classes woven patch by patch; signs drawn on a picture's background.

    Args:
        train: the training side.
        ids: of the pictures to make them from, held back from training.
        folder: an empty folder.
        count: how many.
        seed: of everything random.
    """
    import cv2

    rng = np.random.default_rng([seed, 0x666F72])
    rows = train.rows_of(ids)
    rows = rng.permutation(rows)[: 2 * count]
    images = [np.asarray(image) for image in modality.open_samples(train, rows)]
    labels = train["label"][rows]
    if len(images) < 2:
        return None
    for number in range(count):
        place = number % len(images)
        image = images[place]
        other = int(rng.integers(len(images)))
        if labels[other] == labels[place]:
            other = int(np.flatnonzero(labels != labels[place])[0]) if (labels != labels[place]).any() else other
        made = (_shuffled, _scrambled, _signs)[number % 4](image, rng) if number % 4 < 3 else (
            _woven(image, images[other], rng)
        )  # fmt: skip
        made = made[..., ::-1] if made.ndim == 3 else made
        cv2.imwrite(str(folder / f"{number:05d}.png"), np.ascontiguousarray(made))
    return modality.scan(io.read(folder))


def _shuffled(image: Array, rng: np.random.Generator) -> Array:
    high, wide = (max(1, side // CELLS) for side in image.shape[:2])
    out = image.copy()
    places = [(row * high, column * wide) for row in range(CELLS) for column in range(CELLS)]
    for target, source in zip(places, rng.permutation(len(places)), strict=True):
        top, left = places[source]
        patch = image[top : top + high, left : left + wide]
        out[target[0] : target[0] + patch.shape[0], target[1] : target[1] + patch.shape[1]] = patch
    return out


def _scrambled(image: Array, rng: np.random.Generator) -> Array:
    values = image.astype(np.float64).reshape(*image.shape[:2], -1)
    phase = np.exp(1j * np.angle(np.fft.fft2(rng.standard_normal(image.shape[:2]))))
    mixed = np.real(np.fft.ifft2(np.fft.fft2(values, axes=(0, 1)) * phase[..., None], axes=(0, 1)))
    return np.asarray(np.clip(mixed, 0, 255).round().astype(np.uint8).reshape(image.shape))


def _woven(image: Array, other: Array, rng: np.random.Generator) -> Array:
    import cv2

    size = (image.shape[1], image.shape[0])
    other = np.asarray(cv2.resize(other, size, interpolation=cv2.INTER_AREA))
    if other.ndim != image.ndim:
        other = np.repeat(other[..., None], 3, 2) if image.ndim == 3 else cv2.cvtColor(other, cv2.COLOR_RGB2GRAY)
    choice = rng.integers(2, size=(CELLS, CELLS)).astype(np.uint8)
    mask = np.asarray(cv2.resize(choice, size, interpolation=cv2.INTER_NEAREST)).astype(bool)
    return np.where(mask if image.ndim == 2 else mask[..., None], image, other)


def _signs(image: Array, rng: np.random.Generator) -> Array:
    import cv2

    border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    ground = np.median(border, axis=0)
    out = np.broadcast_to(ground, image.shape).astype(np.uint8).copy()
    high, wide = image.shape[:2]
    ink = 255 if float(np.mean(ground)) < 128 else 0
    thick = max(1, round(min(high, wide) / 14))
    for _ in range(int(rng.integers(2, 5))):
        points = (rng.random((int(rng.integers(2, 5)), 2)) * [wide - 1, high - 1]).round().astype(np.int32)
        cv2.polylines(out, [points], bool(rng.integers(2)), (ink,) * 3 if out.ndim == 3 else ink, thick, cv2.LINE_AA)
    return out
