"""Random numbers of many samples at once, equal to the bit to ``default_rng([seed, key, operation, copy]).random(n)``.

Building one NumPy generator per sample and operation costs about 15 microseconds, more than the whole augmentation of
a small picture. The same arithmetic (SeedSequence's mixing, PCG64's steps) over arrays costs well under one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint32]
Wide = npt.NDArray[np.uint64]
_POOL: Final = 4
_BLOCK: Final = 2048
_FEW: Final = 64
"""Up to so many, generators of NumPy itself are faster."""
_LOW: Final = np.uint64(0xFFFFFFFF)
_MULTIPLIER: Final = (np.uint64(0x2360ED051FC65DA4), np.uint64(0x4385DF649FCCF645))


def uniforms(
    seed: int, keys: npt.NDArray[np.uint64], operations: int, copy: int | npt.NDArray[Any], n: int
) -> npt.NDArray[np.float64]:
    """Return (operations, N, n) numbers in [0, 1) of N samples and the operations 0, 1, ... of a policy.

    Args:
        seed: the run's seed, >= 0.
        keys: (N,) uint64 random keys of the samples, see :func:`scarce.lineage.key64`.
        operations: how many operations the policy has.
        copy: number of the copy or epoch, one for all or (N,), under 2**32.
        n: how many numbers a sample needs; asking for fewer gives the first ones.
    """
    keys = np.asarray(keys, np.uint64)
    copies = np.broadcast_to(np.asarray(copy, np.uint32), len(keys))
    out = np.empty((operations, len(keys), n))
    few = operations * len(keys) <= _FEW
    if not few:
        _fill(out, seed, keys, copies)
    for row in range(len(keys)) if few else np.flatnonzero(keys <= _LOW):  # NumPy feeds a small key as one word
        for operation in range(operations):
            rng = np.random.default_rng([seed, int(keys[row]), operation, int(copies[row])])
            out[operation, row] = rng.random(n)
    return out


def _fill(out: npt.NDArray[np.float64], seed: int, keys: Wide, copies: Words) -> None:
    """Write the numbers of all samples at once, in blocks that fit the cache."""
    operations = len(out)
    low, high = (keys & _LOW).astype(np.uint32), (keys >> np.uint64(32)).astype(np.uint32)
    own = [np.tile(word, operations) for word in (low, high, copies)]
    index = np.repeat(np.arange(operations, dtype=np.uint32), len(keys))
    for first in range(0, len(index), _BLOCK):
        part = slice(first, first + _BLOCK)
        entropy = [*_words(seed), own[0][part], own[1][part], index[part], own[2][part]]
        out.reshape(-1, out.shape[2])[part] = _pcg64(_state(entropy, len(index[part])), out.shape[2])


def _words(value: int) -> list[int]:
    words = [value & 0xFFFFFFFF]
    while value := value >> 32:
        words.append(value & 0xFFFFFFFF)
    return words


class _Hash:
    """SeedSequence's running multiplicative hash."""

    def __init__(self, constant: int, multiplier: int) -> None:
        self.constant, self.multiplier = constant, multiplier

    def __call__(self, value: Any) -> Words:
        mixed = np.bitwise_xor(value, np.uint32(self.constant))
        self.constant = self.constant * self.multiplier & 0xFFFFFFFF
        mixed = mixed * np.uint32(self.constant)
        return np.asarray(mixed ^ (mixed >> np.uint32(16)), np.uint32)


def _mix(x: Words, y: Words) -> Words:
    result = np.uint32(0xCA01F9DD) * x - np.uint32(0x4973F715) * y
    return np.asarray(result ^ (result >> np.uint32(16)), np.uint32)


def _state(entropy: Sequence[Any], n: int) -> list[Wide]:
    words = [np.broadcast_to(np.asarray(word, np.uint32), n) for word in entropy]
    words += [np.zeros(n, np.uint32)] * (_POOL - len(words))
    hashed = _Hash(0x43B0D7E5, 0x931E8875)
    pool = [hashed(words[index]) for index in range(_POOL)]
    for source in range(_POOL):
        for target in range(_POOL):
            if source != target:
                pool[target] = _mix(pool[target], hashed(pool[source]))
    for word in words[_POOL:]:
        for target in range(_POOL):
            pool[target] = _mix(pool[target], hashed(word))
    drawn = _Hash(0x8B51F9DD, 0x58F38DED)
    halves = [drawn(pool[index % _POOL]).astype(np.uint64) for index in range(8)]
    return [halves[2 * index] | (halves[2 * index + 1] << np.uint64(32)) for index in range(4)]


def _high_product(a: Wide, b: np.uint64) -> Wide:
    """Return the upper 64 bits of a * b."""
    a0, a1 = a & _LOW, a >> np.uint64(32)
    b0, b1 = b & _LOW, b >> np.uint64(32)
    middle = a1 * b0 + (a0 * b0 >> np.uint64(32))
    carry = a0 * b1 + (middle & _LOW)
    return np.asarray(a1 * b1 + (middle >> np.uint64(32)) + (carry >> np.uint64(32)), np.uint64)


def _step(high: Wide, low: Wide, increment: tuple[Wide, Wide]) -> tuple[Wide, Wide]:
    top, bottom = _MULTIPLIER
    product = _high_product(low, bottom) + high * bottom + low * top
    new_low = low * bottom + increment[1]
    carry = np.asarray(new_low < increment[1], np.uint64)
    return product + increment[0] + carry, new_low


def _pcg64(state: list[Wide], n: int) -> npt.NDArray[np.float64]:
    one = np.uint64(1)
    increment = ((state[2] << one) | (state[3] >> np.uint64(63)), (state[3] << one) | one)
    low = increment[1] + state[1]  # the first step from state 0 gives the increment
    carry = np.asarray(low < increment[1], np.uint64)
    high, low = _step(increment[0] + state[0] + carry, low, increment)
    turn: Wide
    value: Wide
    out = np.empty((len(low), n))
    for column in range(n):
        high, low = _step(high, low, increment)
        turn, value = high >> np.uint64(58), high ^ low
        value = (value >> turn) | (value << ((np.uint64(64) - turn) & np.uint64(63)))
        out[:, column] = (value >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return out
