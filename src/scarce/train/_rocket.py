"""MiniRocket's transform, compiled: shares of a series where a pattern's answer lies above a level."""

from __future__ import annotations

from itertools import combinations
from typing import Any, Final

import numba as nb
import numpy as np

from scarce.dataset import Array, Floats

TRIPLES: Final = np.array(list(combinations(range(9), 3)), np.int64)
"""The 84 kernels of length 9: weight 2 at three places, -1 at the other six."""
GOLDEN: Final = (np.sqrt(5) - 1) / 2


def plan(length: int, features: int, most: int = 32) -> tuple[Array, Array]:
    """Return (S,) dilations, and (S,) how many levels each kernel gets at each of them.

    Args:
        length: points of a series.
        features: wanted in all; 84 a level.
        most: different dilations at most.
    """
    levels = max(1, features // len(TRIPLES))
    steps = min(levels, most)
    last = np.log2(max(1.0, (length - 1) / 8))
    dilations, counts = np.unique(np.logspace(0, last, steps, base=2).astype(np.int64), return_counts=True)
    counts = (counts * (levels / steps)).astype(np.int64)
    for at in range(levels - int(counts.sum())):
        counts[at % len(counts)] += 1
    return dilations, counts


def levels_of(curves: Floats, shape: tuple[Array, Array], channels: Array, *, seed: int) -> Floats:
    """Return (84 x sum of counts,) levels: quantiles of each kernel's answer to one training series.

    Args:
        curves: (N, C, L) training series.
        shape: dilations and counts, see :func:`plan`.
        channels: (S, 84, C) bool, which channels a kernel adds up.
        seed: of the series that are drawn.
    """
    rng = np.random.default_rng([seed, 0x726F636B])
    total = len(TRIPLES) * int(shape[1].sum())
    share = (np.arange(1, total + 1) * GOLDEN) % 1.0
    drawn = rng.integers(len(curves), size=(len(shape[0]), len(TRIPLES)))
    parts, at = [], 0
    for step, (dilation, count) in enumerate(zip(*(item.tolist() for item in shape), strict=True)):
        for kernel, triple in enumerate(TRIPLES):
            answer = answer_of(curves[drawn[step, kernel]], dilation, triple, channels[step, kernel])
            parts.append(np.quantile(answer, share[at : at + count]))
            at += count
    return np.concatenate(parts).astype(np.float32)


def transform(curves: Floats, shape: tuple[Array, Array], channels: Array, levels: Floats) -> Floats:
    """Return (N, 84 x sum of counts) float32 shares; see :func:`levels_of`."""
    out = np.empty((len(curves), len(levels)), np.float32)
    shares(np.ascontiguousarray(curves, np.float32), shape[0], shape[1], channels, levels, TRIPLES, out)
    return out


@nb.njit(nogil=True, cache=True)
def answer_of(curve: Any, dilation: int, triple: Any, used: Any) -> Any:
    """Return (L,) answers of one kernel to a (C, L) series, zeros beyond its ends."""
    channels, length = curve.shape
    out = np.zeros(length, np.float32)
    for channel in range(channels):
        if not used[channel]:
            continue
        for place in range(9):
            weight = np.float32(-1.0)
            if place in (triple[0], triple[1], triple[2]):
                weight = np.float32(2.0)
            shift = (place - 4) * dilation
            for t in range(max(0, -shift), min(length, length - shift)):
                out[t] += weight * curve[channel, t + shift]
    return out


@nb.njit(nogil=True, cache=True)
def shares(  # noqa: PLR0913, PLR0917  compiled: plain arrays only
    curves: Any, dilations: Any, counts: Any, channels: Any, levels: Any, triples: Any, out: Any
) -> None:
    """Fill (N, total) shares; every second kernel leaves out the ends, where its answer is made of zeros."""
    n, width, length = curves.shape
    base = np.empty((width, length), np.float32)
    threefold = np.empty((width, 9, length), np.float32)
    answer = np.empty(length, np.float32)
    for row in range(n):
        at = 0
        for step in range(len(dilations)):
            dilation = dilations[step]
            _shifted(curves[row], dilation, base, threefold)
            for kernel in range(len(triples)):
                a, b, c = triples[kernel]
                answer[:] = 0
                for channel in range(width):
                    if channels[step, kernel, channel]:
                        for t in range(length):
                            answer[t] += (
                                base[channel, t] + threefold[channel, a, t] + threefold[channel, b, t]
                                + threefold[channel, c, t]
                            )  # fmt: skip
                edge = 4 * dilation if (step + kernel) % 2 else 0
                if 2 * edge >= length:
                    edge = 0
                for _ in range(counts[step]):
                    above, level = 0, levels[at]
                    for t in range(edge, length - edge):
                        above += answer[t] > level
                    out[row, at] = above / (length - 2 * edge)
                    at += 1


@nb.njit(nogil=True, cache=True)
def _shifted(curve: Any, dilation: int, base: Any, threefold: Any) -> None:
    """Fill minus the sum of the nine shifted copies, and three times each of them."""
    width, length = curve.shape
    for channel in range(width):
        for t in range(length):
            total = np.float32(0.0)
            for place in range(9):
                from_ = t + (place - 4) * dilation
                value = curve[channel, from_] if 0 <= from_ < length else np.float32(0.0)
                total += value
                threefold[channel, place, t] = 3 * value
            base[channel, t] = -total
