"""Label Studio's brush masks: a picture's RGBA bytes in packed runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from scarce.dataset import Array

_SIZES: Final = (3, 4, 8, 16)
_WORD: Final = 8


def decode_brush(packed: Sequence[int], width: int, height: int) -> Array:
    """Return the (H, W) bool mask of a brush stroke; a pixel counts where its alpha is not 0.

    Raises:
        ValueError: the bytes do not describe a picture of that size.
    """
    bits = np.unpackbits(np.array(packed, np.uint8)).tobytes()
    place = 0

    def read(count: int) -> int:
        nonlocal place
        value = 0
        if place + count > len(bits):
            raise ValueError("the brush mask ends too early")
        for bit in bits[place : place + count]:
            value = value << 1 | bit
        place += count
        return value

    total, word = read(32), read(5) + 1
    if total != width * height * 4:
        raise ValueError(f"the brush mask has {total} bytes, the picture {width} x {height} pixels")
    sizes = [read(4) + 1 for _ in range(4)]
    out = np.zeros(total, np.uint8)
    at = 0
    while at < total:
        same = read(1)
        end = at + 1 + read(sizes[read(2)])
        if end > total:
            raise ValueError("the brush mask is longer than its picture")
        if same:
            out[at:end] = read(word)
        else:
            out[at:end] = [read(word) for _ in range(at, end)]
        at = end
    return np.asarray(out.reshape(height, width, 4)[..., 3] > 0)


def encode_brush(mask: Array) -> list[int]:
    """Return a mask (H, W) as Label Studio packs it."""
    flat = np.asarray(mask, bool).ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    starts = np.concatenate([[0], edges])
    lengths = np.diff(np.concatenate([starts, [len(flat)]])) * 4
    parts = [f"{len(flat) * 4:032b}{_WORD - 1:05b}", *(f"{size - 1:04b}" for size in _SIZES)]
    for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
        value = "11111111" if flat[start] else "00000000"
        while length > 0:
            part = min(length, 1 << _SIZES[-1])
            which = next(i for i, size in enumerate(_SIZES) if part <= 1 << size)
            parts.append(f"1{which:02b}{part - 1:0{_SIZES[which]}b}{value}")
            length -= part
    text = "".join(parts)
    text += "0" * (-len(text) % 8)
    return list(int(text, 2).to_bytes(len(text) // 8, "big"))
