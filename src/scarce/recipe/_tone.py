"""Color changes of neighboring operations as one table or one matrix: every pixel is read and written once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from scarce.dataset import Array, Floats, Ints

Curve: TypeAlias = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Tone:
    """What one color operation does to the values 0..255 of n pictures; one of the three is given.

    Attributes:
        gain: (n, 1) or (n, 3) factors of the channels, with ``offset`` of the same shape.
        matrix: (n, 3, 4) from RGB and one to RGB.
        curve: maps (n, 256, C) float32 values to new ones.
    """

    gain: Floats | None = None
    offset: Floats | None = None
    matrix: Floats | None = None
    curve: Curve | None = None


def apply_tones(images: Array, rows: Ints, tones: Sequence[Tone]) -> None:
    """Change some rows of (N, H, W) or (N, H, W, 3) uint8 pictures in place by tones of as many rows, rounding once.

    Gains follow each other as one gain, matrices as one matrix, curves as one table; what lies between is not clipped.
    """
    import cv2

    for table, matrix in fused(tones, 3 if images.ndim == 4 else 1):
        for place, row in enumerate(rows.tolist()):
            if matrix is not None:
                images[row] = cv2.transform(images[row], matrix[place])
            elif table is not None:
                cv2.LUT(images[row], table[place], images[row])


def fused(tones: Sequence[Tone], channels: int) -> list[tuple[Array | None, Floats | None]]:
    """Return the passes that neighboring tones need: each a table (n, 256[, 1, 3]) uint8 or a matrix (n, 3, 4)."""
    passes: list[Any] = []
    for tone in tones:
        last = passes[-1] if passes else None
        if tone.matrix is not None and channels == 1:  # on gray, a matrix is the gain of equal channels
            gain = tone.matrix[:, :, :3].sum(axis=2).mean(axis=1)[:, None]
            tone = Tone(gain=gain, offset=tone.matrix[:, :, 3].mean(axis=1)[:, None])
        if tone.curve is not None:
            joins = last is not None and (isinstance(last, np.ndarray) or last.matrix is None)
            before = passes.pop() if joins else _levels()
            passes.append(tone.curve(_values(before) if isinstance(before, Tone) else before))
        elif isinstance(last, Tone):
            passes[-1] = _after(tone, last)
        elif last is not None and tone.gain is not None and tone.offset is not None:
            passes[-1] = _gained(last, tone.gain, tone.offset)
        else:
            passes.append(tone)
    return [_final(item) for item in passes]


def _levels() -> Floats:
    return np.arange(256, dtype=np.float32)[None, :, None]


def _gained(values: Floats, gain: Floats, offset: Floats) -> Floats:
    return values * gain.astype(np.float32)[:, None] + offset.astype(np.float32)[:, None]


def _values(tone: Tone) -> Floats:
    assert tone.gain is not None
    assert tone.offset is not None
    return _gained(_levels(), tone.gain, tone.offset)


def _after(tone: Tone, before: Tone) -> Tone:
    """Return two linear tones as one, summed in a fixed order so that batches agree to the bit."""
    if tone.gain is not None and before.gain is not None and tone.offset is not None and before.offset is not None:
        return Tone(gain=tone.gain * before.gain, offset=tone.gain * before.offset + tone.offset)
    a, b = _matrix(tone), _matrix(before)
    out = a[:, :, 0:1] * b[:, 0:1] + a[:, :, 1:2] * b[:, 1:2] + a[:, :, 2:3] * b[:, 2:3]
    out[:, :, 3] += a[:, :, 3]
    return Tone(matrix=out)


def _matrix(tone: Tone) -> Floats:
    if tone.matrix is not None:
        return tone.matrix
    assert tone.gain is not None
    assert tone.offset is not None
    out = np.zeros((len(tone.gain), 3, 4))
    for channel in range(3):
        of = min(channel, tone.gain.shape[1] - 1)
        out[:, channel, channel], out[:, channel, 3] = tone.gain[:, of], tone.offset[:, min(channel, of)]
    return out


def _final(item: Any) -> tuple[Array | None, Floats | None]:
    if isinstance(item, Tone) and item.matrix is not None:
        return None, item.matrix.astype(np.float32)
    values = np.clip(np.rint(_values(item) if isinstance(item, Tone) else item), 0, 255).astype(np.uint8)
    return (values[..., 0] if values.shape[2] == 1 else values[:, :, None, :]), None
