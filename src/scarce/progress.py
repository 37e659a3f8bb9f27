"""Progress that a library may report and a command line may draw.

Library code calls :func:`track`; nothing is drawn unless somebody installed a listener (the command line does).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

Item = TypeVar("Item")
Listener = Callable[[str, int, int | None], None]
"""Called as ``listener(what, done, total)``; ``total`` is None if not known, 0 for a sentence (:func:`say`)."""

_listener: ContextVar[Listener | None] = ContextVar("scarce_progress", default=None)


@contextmanager
def listen(listener: Listener) -> Iterator[None]:
    """Send progress to a listener inside this block."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def report(what: str, done: int, total: int | None = None) -> None:
    """Tell the listener, if there is one, how far something is."""
    listener = _listener.get()
    if listener is not None and total != 0:  # 0 is kept for sentences, and there is nothing to wait for
        listener(what, done, total)


def track(items: Iterable[Item], what: str, *, total: int | None = None) -> Iterator[Item]:
    """Yield the items and report each one that is done."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    report(what, 0, total)
    for done, item in enumerate(items, start=1):
        yield item
        report(what, done, total)


def say(text: str) -> None:
    """Tell the listener one sentence, for example what a run will take."""
    listener = _listener.get()
    if listener is not None:
        listener(text, 0, 0)
