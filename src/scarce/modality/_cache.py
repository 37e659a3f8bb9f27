"""What earlier scans measured, kept on disk per file, size and time of change."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from scarce.dataset import Array
from scarce.lineage import digest

FORMAT = 1


class ScanCache:
    """Measurements of files, found again by (source, uri, size, time of change); one NPZ file per kind of data.

    Args:
        folder: where it lies; made when first written.
        name: kind of data and whatever else the measurements depend on (versions, settings).
        properties: property to dtype, as :class:`AbstractModality` states them.
    """

    def __init__(self, folder: str | Path, name: str, properties: Mapping[str, Any]) -> None:
        self.path = Path(folder) / f"scan-{digest(str(FORMAT), name)[:12]}.npz"
        self._names = ("content_hash", "reason", *properties)
        self._keys: Array = np.zeros(0, "S32")
        self._values: dict[str, Array] = {}
        try:
            with np.load(self.path, allow_pickle=False) as opened:
                held = {name: opened[name] for name in ("key", *self._names)}
        except (OSError, ValueError, KeyError, EOFError):
            return
        except Exception as error:
            if type(error).__name__ not in ("BadZipFile", "error"):
                raise
            return
        self._keys, self._values = held.pop("key"), held

    def __len__(self) -> int:
        """Return how many files are remembered."""
        return len(self._keys)

    def find(self, keys: Array) -> tuple[Array, Array]:
        """Return for (M,) keys whether each is known, and its place (0 where it is not)."""
        if not len(self._keys):
            return np.zeros(len(keys), bool), np.zeros(len(keys), np.int64)
        place = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return np.asarray((self._keys[place] == keys) & (keys != b"")), place

    def take(self, name: str, place: Array) -> Array:
        """Return one property at some places."""
        return np.asarray(self._values[name][place])

    def save(self, keys: Array, values: Mapping[str, Array]) -> None:
        """Write the measurements of (M,) keys together with the older ones, whole or not at all.

        Older entries are forgotten once they are twice as many as the present ones.
        """
        keys, first = np.unique(keys, return_index=True)
        new = {name: np.asarray(values[name])[first] for name in self._names}
        if len(self._keys):
            old = ~np.isin(self._keys, keys)
            if 0 < old.sum() <= 2 * len(keys):
                keys = np.concatenate([keys, self._keys[old]])
                new = {name: np.concatenate([new[name], self._values[name][old]]) for name in self._names}
                rank = np.argsort(keys, kind="stable")
                keys, new = keys[rank], {name: array[rank] for name, array in new.items()}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=self.path.stem, suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(file, allow_pickle=False, key=keys, **new)
            Path(name).replace(self.path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        self._keys, self._values = keys, new


def file_key(source: str, uri: str, path: Path) -> bytes:
    """Return the key of a file as it is now; empty where it cannot be looked at."""
    try:
        state = path.stat()
    except (OSError, ValueError):
        return b""
    return digest(source, uri, str(state.st_size), str(state.st_mtime_ns)).encode()
