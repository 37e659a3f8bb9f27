"""Changes of a batch while training: a light augmentation of our own, mixup and CutMix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from scarce.dataset import Array, Ints


@dataclass(frozen=True)
class Light:
    """Shifts, mirrors and erases whole batches; drawn from one generator a batch.

    Args:
        shift: at most this share of the side; what leaves on one side is black.
        mirror: left-right with probability one half.
        erase: share of the pictures that lose a box (side up to 45 %) to one random value.
    """

    shift: float = 0.07
    mirror: bool = True
    erase: float = 0.25

    @property
    def name(self) -> str:
        """What the card calls it."""
        return "light" if self.mirror else "upright"

    def __call__(self, images: Array, rng: np.random.Generator) -> Array:
        """Return changed (n, S, S, C) uint8 pictures."""
        n, size = images.shape[:2]
        if self.mirror:
            flip = rng.random(n) < 0.5
            images = np.where(flip[:, None, None, None], images[:, :, ::-1], images)
        most = max(1, round(self.shift * size))
        images = _shifted(images, rng.integers(-most, most + 1, (n, 2)))
        return _erased(images, rng, self.erase)


def _shifted(images: Array, by: Ints) -> Array:
    n, size = images.shape[:2]
    line = np.arange(size)
    y, x = line[None] - by[:, :1], line[None] - by[:, 1:]
    inside = ((y >= 0) & (y < size))[:, :, None] & ((x >= 0) & (x < size))[:, None, :]
    y, x = y.clip(0, size - 1), x.clip(0, size - 1)
    moved = images[np.arange(n)[:, None, None], y[:, :, None], x[:, None, :]]
    return np.asarray(moved * inside[..., None].astype(np.uint8))


def _erased(images: Array, rng: np.random.Generator, share: float) -> Array:
    n, size = images.shape[:2]
    side = rng.integers(max(1, round(0.1 * size)), max(2, round(0.45 * size)) + 1, (n, 2))
    start = (rng.random((n, 2)) * (size - side + 1)).astype(np.int64)
    line = np.arange(size)[None]
    rows = (line >= start[:, :1]) & (line < start[:, :1] + side[:, :1])
    columns = (line >= start[:, 1:]) & (line < start[:, 1:] + side[:, 1:])
    chosen = rng.random(n) < share
    box = rows[:, :, None] & columns[:, None, :] & chosen[:, None, None]
    fill = rng.integers(0, 256, (n, 1, 1, 1)).astype(np.uint8)
    return np.where(box[..., None], fill, images)


def mix(batch: Any, target: Any, rng: np.random.Generator, *, mixup: float, cutmix: float) -> tuple[Any, Any]:
    """Return a batch in which every picture is blended with (mixup) or pasted into (CutMix) another one.

    Args:
        batch: (n, C, S, S).
        target: (n, K) soft labels, mixed in the same shares.
        rng: of the partners and shares.
        mixup: parameter of its Beta distribution; 0 = off.
        cutmix: likewise; with both on, a coin decides for each batch.

    Source: Zhang et al. 2018; Yun et al. 2019.
    """
    import torch

    if not mixup and not cutmix:
        return batch, target
    partner = torch.from_numpy(rng.permutation(len(batch))).to(batch.device)
    paste = bool(cutmix) and (not mixup or rng.random() < 0.5)
    share = float(rng.beta(cutmix, cutmix) if paste else rng.beta(mixup, mixup))
    if paste:
        height, width = batch.shape[2:]
        half = np.sqrt(1 - share) / 2
        y, x = rng.random(2)
        top, bottom = int(max(0, y - half) * height), int(np.ceil(min(1, y + half) * height))
        left, right = int(max(0, x - half) * width), int(np.ceil(min(1, x + half) * width))
        batch = batch.clone()
        batch[:, :, top:bottom, left:right] = batch[partner][:, :, top:bottom, left:right]
        share = 1 - (bottom - top) * (right - left) / (height * width)
    else:
        batch = share * batch + (1 - share) * batch[partner]
    return batch.contiguous(memory_format=torch.channels_last), share * target + (1 - share) * target[partner]
