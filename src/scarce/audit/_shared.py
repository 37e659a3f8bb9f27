"""One result for several checks of one run: out-of-fold probabilities of the same features, labels and groups.

The driver opens a :func:`run_memory`; inside of it equal questions are answered once. The key is the content of the
question, so that which check asks first changes nothing, and the memory ends with the run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from hashlib import blake2b

import numpy as np

from scarce.dataset import Array, Floats, Ints

_memory: ContextVar[dict[bytes, Floats] | None] = ContextVar("audit_run_memory", default=None)


@contextmanager
def run_memory() -> Iterator[None]:
    """Remember answers inside this block; a block inside another one shares its memory."""
    if _memory.get() is not None:
        yield
        return
    token = _memory.set({})
    try:
        yield
    finally:
        _memory.reset(token)


def out_of_fold(
    features: Floats, labels: Ints, classes: int, *, groups: Array | None = None, folds: int = 5, seed: int = 0
) -> Floats:
    """Return (N, K) :func:`scarce.probe.cross_val_probs`, asked once a run.

    Args:
        features: (N, D), finite.
        labels: (N,) codes in [0, K).
        classes: K.
        groups: (N,) names; None = every row stands alone.
        folds: of the cross-validation.
        seed: of the folds.
    """
    from scarce import probe

    memory = _memory.get()
    if memory is None:
        return probe.cross_val_probs(features, labels, classes, groups=groups, folds=folds, seed=seed)
    key = _key(features, labels, np.zeros(0) if groups is None else groups, (classes, folds, seed))
    if key not in memory:
        found = probe.cross_val_probs(features, labels, classes, groups=groups, folds=folds, seed=seed)
        found.flags.writeable = False
        memory[key] = found
    return memory[key]


def _key(features: Floats, labels: Ints, groups: Array, numbers: tuple[int, int, int]) -> bytes:
    names = groups.astype(str) if groups.dtype == object else groups
    arrays = [np.ascontiguousarray(values) for values in (features, labels, names)]
    total = blake2b(digest_size=16)
    for values in arrays:
        total.update(f"{values.dtype.str}{values.shape}".encode())
        total.update(values.view(np.uint8).data if values.size else b"")
    total.update(repr(numbers).encode())
    return total.digest()
