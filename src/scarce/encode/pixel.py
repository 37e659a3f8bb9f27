"""Gradient, gray and color statistics: picture features without a trained network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, final

import cv2
import numpy as np

from scarce.dataset import Array, Dataset, Floats
from scarce.encode._base import AbstractEncoder
from scarce.encode._network import size_for, squeeze

SIZE, SMALL_SIZE = 64, 32
CELLS, DIRECTIONS, TINY = 8, 9, 8
GRAY_BINS, COLOR_BINS = 16, 8
WIDTH = (CELLS - 1) ** 2 * 4 * DIRECTIONS + TINY**2 + GRAY_BINS + 3 * COLOR_BINS + 8


@final
@dataclass(frozen=True, kw_only=True)
class Pixel(AbstractEncoder):
    """Oriented gradients, gray and color histograms and tiny pixels; needs no weights and no extra.

    Use when torch is not installed, when thousands of images a second are wanted, or as an honest floor.
    Do not use when ``efficientnet_lite0`` can be had: it is clearly better on photos.
    Needs: uint8 pictures (H, W) or (H, W, 3).
    Writes: embedding.pixel (N, 1876) float32, all values 0 to 1: histograms of oriented gradients (7 x 7 blocks of
    2 x 2 cells, 9 directions), 8 x 8 gray pixels, 16 gray and 3 x 8 color bins (square roots of shares), mean and
    spread of brightness, saturation, red and blue.
    Source: Dalal and Triggs 2005 (as OpenCV computes it); we add the rest.

    Args:
        size: side to which a picture is squeezed, in pixels, a multiple of 8; 0 = 64, or 32 where pictures have at
            most 64 pixels.
    """

    size: int = 0

    def prepare(self, ds: Dataset) -> Self:
        """Choose the size."""
        return self if self.size else replace(self, size=size_for(ds, small=SMALL_SIZE, large=SIZE))

    def embed(self, batch: Sequence[Array | str]) -> Floats:
        """Return (B, 1876) features of uint8 pictures."""
        size = self._size()
        return pixel_features([squeeze(sample, size) for sample in batch])

    def reduce(self, sample: Array | str) -> Array:
        """Squeeze a picture to the size that is seen."""
        return squeeze(sample, self._size())

    def decode_pixels(self) -> int:
        """Return the size that is seen."""
        return self._size()

    def identity(self) -> Mapping[str, str]:
        """Return the version of OpenCV, which squeezes the pictures."""
        return {"opencv": cv2.__version__}

    def _size(self) -> int:
        return max((self.size or SIZE) // CELLS, 2) * CELLS


def pixel_features(pictures: Sequence[Array]) -> Floats:
    """Return (B, 1876) float32 features of uint8 pictures (S, S) or (S, S, 3), S a multiple of 8: see the class."""
    if not pictures:
        return np.zeros((0, WIDTH), np.float32)
    gradients = _gradients(pictures[0].shape[0])
    out = np.empty((len(pictures), WIDTH), np.float32)
    for row, picture in enumerate(pictures):
        gray = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        channels = [gray] * 3 if picture.ndim == 2 else list(cv2.split(picture))
        shares = [cv2.calcHist([gray], [0], None, [GRAY_BINS], [0, 256])]
        shares += [cv2.calcHist([channel], [0], None, [COLOR_BINS], [0, 256]) for channel in channels]
        tiny = cv2.resize(gray, (TINY, TINY), interpolation=cv2.INTER_AREA).ravel() / np.float32(255)
        moments = _moments(gray, channels)
        out[row] = np.concatenate(
            [gradients.compute(gray), tiny, np.sqrt(np.concatenate(shares)[:, 0] / gray.size), moments]
        )
    return out


def _gradients(side: int) -> Any:
    """Return the descriptor of 8 x 8 cells over a picture of that side."""
    cell = side // CELLS
    return cv2.HOGDescriptor((side, side), (2 * cell, 2 * cell), (cell, cell), (cell, cell), DIRECTIONS)


def _moments(gray: Array, channels: Sequence[Array]) -> Floats:
    """Return (8,) mean and spread, 0 to 1, of brightness, saturation (highest less lowest channel), red and blue."""
    red, green, blue = channels
    highest, lowest = cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue)
    planes = (gray, cv2.subtract(highest, lowest), red, blue)
    return np.array([float(part[0, 0]) / 255 for plane in planes for part in cv2.meanStdDev(plane)], np.float32)
