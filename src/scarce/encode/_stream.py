"""Batches of features from worker threads: each opens, shrinks and embeds its own, so memory grows with the batch."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from threading import Event
from typing import Any

import numpy as np

from scarce import modality
from scarce.dataset import Array, Dataset, Floats
from scarce.encode._base import AbstractEncoder
from scarce.errors import DataError, ScarceError
from scarce.execute.local import cores

_log = logging.getLogger("scarce.encode")
OPEN_AT_ONCE = 8
"""Samples that a worker holds decoded at full size, where their size is not known."""
PIXELS_AT_ONCE = 16_000_000
"""Pixels that a worker holds decoded at full size, where it is."""
Batch = tuple[list[int], Floats, dict[int, str]]
"""The places of a batch, the features of those that could be encoded, in order, and why the others could not."""


def batches(
    ds: Dataset, encoder: AbstractEncoder, rows: Array, places: Array, *, shape: tuple[int | None, int]
) -> Iterator[Batch]:
    """Yield encoded batches from worker threads, each of which opens and embeds its own.

    Args:
        ds: the dataset.
        encoder: the encoder.
        rows: row numbers.
        places: which of the rows, in the order in which they are opened.
        shape: workers (None = one a processor) and samples a batch.
    """
    workers = 1 if encoder.single else max(1, shape[0] or cores())
    size = max(1, min(shape[1], -(-len(places) // workers)))
    parts = [places[start : start + size] for start in range(0, len(places), size)]
    stop = Event()
    with ThreadPoolExecutor(workers, "encode", initializer=encoder.enter_worker) as pool:
        waiting: set[Future[Batch]] = set()
        try:
            for part in parts:
                if len(waiting) >= workers + 1:
                    ready, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in ready)
                waiting.add(pool.submit(copy_context().run, _batch, ds, encoder, rows, part, stop))
            while waiting:
                ready, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in ready)
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)


def _batch(ds: Dataset, encoder: AbstractEncoder, rows: Array, places: Array, stop: Event) -> Batch:
    samples: list[Array | str] = []
    reasons: dict[int, str] = {}
    together = at_once(ds)
    for start in range(0, len(places), together):
        if stop.is_set():
            return [], np.zeros((0, 0), np.float32), {}
        part = places[start : start + together]
        for place, sample in zip(part.tolist(), _opened_samples(ds, rows[part], encoder), strict=True):
            if isinstance(sample, ScarceError):
                reasons[place] = sample.what
            else:
                samples.append(sample)
    features = np.asarray(encoder.embed(samples), np.float32) if samples else np.zeros((0, 0), np.float32)
    if len(features) != len(samples):
        raise DataError(
            f"encode.{encoder.plugin_name()}", f"{len(features)} rows of features for {len(samples)} samples"
        )
    bad = ~np.isfinite(features).all(axis=1) if len(features) else np.zeros(0, bool)
    if bad.any():
        good = [place for place in places.tolist() if place not in reasons]
        reasons.update({good[at]: "its features are not finite" for at in np.flatnonzero(bad)})
        features = features[~bad]
    return places.tolist(), features, reasons


def _opened_samples(ds: Dataset, rows: Array, encoder: AbstractEncoder) -> list[Array | str | ScarceError]:
    """Open some rows; where one of them cannot be opened, each alone."""
    at_least = encoder.decode_pixels()
    try:
        return [encoder.reduce(sample) for sample in modality.open_samples(ds, rows, at_least=at_least)]
    except ScarceError as error:
        if len(rows) == 1:
            return [error]
    return [sample for row in rows for sample in _opened_samples(ds, np.array([row]), encoder)]


def failure(ds: Dataset, row: int, reason: str) -> dict[str, Any]:
    _log.warning("encode: %s has no features: %s", ds.table["uri"][row].as_py(), reason)
    return {"level": "sample", "members": [str(ds.ids[row])], "score": 1.0, "why": f"it could not be encoded: {reason}"}


def at_once(ds: Dataset) -> int:
    """Return how many samples a worker opens together: as many as stay small, since each opening costs a look-up."""
    if "scan.width" not in ds.wide or "scan.height" not in ds.wide or not len(ds):
        return OPEN_AT_ONCE
    area = float(np.max(ds["scan.width"].astype(np.float64) * ds["scan.height"].astype(np.float64)))
    return int(np.clip(PIXELS_AT_ONCE / max(area, 1.0), 1, 64))
