"""Fixed convolutions of series, and their course."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import ClassVar, Self, final

import numpy as np

from scarce.dataset import Array, Dataset, Floats
from scarce.encode._base import AbstractEncoder

TRIPLES = tuple(combinations(range(9), 3))
"""The 84 kernels of length 9: weight 2 at three places, -1 at the other six."""
BIASES = (-1.0, 0.0, 1.0)
MOST_CHANNELS = 4
"""Beyond so many channels, their features are averaged."""


@final
@dataclass(frozen=True, kw_only=True)
class Series(AbstractEncoder):
    """How often fixed patterns occur at several scales, the course itself, and its size; learns nothing.

    Use when a sample is a measured curve: sensors, heart beats, power.
    Do not use when order over very long stretches decides.
    Needs: (T,) or (C, T) float32, the same C everywhere; lengths may differ (they are brought to one).
    Writes: embedding.series (N, D) float32. For each channel of the z-scored curve: the share of places where each of
    84 patterns at each scale exceeds each of three levels, the curve at ``course`` places, and mean, spread, lowest,
    highest and length.
    Source: Dempster, Schmidt and Webb 2021 (MiniRocket); levels are fixed here, theirs are fitted to training data.

    Args:
        length: points that every curve is brought to; 0 = told by the data (32 to 512).
        course: points of the curve that are kept as they are.
    """

    modalities: ClassVar[tuple[str, ...]] = ("time_series",)

    length: int = 0
    course: int = 64

    def prepare(self, ds: Dataset) -> Self:
        """Choose the length: the median one."""
        if self.length:
            return self
        if "scan.length" in ds.wide and len(ds):
            found = int(np.median(ds["scan.length"]))
        else:
            from scarce.modality import open_samples

            rows = np.flatnonzero(ds["keep"].astype(bool))
            rows = rows[:: max(1, len(rows) // 32)][:32]
            lengths = [np.asarray(sample).shape[-1] for sample in open_samples(ds, rows)]
            found = int(np.median(lengths)) if lengths else 128
        return replace(self, length=int(np.clip(found, 32, 512)))

    def embed(self, batch: Sequence[Array | str]) -> Floats:
        """Return (B, D) features of series."""
        return pattern_features([np.asarray(sample, np.float32) for sample in batch], self.length or 128, self.course)


def pattern_features(samples: Sequence[Floats], length: int, course: int) -> Floats:
    """Return (B, D) float32 features of (T,) or (C, T) series; see :class:`Series`."""
    prepared = [resampled(np.atleast_2d(sample), length) for sample in samples]
    curves = np.stack([curve for curve, _ in prepared])
    sizes = np.stack([size for _, size in prepared])
    b, c, _ = curves.shape
    shares = pattern_shares(curves.reshape(b * c, length)).reshape(b, c, -1)
    places = np.linspace(0, length - 1, course).round().astype(np.int64)
    shape = curves[:, :, places]
    if c > MOST_CHANNELS:
        shares = shares.mean(axis=1, keepdims=True)
    return np.concatenate([part.reshape(b, -1) for part in (shares, shape, sizes)], axis=1).astype(np.float32)


def pattern_shares(curves: Floats) -> Floats:
    """Return (B, 84 x scales x 3) float32 shares of places where patterns exceed levels, of (B, L) z-scored curves."""
    length = curves.shape[1]
    scales = [2**power for power in range(16) if 8 * 2**power < length] or [1]
    out = []
    for scale in scales:
        reach = 4 * scale
        padded = np.pad(curves, ((0, 0), (reach, reach)))
        shifted = [padded[:, place * scale : place * scale + length] for place in range(9)]
        base = -np.sum(shifted, axis=0)
        for a, b, c in TRIPLES:
            answer = base + 3 * (shifted[a] + shifted[b] + shifted[c])
            out += [(answer > bias).mean(axis=1) for bias in BIASES]
    return np.stack(out, axis=1).astype(np.float32)


def resampled(sample: Floats, length: int) -> tuple[Floats, Floats]:
    """Return (C, length) z-scored curves with holes bridged, and (C, 5) what z-scoring took away."""
    channels, time = sample.shape
    curves = np.zeros((channels, length), np.float32)
    sizes = np.zeros((channels, 5), np.float32)
    places = np.linspace(0, max(time - 1, 0), length)
    for row, values in enumerate(sample):
        good = np.flatnonzero(np.isfinite(values))
        if not len(good):
            continue
        curve = np.interp(places, good, values[good])
        mean, spread = float(values[good].mean()), float(values[good].std())
        curves[row] = (curve - mean) / spread if spread > 1e-9 else 0.0
        sizes[row] = mean, spread, values[good].min(), values[good].max(), np.log1p(time)
    return curves, sizes
