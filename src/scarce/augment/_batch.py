"""Whole batches: the pixels of N recipes at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from scarce.augment._base import AbstractOperation, plain_row
from scarce.augment._group import Entry
from scarce.augment._partner import Pool, generator, mix_labels
from scarce.augment._uniform import uniforms
from scarce.dataset import Array, Floats
from scarce.errors import DataError
from scarce.lineage import key64
from scarce.recipe import Pending, Scene


def change_batch(
    images: Array, ids: Sequence[str] | Array, entries: Sequence[Entry], seed: int, epoch: int | Array, *,
    mixer: Mixer | None = None,
) -> Array:  # fmt: skip
    """Return N changed pictures; see :func:`scarce.augment.apply_batch`.

    Raises:
        DataError: the batch is no stack of uint8 pictures, one for each id, or an operation takes partners and there
            is no mixer.
    """
    if images.ndim == 4 and images.shape[3] == 1:
        return change_batch(images[..., 0], ids, entries, seed, epoch, mixer=mixer)[..., None]
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
    partners = _Generators(keys, seed, epoch)
    for operation, params, applied in drawn:
        rows = np.flatnonzero(applied)
        if operation.partner:
            waiting.finish(out, rows)
            _mix(out, rows, (operation, params), _needed(mixer, operation), partners)
            continue
        if operation.geometric:
            waiting.move(operation, params, rows)
        elif operation.color:
            waiting.shade(operation, params, rows)
        else:
            waiting.finish(out, rows)
            operation.change(out, params, rows)
    waiting.finish(out, np.arange(len(out)))
    return out


@dataclass
class Mixer:
    """Mixes partners into the pictures of a batch, and their labels into its labels.

    Attributes:
        pool: who may be a partner.
        labels: (N, K) float32 labels of the batch, changed in place.
    """

    pool: Pool
    labels: Floats

    def mix(
        self, image: Array, row: int, operation: AbstractOperation, params: dict[str, Any], names: Sequence[str]
    ) -> Array:
        """Return one picture of the batch with its partners; without any it stays."""
        if not names or self.pool.scene is None:
            return image
        others = [self.pool.label(name, self.labels.shape[1]) for name in names]
        self.labels[row] = mix_labels(self.labels[row], operation.shares(params), others)
        params = {**params, **self.pool.told(operation, names)}
        return operation.combine(Scene(image), params, [self.pool.scene(name) for name in names]).image


class _Generators:
    """Where the partners of each row are drawn from, made when first asked for."""

    def __init__(self, keys: npt.NDArray[np.uint64], seed: int, epoch: int | Array) -> None:
        self.keys, self.seed = keys, seed
        self.copies = np.broadcast_to(np.asarray(epoch), len(keys))
        self.made: dict[int, np.random.Generator] = {}

    def of(self, row: int) -> tuple[int, np.random.Generator]:
        """Return the key of a row and its generator."""
        key = int(self.keys[row])
        if row not in self.made:
            self.made[row] = generator(key, self.seed, int(self.copies[row]))
        return key, self.made[row]


def _mix(
    out: Array, rows: Array, drawn: tuple[AbstractOperation, dict[str, Any]], mixer: Mixer, partners: _Generators
) -> None:
    for row in rows.tolist():
        names = mixer.pool.choose(drawn[0], *partners.of(row))
        out[row] = mixer.mix(out[row], row, drawn[0], plain_row(drawn[1], row), names)


def _needed(mixer: Mixer | None, operation: AbstractOperation) -> Mixer:
    if mixer is None:
        raise DataError(f"augment.{operation.plugin_name()}", "it mixes several samples and their labels",
                        "a batch alone has no partners", "use Policy.apply_mixed")  # fmt: skip
    return mixer


def keys_of(ids: Sequence[str] | Array) -> npt.NDArray[np.uint64]:
    """Return (N,) random keys of sample ids; keys pass through."""
    if isinstance(ids, np.ndarray) and ids.dtype == np.uint64:
        return ids
    found: npt.NDArray[Any] = np.fromiter((key64(str(item)) for item in ids), np.uint64, count=len(ids))
    return found
