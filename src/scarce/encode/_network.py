"""A frozen picture network as an encoder: squeezed pictures in, pooled features out."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import pairwise
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np

from scarce.dataset import Array, Dataset, Floats
from scarce.errors import ConfigError
from scarce.execute.precision import is_exact, native_bfloat16
from scarce.extras import need

if TYPE_CHECKING:
    import torch

_log = logging.getLogger("scarce.encode")
Precision = Literal["auto", "float32", "bfloat16"]
Pooling = Literal["final", "layers", "grid"]
MIN_COSINE = 0.999
"""Features in bfloat16 that were asked for are used only if those of a probe batch have at least this cosine."""
AUTO_COSINE = 0.99999
"""The same where nobody asked: probabilities then differ by less than .01 between processors."""
PIXELS_AT_ONCE = 8 * 224 * 224
"""Larger batches do not fit the processor's cache: they are slower and need more memory."""
GRID_STAGES = (2, 3, 4)
"""The stages of 40, 80 and 112 channels: fine enough to see a scratch, wide enough to know it from the grain."""
SMALL_PIXELS = 64
"""Pictures up to this size are embedded at a lower resolution."""


def squeeze(sample: Array | str, size: int) -> Array:
    """Return a picture as (size, size, 3) or (size, size) uint8: the whole of it, its aspect not kept."""
    picture = np.asarray(sample)
    if picture.shape[:2] == (size, size):
        return picture
    shrinking = picture.shape[0] >= size and picture.shape[1] >= size
    how = cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, (size, size), interpolation=how))


def stacked(batch: Sequence[Array | str], size: int) -> Array:
    """Return (B, size, size, 3) uint8."""
    pictures = [squeeze(sample, size) for sample in batch]
    out = np.empty((len(pictures), size, size, 3), np.uint8)
    for row, picture in enumerate(pictures):
        out[row] = picture[..., None] if picture.ndim == 2 else picture
    return out


