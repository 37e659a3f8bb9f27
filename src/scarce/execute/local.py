"""Threads of one process, each with single-threaded linear algebra, so that they do not slow each other."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def calm_threads() -> None:
    """Let idle OpenMP threads sleep instead of spin; works only before a library that uses OpenMP is loaded.

    On two cores shared with one other process an epoch took 8 s so, and 16 s with the default (torch 2.15).
    """
    for name, value in (("OMP_WAIT_POLICY", "PASSIVE"), ("GOMP_SPINCOUNT", "0"), ("KMP_BLOCKTIME", "0")):
        os.environ.setdefault(name, value)


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


@contextmanager
def single_threaded_algebra() -> Iterator[None]:
    """Hold the BLAS pools at one thread inside this block; torch keeps its own threads."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):
        yield


def spread(work: Callable[[Item], Result], items: Sequence[Item], *, workers: int | None = None) -> list[Result]:
    """Return ``[work(item) for item in items]``, computed by several threads, in order.

    The first error stops what has not begun and is raised.
    """
    workers = min(workers or cores(), max(1, len(items)))
    with single_threaded_algebra():
        if workers == 1:
            return [work(item) for item in items]
        with ThreadPoolExecutor(workers) as pool:
            jobs: list[Any] = [pool.submit(copy_context().run, work, item) for item in items]
            try:
                return [job.result() for job in jobs]
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
