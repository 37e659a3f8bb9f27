"""Entropy, margin and confidence of many rows of probabilities in one pass, compiled."""

from __future__ import annotations

import math
from typing import Any, Final

import numba as nb
import numpy as np

from scarce.dataset import Array, Floats
from scarce.errors import DataError
from scarce.execute.local import spread

BLOCK: Final = 1 << 14
FAULTS: Final = ("", "is below 0", "does not sum to 1")
SLACK: Final = 0.02
"""How far from 1 a row of probabilities may sum: half floats and rounded tables pass, logits and counts do not."""
_FAST: Final = {"reassoc", "contract", "arcp", "nsz"}


@nb.njit(nogil=True, cache=True, fastmath=_FAST, error_model="numpy")
def _measure(probs: Any, bits: Any, want: Any, out: Any) -> int:
    """Write entropy in nats, margin between the two largest, and the largest of each row.

    Args:
        probs: (N, K) float32.
        bits: the same memory as int32: the order of floats >= 0, and their exponent and mantissa for the logarithm.
        want: whether entropy is wanted (the other two cost nothing beside it).
        out: (3, N) float32.

    Returns:
        0, or 10 * row + 1 (a negative probability) or + 2 (a sum far from 1) of the first bad row.
    """
    n, k = probs.shape
    single = np.empty(1, np.int32)
    largest = single.view(np.float32)
    scale = np.float32(1.1920928955078125e-07)
    for row in range(n):
        top, low, mass = np.int32(-1), np.int32(0x7FFFFFFF), np.float32(0)
        for place in range(k):
            bit = bits[row, place]
            top = max(top, bit)
            low = min(low, bit)
            mass += probs[row, place]
        if math.isnan(mass):
            out[0, row] = out[1, row] = out[2, row] = np.nan
            continue
        if low < 0 and probs[row].min() < -1e-6:
            return 10 * row + 1
        if not abs(mass - 1) <= 0.02:
            return 10 * row + 2
        runner, tied = np.int32(0), np.int32(0)
        for place in range(k):
            bit = bits[row, place]
            lower = bit if bit < top else np.int32(0)
            runner = max(runner, lower)
            tied += np.int32(bit == top)
        info = np.float32(0)
        if want:
            for place in range(k):
                bit = bits[row, place]
                f = np.float32(bit & 0x7FFFFF) * scale
                log = np.float32(-0.01237062402) * f + np.float32(0.06378752546)
                log = log * f + np.float32(-0.1555998622)
                log = log * f + np.float32(0.2561796237)
                log = log * f + np.float32(-0.3534546503)
                log = log * f + np.float32(0.4800737422)
                log = log * f + np.float32(-0.7213107222)
                log = log * f + np.float32(1.442694767)
                info += max(probs[row, place], np.float32(0)) * (np.float32((bit >> 23) - 127) + log * f)
        single[0] = top
        out[2, row] = largest[0]
        single[0] = top if tied > 1 else runner
        out[1, row] = out[2, row] - largest[0] if k > 1 else np.float32(1)
        out[0, row] = max(np.float32(0), -info * np.float32(0.6931471805599453))
    return 0


def uncertainty(pred_probs: Array, *, entropy: bool = True) -> tuple[Floats, Floats, Floats]:
    """Return (N,) entropy in nats, margin (largest minus second largest), and largest probability of each row.

    A row that holds NaN gets NaN. The logarithm is a polynomial, right to 1e-6.

    Args:
        pred_probs: (N, K) probabilities that sum to 1.
        entropy: whether entropy is wanted; it is 0 otherwise, and the rest takes half the time.

    Raises:
        DataError: another shape, or rows that are no probabilities.
    """
    probs = checked_probs(pred_probs)
    out = np.empty((3, len(probs)), np.float32)

    def part(start: int) -> int:
        block = np.ascontiguousarray(probs[start : start + BLOCK], np.float32)
        fault: int = _measure(block, block.view(np.int32), entropy, out[:, start : start + BLOCK])
        return fault and fault + 10 * start

    bad = [fault for fault in spread(part, range(0, len(probs), BLOCK)) if fault]
    if bad:
        row, kind = divmod(bad[0], 10)
        raise DataError(
            "label.query", f"row {row} of pred_probs {FAULTS[kind]}",
            f"it is {np.array2string(np.asarray(probs[row][:6]), precision=3)}{' ...' if probs.shape[1] > 6 else ''}",
            "pass probabilities, not logits: each row >= 0 and summing to 1",
        )  # fmt: skip
    return out[0], out[1], out[2]


def checked_probs(pred_probs: Array) -> Array:
    """Return probabilities as an (N, K) array.

    Raises:
        DataError: they are no matrix of numbers.
    """
    try:
        probs = np.asarray(pred_probs)
    except ValueError:
        probs = np.array(None)
    if probs.dtype.kind not in "fiub" or probs.ndim != 2 or not probs.shape[1]:
        raise DataError(
            "label.query", f"pred_probs are {probs.dtype} of shape {probs.shape}", "wanted is (N, K)",
            "pass one row a sample and one column a class",
        )  # fmt: skip
    return probs
