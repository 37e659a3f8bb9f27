"""Features on disk: computed once per content and encoder, shared by processes, whole after a kill.

One folder an encoder fingerprint, in it immutable shards: NPZ files (keys and features, each with its checksum) that
appear by an atomic rename under a name of their own. So nothing is ever half written under its final name, two
processes that compute the same features do no harm, and a damaged shard is noticed, removed and computed again.
"""

from __future__ import annotations

import logging
import os
import time
import uuid
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from scarce._lock import FileLock
from scarce.dataset import Array

_log = logging.getLogger("scarce.encode")
GIB = 1024**3
MANY_SHARDS = 64
"""Shards of one encoder that are merged into one when there are more."""
ABANDONED_SECONDS = 3600
"""A temporary file this old belongs to a process that was killed."""


class FeatureCache:
    """Features by content key and encoder fingerprint.

    Args:
        folder: where they lie; made when first written.
        quota_bytes: beyond it the longest unused shards are deleted.
    """

    def __init__(self, folder: str | Path, *, quota_bytes: int = 10 * GIB) -> None:
        self.folder = Path(folder)
        self.quota_bytes = quota_bytes

    def get(self, fingerprint: str, keys: Sequence[str]) -> tuple[Array, Array]:
        """Return which of (M,) keys are known, a mask (M,), and their features (known, D) in the order of the mask.

        A shard that cannot be read is deleted and counts as unknown. Using a shard makes it the latest used.
        """
        wanted = np.array(keys, "S32")
        rows = np.full(len(wanted), -1, np.int64)
        order = np.argsort(wanted, kind="stable")
        parts: list[Array] = []
        count = 0
        for path in self._shards(fingerprint):
            if (rows >= 0).all():
                break
            loaded = self._load(path)
            if loaded is None or (parts and loaded[1].shape[1:] != parts[0].shape[1:]):
                continue
            held, features = loaded
            place = np.searchsorted(held, wanted[order])
            place = np.minimum(place, len(held) - 1)
            hit = order[(held[place] == wanted[order]) & (rows[order] < 0)]
            if len(hit):
                parts.append(features[np.searchsorted(held, wanted[hit])])
                rows[hit] = count + np.arange(len(hit))
                count += len(hit)
                with suppress(OSError):
                    os.utime(path)
        known = rows >= 0
        found = np.concatenate(parts)[rows[known]] if parts else np.zeros((0, 0), np.float32)
        return known, found

    def put(self, fingerprint: str, keys: Sequence[str], features: Array) -> None:
        """Write the (M, D) features of (M,) keys, whole or not at all, then keep to the quota."""
        if not len(keys):
            return
        self._write(fingerprint, np.array(keys, "S32"), features)
        if len(self._shards(fingerprint)) > MANY_SHARDS:
            self._merge(fingerprint)
        self.prune()

    def size_bytes(self) -> int:
        """Return how much disk all shards take."""
        return sum(size for _, size, _ in self._all())

    def prune(self, quota_bytes: int | None = None) -> int:
        """Delete the longest unused shards beyond the quota and what killed processes left; return the bytes freed."""
        quota = self.quota_bytes if quota_bytes is None else quota_bytes
        shards = sorted(self._all())
        total, freed = sum(size for _, size, _ in shards), 0
        for _, size, path in shards:
            if total - freed <= quota:
                break
            with suppress(OSError):
                path.unlink()
                freed += size
        if freed:
            _log.info("feature cache %s: %.1f MB of the longest unused features removed", self.folder, freed / 1e6)
        return freed

    def _all(self) -> Iterator[tuple[float, int, Path]]:
        for path in self.folder.glob("*/*"):
            with suppress(OSError):
                state = path.stat()
                if path.suffix == ".npz":
                    yield state.st_mtime, state.st_size, path
                elif path.suffix == ".tmp" and time.time() - state.st_mtime > ABANDONED_SECONDS:
                    path.unlink()

    def _shards(self, fingerprint: str) -> list[Path]:
        return sorted((self.folder / fingerprint).glob("*.npz"))

    def _write(self, fingerprint: str, keys: Array, features: Array) -> Path:
        keys, first = np.unique(keys, return_index=True)
        place = self.folder / fingerprint
        place.mkdir(parents=True, exist_ok=True)
        name = f"{time.time_ns():020d}-{uuid.uuid4().hex[:12]}"
        half, whole = place / f"{name}.tmp", place / f"{name}.npz"
        try:
            with half.open("wb") as file:
                np.savez(file, allow_pickle=False, keys=keys, features=np.asarray(features)[first])
                file.flush()
                os.fsync(file.fileno())
            half.replace(whole)
        except BaseException:
            half.unlink(missing_ok=True)
            raise
        return whole

    def _load(self, path: Path) -> tuple[Array, Array] | None:
        try:
            with np.load(path, allow_pickle=False) as opened:
                keys, features = opened["keys"], opened["features"]
            if keys.ndim == 1 and features.ndim == 2 and len(keys) == len(features) > 0:
                return keys, features
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, NotImplementedError):
            pass
        _log.warning("feature cache: %s is damaged; it is removed and computed again", path.name)
        with suppress(OSError):
            path.unlink()
        return None

    def _merge(self, fingerprint: str) -> None:
        """Replace many shards by one; left alone if another process is at it."""
        lock = FileLock(self.folder / fingerprint / "merge.lock")
        if not lock.take(wait=False):
            return
        try:
            read = [(path, self._load(path)) for path in self._shards(fingerprint)]
            good = [(path, loaded) for path, loaded in read if loaded is not None]
            width = good[-1][1][1].shape[1] if good else 0
            good = [(path, loaded) for path, loaded in good if loaded[1].shape[1] == width]
            if len(good) > 1:
                parts = [loaded for _, loaded in good]
                self._write(fingerprint, *(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
                for path, _ in good:
                    path.unlink(missing_ok=True)
        finally:
            lock.release()
