"""Hashes that stay close when pictures look alike; pure array functions."""

from __future__ import annotations

import zlib

import numpy as np

from scarce.dataset import Array

_PLACES = (np.uint64(1) << np.arange(63, -1, -1, dtype=np.uint64)).astype(np.uint64)


def pack_bits(bits: Array) -> Array:
    """Return (N,) uint64 of (N, 64) booleans; the first bit is the highest."""
    return np.asarray((bits.reshape(len(bits), 64).astype(np.uint64) * _PLACES).sum(axis=1, dtype=np.uint64))


def dhash(small: Array) -> Array:
    """Return (N,) uint64 gradient hashes of (N, 8, 9) gray pictures: is a pixel brighter than its left neighbor.

    Source: Krawetz 2013, "Kind of like that"; bit order as in the package imagehash.
    """
    return pack_bits(small[:, :, 1:] > small[:, :, :-1])


def phash(low: Array) -> Array:
    """Return (N,) uint64 hashes of (N, 8, 8) low frequencies: is a coefficient above the median of the AC ones.

    Args:
        low: top left corner of the orthonormal DCT-II of a 32 x 32 gray picture.
    """
    flat = low.reshape(len(low), 64)
    return pack_bits(flat > np.median(flat[:, 1:], axis=1, keepdims=True))


def pixel_hash(pixels: Array, small: Array) -> int:
    """Return 64 bits that are equal for equal pixels: CRC-32 of shape and pixels, Adler-32 of the picture made small.

    Fast rather than cryptographic; a chance collision among a million different pictures is about 1 in 10 million.
    """
    start = zlib.crc32(np.asarray(pixels.shape, "<i8").tobytes())
    high = zlib.crc32(np.ascontiguousarray(pixels).data, start)
    return high << 32 | zlib.adler32(np.ascontiguousarray(small).data)


def hamming(left: Array, right: Array) -> Array:
    """Return the number of different bits of uint64 hashes, elementwise."""
    return np.asarray(np.bitwise_count(np.bitwise_xor(left, right)), np.uint8)
