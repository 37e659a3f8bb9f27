"""Whole batches: the pixels of N recipes at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from scarce.augment._group import Entry
from scarce.augment._uniform import uniforms
from scarce.dataset import Array
from scarce.errors import DataError
from scarce.lineage import key64
from scarce.recipe import Pending


def change_batch(
    images: Array, ids: Sequence[str] | Array, entries: Sequence[Entry], seed: int, epoch: int | Array
) -> Array:
    """Return N changed pictures; see :func:`scarce.augment.apply_batch`.

    Raises:
        DataError: the batch is no stack of uint8 pictures, one for each id.
    """
    if images.ndim == 4 and images.shape[3] == 1:
        return change_batch(images[..., 0], ids, entries, seed, epoch)[..., None]
    keys = keys_of(ids)
    fits = images.ndim == 3 or (images.ndim == 4 and images.shape[3] == 3)
    if images.dtype != np.uint8 or not fits or len(images) != len(keys):
        raise DataError("augment", f"a batch of type {images.dtype} and shape {images.shape} for {len(keys)} ids",
                        "it takes uint8 (N, H, W) or (N, H, W, 3)")  # fmt: skip
    out = images.copy()
    width = max((entry.uniforms + 1 for entry in entries), default=0)
    numbers = uniforms(seed, keys, len(entries), epoch, width)
    drawn = [
        one
        for entry, own in zip(entries, numbers, strict=True)
        for one in entry.draws(own[:, : entry.uniforms + 1])
        if one[2].any()
    ]
    waiting = Pending(len(out), *out.shape[1:3])
    for operation, params, applied in drawn:
        rows = np.flatnonzero(applied)
        if operation.geometric:
            waiting.move(operation, params, rows)
        elif operation.color:
            waiting.shade(operation, params, rows)
        else:
            waiting.finish(out, rows)
            operation.change(out, params, rows)
    waiting.finish(out, np.arange(len(out)))
    return out


def keys_of(ids: Sequence[str] | Array) -> npt.NDArray[np.uint64]:
    """Return (N,) random keys of sample ids; keys pass through."""
    if isinstance(ids, np.ndarray) and ids.dtype == np.uint64:
        return ids
    found: npt.NDArray[Any] = np.fromiter((key64(str(item)) for item in ids), np.uint64, count=len(ids))
    return found
