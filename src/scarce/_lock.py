"""A lock on a project that several processes share; the operating system releases it when its owner dies."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scarce.errors import StoreError

_FIRST_WAIT, _LONGEST_WAIT = 0.002, 0.05


class FileLock:
    """Hold a lock file exclusively; the same thread may enter again.

    The file itself stays behind on purpose: only the operating system's lock on it counts, so a process that was killed
    leaves nothing that blocks.

    Args:
        path: the lock file; made when it is missing.
        patience_seconds: how long :meth:`held` waits before it gives up.
    """

    def __init__(self, path: Path, *, patience_seconds: float = 120.0) -> None:
        self.path = path
        self.patience_seconds = patience_seconds
        self._threads = threading.RLock()
        self._depth = 0
        self._file: int | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Wait for the lock and hold it inside this block.

        Raises:
            StoreError: somebody else held it for longer than ``patience_seconds``.
        """
        if not self.take(wait=True):
            raise StoreError(
                "store", f"another process has held {self.path} for {self.patience_seconds:.0f} seconds",
                do="wait until it is done, or end it",
            )  # fmt: skip
        try:
            yield
        finally:
            self.release()

    def take(self, *, wait: bool) -> bool:
        """Take the lock; return whether it is held now. Pair with :meth:`release`."""
        until = time.monotonic() + (self.patience_seconds if wait else 0.0)
        if not self._threads.acquire(timeout=self.patience_seconds if wait else 0):
            return False
        try:
            if self._depth == 0 and not self._take_file(until):
                self._threads.release()
                return False
        except BaseException:
            self._threads.release()
            raise
        self._depth += 1
        return True

    def release(self) -> None:
        """Give back one :meth:`take`."""
        self._depth -= 1
        if self._depth == 0 and self._file is not None:
            _unlock(self._file)
            os.close(self._file)
            self._file = None
        self._threads.release()

    def _take_file(self, until: float) -> bool:
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
        pause = _FIRST_WAIT
        try:
            while not _try_lock(file):
                if time.monotonic() >= until:
                    os.close(file)
                    return False
                time.sleep(pause)
                pause = min(pause * 1.5, _LONGEST_WAIT)
        except BaseException:
            os.close(file)
            raise
        self._file = file
        return True


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: int) -> bool:
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(file: int) -> None:
        msvcrt.locking(file, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(file: int) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)
