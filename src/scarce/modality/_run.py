"""Opening samples, and the one pass over all bytes."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pyarrow as pa

from scarce import progress, registry
from scarce.dataset import Array, Dataset
from scarce.errors import DataError, ReadError
from scarce.execute.local import cores
from scarce.lineage import Step
from scarce.modality import raw as raw_content
from scarce.modality._base import AbstractModality, BrokenSampleError, Raw, content_hash
from scarce.modality._cache import ScanCache, file_key

BLOCK = 32
"""Samples that one thread measures before it looks up."""
SCAN_VERSION = 2
"""Raised whenever a measurement changes its meaning, so that remembered ones are not used."""


def of(ds: Dataset | str) -> AbstractModality:
    """Return the kind of data of a dataset, or the one with a name.

    Raises:
        UnknownNameError: there is no such kind.
    """
    name = ds if isinstance(ds, str) else ds.schema.modality
    return registry.load("modality", name, AbstractModality)()  # type: ignore[type-abstract]


def open_samples(ds: Dataset, rows: Sequence[int] | Array, *, at_least: int = 0) -> list[Array | str]:
    """Return some rows decoded, in the order asked for.

    Pictures come as uint8 RGB (H, W, 3) or gray (H, W), texts as str, feature rows as (F,) float32, sounds as (T,)
    float32 mono at 16 kHz (:data:`scarce.modality.audio.RATE`), series as (T,) or (C, T) float32. A row with a recipe
    is rendered from its parents.

    Args:
        ds: the dataset; parents of grown rows must be in it.
        rows: row numbers.
        at_least: pictures only: they may come smaller as long as the shorter side keeps this many pixels.

    Raises:
        ReadError: a sample cannot be opened; the message names its file and the reason.
    """
    kind = of(ds)
    rows = np.asarray(rows, np.int64)
    places = raw_content.addresses(ds, rows)
    recipes = ds.table["recipe"].take(pa.array(rows)).to_pylist()
    parent = _parents(ds) if any(recipes) else None
    found: dict[int, Array | str] = {}
    for index in raw_content.as_on_disk(places):
        place, recipe = places[index], recipes[index]
        try:
            if recipe and parent is not None:
                found[index] = _render(recipe, parent)
            else:
                raw = raw_content.content(place, ds.schema.modality)
                found[index] = kind.decode_small(raw, at_least) if at_least else kind.decode(raw)
        except BrokenSampleError as error:
            what = f"{place.path} cannot be opened ({error})"
            raise ReadError("modality", what, do="scan the dataset first: it sets such samples aside") from error
    return [found[index] for index in range(len(places))]


def thumbnails(ds: Dataset, rows: Sequence[int] | Array, *, size: int = 96) -> list[Array]:
    """Return a small uint8 picture of each row, for people: (size, size) or (size, size, 3)."""
    kind = of(ds)
    return [kind.thumbnail(sample, size) for sample in open_samples(ds, rows, at_least=size)]


def scan(ds: Dataset, *, workers: int | None = None, cache: str | Path | None = None) -> Dataset:
    """Pass once over all bytes: hash, check and measure every sample with one decode.

    Fills ``content_hash`` (of what was read; grown rows keep theirs), adds the arrays ``scan.<property>`` that the
    kind of data states, and sets samples aside that are missing, empty, truncated, huge or broken (``drop_reason``
    begins with that word). Properties of a sample that cannot be measured are NaN, 0 or False.

    Args:
        ds: the dataset.
        workers: threads; by default one for each processor.
        cache: folder where measurements are remembered by file, size and time of change; None = measure all.
    """
    kind = of(ds)
    job = _Scan(ds, kind)
    memory = ScanCache(cache, _cache_name(kind), kind.properties) if cache is not None else None
    todo = np.arange(len(ds)) if memory is None else job.recall(memory)
    try:
        with _one_thread_each(ds.schema.modality):
            _spread(job, job.order(todo), workers or cores())
    finally:
        if memory is not None and len(todo):
            job.remember(memory)
    return job.result()


class _Scan:
    """The state of one pass: arrays of N rows that threads fill at disjoint places."""

    def __init__(self, ds: Dataset, kind: AbstractModality) -> None:
        self.ds, self.kind, self.started = ds, kind, time.perf_counter()
        rows = np.arange(len(ds))
        self.places = raw_content.addresses(ds, rows)
        self.recipes: list[str | None] = ds.table["recipe"].to_pylist()
        self.parent = _parents(ds) if any(self.recipes) else None
        self.values = {name: _blank(np.dtype(kind), len(ds)) for name, kind in kind.properties.items()}
        self.hashes: Array = np.zeros(len(ds), "S32")
        self.reasons: list[str] = [""] * len(ds)
        self.keys: Array = np.zeros(len(ds), "S32")
        self.done: Array = np.zeros(len(ds), bool)
        self.stop = Event()

    def order(self, rows: Array) -> Array:
        """Return the rows as they lie on disk."""
        return np.asarray(rows[raw_content.as_on_disk([self.places[row] for row in rows.tolist()])], np.int64)

    def run(self, rows: Array) -> int:
        """Measure a block."""
        kept: list[int] = []
        block: list[dict[str, Any]] = []
        for row in rows.tolist():
            if self.stop.is_set():
                return 0
            try:
                raw = self._raw(row)
                if self.recipes[row] is None:
                    self.hashes[row] = content_hash(raw).encode()
                block.append(self.kind.measure(raw))
                kept.append(row)
            except BrokenSampleError as error:
                self.reasons[row] = str(error)
        if kept:
            stacked = {name: np.stack([np.asarray(one[name]) for one in block]) for name in block[0]}
            for name, array in self.kind.finish(stacked).items():
                self.values[name][kept] = array
        self.done[rows] = True
        return len(rows)

    def _raw(self, row: int) -> Raw:
        recipe = self.recipes[row]
        if recipe is not None and self.parent is not None:
            return _render(recipe, self.parent)
        return raw_content.content(self.places[row], self.ds.schema.modality)

    def recall(self, memory: ScanCache) -> Array:
        """Fill in what is remembered and return the rows that must still be measured."""
        sources, uris = (self.ds.table[name].to_pylist() for name in ("source", "uri"))
        for row, place in enumerate(self.places):
            if place.row is None and self.recipes[row] is None:
                self.keys[row] = file_key(sources[row] or "", uris[row] or "", place.path)
        known, found = memory.find(self.keys)
        if known.any():
            at = found[known]
            self.hashes[known] = memory.take("content_hash", at)
            for own, reason in zip(np.flatnonzero(known).tolist(), memory.take("reason", at).tolist(), strict=True):
                self.reasons[own] = reason
            for name, array in self.values.items():
                array[known] = memory.take(name, at)
            self.done |= known
        return np.flatnonzero(~known)

    def remember(self, memory: ScanCache) -> None:
        """Write what was measured, as far as it came."""
        own = self.done & (self.keys != b"")
        values = {name: array[own] for name, array in self.values.items()}
        reasons = np.array(self.reasons, np.str_)[own]
        memory.save(self.keys[own], {"content_hash": self.hashes[own], "reason": reasons, **values})

    def result(self) -> Dataset:
        """Return the dataset with everything filled in."""
        table = self.ds.table
        before = table["content_hash"].to_pylist()
        hashes = [new.decode() or old for new, old in zip(self.hashes.tolist(), before, strict=True)]
        keep, why = table["keep"].to_pylist(), table["drop_reason"].to_pylist()
        for row, reason in enumerate(self.reasons):
            if reason and keep[row]:
                keep[row], why[row] = False, reason
        columns: dict[str, Any] = {"content_hash": hashes, "keep": keep, "drop_reason": why}
        columns.update({f"scan.{name}": array for name, array in self.values.items()})
        step = Step(stage="modality", name="scan", params={"kind": self.kind.plugin_name(), "version": SCAN_VERSION})
        seconds = time.perf_counter() - self.started
        return self.ds.with_columns(columns).with_step(step.stamped(seconds=seconds))


def _spread(job: _Scan, rows: Array, workers: int) -> None:
    """Measure blocks of rows in threads, a few ahead at a time; stop them all when interrupted."""
    blocks = [rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK)]
    count = 0
    progress.report("scan", 0, len(rows))
    with ThreadPoolExecutor(max_workers=max(1, workers), thread_name_prefix="scan") as pool:
        waiting: set[Future[int]] = set()
        try:
            for block in blocks:
                if len(waiting) >= 2 * workers:
                    ready, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    count += sum(future.result() for future in ready)
                    progress.report("scan", count, len(rows))
                waiting.add(pool.submit(job.run, block))
            for future in waiting:
                count += future.result()
        except BaseException:
            job.stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    progress.report("scan", count, len(rows))


@contextmanager
def _one_thread_each(modality: str) -> Iterator[None]:
    """Keep OpenCV from starting threads of its own inside ours, and from writing its warnings to the terminal."""
    if modality != "image":
        yield
        return
    import cv2

    threads, level = cv2.getNumThreads(), cv2.utils.logging.getLogLevel()
    cv2.setNumThreads(1)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
        cv2.utils.logging.setLogLevel(level)


def _parents(ds: Dataset) -> Callable[[str], Array | str]:
    """Return the function that opens a sample by id, grown ones included."""
    row_of = {str(sample_id): row for row, sample_id in enumerate(ds.ids)}

    def open_parent(sample_id: str) -> Array | str:
        if sample_id not in row_of:
            what = f"parent {sample_id} of a grown sample is not in this dataset"
            raise DataError("modality", what, do="open it from the whole dataset")
        return open_samples(ds, [row_of[sample_id]])[0]

    return open_parent


def _render(recipe: str, open_parent: Callable[[str], Array | str]) -> Array | str:
    """Rebuild a grown sample. The recipe module lies above this one, so it is looked up when first needed."""
    module = importlib.import_module("scarce.recipe")
    found: Array | str = module.render(recipe, open_parent)
    return found


def _blank(kind: np.dtype[Any], n: int) -> Array:
    base, shape = kind.subdtype or (kind, ())
    return np.full((n, *shape), np.nan if base.kind == "f" else 0, base)


def _cache_name(kind: AbstractModality) -> str:
    parts: Mapping[str, Any] = {"modality": kind.plugin_name(), "version": SCAN_VERSION, **kind.params()}
    if kind.plugin_name() == "image":
        import cv2

        parts = {**parts, "opencv": cv2.__version__}
    return repr(sorted(parts.items()))