def size_for(ds: Dataset, *, small: int, large: int) -> int:
    """Return the side that the network should see: ``small`` where pictures have at most 64 pixels, else ``large``."""
    if "scan.width" in ds.wide and "scan.height" in ds.wide:
        longer = np.maximum(ds["scan.width"], ds["scan.height"]).astype(np.float64)
        longer = longer[longer > 0]
    else:
        from scarce.modality import open_samples

        rows = np.flatnonzero(ds["keep"].astype(bool))
        rows = rows[:: max(1, len(rows) // 8)][:8]
        longer = np.array([max(np.asarray(sample).shape[:2]) for sample in open_samples(ds, rows)], np.float64)
    return small if len(longer) and np.median(longer) <= SMALL_PIXELS else large


def fold_batch_norm(module: torch.nn.Module) -> None:
    """Fold every batch norm that follows a convolution into it, in place; exact up to rounding, twice as fast."""
    import torch
    from torch import nn

    children = list(module.named_children())
    for (_, first), (name, second) in pairwise(children):
        if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
            with torch.no_grad():
                assert second.running_var is not None
                assert second.running_mean is not None
                scale = second.weight / torch.sqrt(second.running_var + second.eps)
                shift = second.bias - second.running_mean * scale
                if first.bias is not None:
                    shift = shift + first.bias * scale
                first.weight.mul_(scale[:, None, None, None])
                first.bias = nn.Parameter(shift)
            after = [
                layer for layer in (getattr(second, "drop", None), getattr(second, "act", None)) if layer is not None
            ]
            setattr(module, name, nn.Sequential(*after))
    for child in module.children():
        fold_batch_norm(child)


@dataclass(eq=False)
class Network:
    """A network that is ready to embed.

    Args:
        model: a timm model in evaluation mode.
        mean: (3,) of the input, in 0..255.
        std: (3,) of the input, in 0..255.
        pooling: ``final`` = mean over the last feature map; ``layers`` = that and the maximum of every earlier stage;
            ``grid`` = the middle stages cell by cell.
        precision: see :meth:`settle`.
    """

    model: torch.nn.Module
    mean: Array
    std: Array
    pooling: Pooling = "final"
    precision: Precision = "auto"
    cosine: float = 1.0
    device: str = "cpu"
    _half: bool = field(default=False, init=False)
    _lock: Lock = field(default_factory=Lock, init=False)

    def settle(self, size: int) -> Network:
        """Choose device and precision: bfloat16 where it is native and a probe batch agrees with float32."""
        import torch

        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        if self.device == "cpu":
            self.model = self.model.to(memory_format=torch.channels_last)
        else:
            self.model = self.model.to(self.device)
        native = native_bfloat16() if self.device == "cpu" else torch.cuda.is_bf16_supported()
        if self.precision == "bfloat16" or (self.precision == "auto" and native):
            self.cosine = self.agreement(size)
            if self.cosine < MIN_COSINE and self.precision == "bfloat16":
                what = f"bfloat16 features agree with float32 to a cosine of {self.cosine:.5f}"
                raise ConfigError("encode", what, f"{MIN_COSINE} is asked for", "take precision float32")
            self._half = self.cosine >= (MIN_COSINE if self.precision == "bfloat16" else AUTO_COSINE)
            _log.info("bfloat16 agrees with float32 to a cosine of %.5f", self.cosine)
        return self

    def agreement(self, size: int) -> float:
        """Return the lowest cosine between bfloat16 and float32 features of a fixed probe batch."""
        probe = probe_pictures(size)
        self._half = False
        exact = self(probe)
        self._half = True
        rough = self(probe)
        self._half = False
        lengths = np.linalg.norm(exact, axis=1) * np.linalg.norm(rough, axis=1)
        return float((np.einsum("nd,nd->n", exact, rough) / np.maximum(lengths, 1e-12)).min())

    def __call__(self, pictures: Array) -> Floats:
        """Return (B, D) float32 features of (B, H, W, 3) uint8 pictures."""
        side = pictures.shape[1]
        step = max(1, PIXELS_AT_ONCE // (side * side)) if self.device == "cpu" else len(pictures)
        parts = [self._forward(pictures[start : start + step]) for start in range(0, len(pictures), step)]
        return np.concatenate(parts)

    def _forward(self, pictures: Array) -> Floats:
        import torch

        casting = torch.autocast(self.device, torch.bfloat16) if self._half and not is_exact() else nullcontext()
        with torch.inference_mode(), casting, self._lock if self.device != "cpu" else nullcontext():
            values = torch.from_numpy(pictures).to(self.device).permute(0, 3, 1, 2).float()
            mean, std = (torch.tensor(part, dtype=torch.float32, device=self.device) for part in (self.mean, self.std))
            values = (values - mean[:, None, None]) / std[:, None, None]
            return np.asarray(self.pooled(values).float().cpu().numpy())

    def pooled(self, values: torch.Tensor) -> torch.Tensor:
        """Return (B, D) features of (B, 3, H, W) normalized pictures."""
        if self.pooling == "final":
            return _mean(self.model.forward_features(values))  # type: ignore[operator]
        return self._layers(values) if self.pooling == "layers" else self._grid(values)

    def _layers(self, values: torch.Tensor) -> torch.Tensor:
        import torch

        model: Any = self.model
        maps = model.bn1(model.conv_stem(values))
        pooled = []
        for place, stage in enumerate(model.blocks):
            maps = stage(maps)
            if place:
                pooled.append(maps.amax((2, 3)))
        final = model.bn2(model.conv_head(maps)).mean((2, 3))
        return torch.cat([final, *pooled], dim=1)

    def _grid(self, values: torch.Tensor) -> torch.Tensor:
        import torch
        from torch.nn.functional import adaptive_max_pool2d

        model: Any = self.model
        maps = model.bn1(model.conv_stem(values))
        found = []
        for place, stage in enumerate(model.blocks[: GRID_STAGES[-1] + 1]):
            maps = stage(maps)
            if place in GRID_STAGES:
                found.append(maps)
        side = maps.shape[2:]
        joint = torch.cat([adaptive_max_pool2d(each, side) for each in found], dim=1)
        return joint.permute(0, 2, 3, 1).flatten(1)


def _mean(features: torch.Tensor) -> torch.Tensor:
    """Pool the last features: (B, C, H, W) maps, (B, T, C) tokens or (B, H, W, C) maps of window transformers."""
    if features.ndim == 4:
        last = features.shape[3] > features.shape[1] and features.shape[1] == features.shape[2]
        return features.mean((1, 2)) if last else features.mean((2, 3))
    return features.mean(1) if features.ndim == 3 else features


def probe_pictures(size: int) -> Array:
    """Return (8, size, size, 3) fixed pictures: noise, ramps, discs and stripes."""
    rng = np.random.default_rng(7)
    down, across = np.mgrid[0:size, 0:size] / max(size - 1, 1)
    out = np.empty((8, size, size, 3), np.float64)
    for row in range(8):
        waves = np.sin(2 * np.pi * (row + 1) * (down * rng.random() + across * rng.random()))
        disc = np.hypot(down - rng.random(), across - rng.random()) < 0.3
        layers = 100 + 60 * waves + 60 * disc + rng.normal(0, 5 * row, (size, size))
        out[row] = layers[..., None] * rng.uniform(0.6, 1.2, 3)
    return np.clip(out, 0, 255).astype(np.uint8)


@contextmanager
def kept_threads() -> Iterator[None]:
    """Give the calling thread its number of torch and OpenCV threads back afterwards."""
    torch = need("torch", extra="train")
    threads, pixels = torch.get_num_threads(), cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        cv2.setNumThreads(pixels)


def one_thread() -> None:
    """Let this worker compute with one thread: workers wait for nobody, threads inside a batch wait for each other."""
    need("torch", extra="train").set_num_threads(1)
