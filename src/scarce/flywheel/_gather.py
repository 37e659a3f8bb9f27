"""Dynamic batches: one thread takes what waits, up to a number of samples, and gives it to the model at once."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Condition, Thread
from typing import Any

from scarce.flywheel._limits import RefusedError

IDLE_SECONDS = 2.0


@dataclass(eq=False, kw_only=True)
class Item:
    """One sample that waits for its answer.

    Attributes:
        request: its id.
        content: bytes of the file, or the text in UTF-8.
        sample: hash of the content.
        source: where it comes from, as the client says; empty = not told.
        weight: pixels; what a batch is limited by beside its number.
        since: when it came, by the clock of ``time.perf_counter``.
        future: its answer.
    """

    request: str
    content: bytes
    sample: str
    source: str = ""
    weight: int = 1
    since: float = field(default_factory=time.perf_counter)
    future: Future[dict[str, Any]] = field(default_factory=Future)

    def settle(self, answer: dict[str, Any] | BaseException) -> None:
        """Give the answer to whoever still waits for it."""
        if self.future.done():
            return
        if isinstance(answer, BaseException):
            self.future.set_exception(answer)
        else:
            self.future.set_result(answer)


class Gatherer:
    """A queue and the one thread that empties it.

    Args:
        answer: settles every item of a batch; called by the thread alone.
        batch: most items at once.
        weight: most weight at once; a heavier item goes alone.
        wait: seconds that the first item waits for others while requests are on their way.
        waiting: items that may wait.
        idle: called by the thread again and again while nothing waits.
    """

    def __init__(
        self, answer: Callable[[list[Item]], None], *, batch: int, weight: int, wait: float, waiting: int,
        idle: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self.coming = 0
        self._answer, self._batch, self._weight, self._wait, self._most = answer, batch, weight, wait, waiting
        self._idle = idle
        self._items: deque[Item] = deque()
        self._change = Condition()
        self._ended = False
        self._thread = Thread(target=self._run, name="serve", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self, seconds: float | None = None) -> None:
        """Answer what waits, then end; nothing more is taken."""
        with self._change:
            self._ended = True
            self._change.notify_all()
        if self._thread.is_alive():
            self._thread.join(seconds)

    @property
    def alive(self) -> bool:
        """Return whether somebody answers."""
        return self._thread.is_alive()

    @property
    def length(self) -> int:
        """Return how many items wait."""
        return len(self._items)

    def expect(self, change: int) -> None:
        """Say that a request is being read (1), or that it has been (-1)."""
        with self._change:
            self.coming += change
            if change < 0:
                self._change.notify_all()

    def put(self, items: Sequence[Item]) -> None:
        """Let items wait for their answer: all of them, or none.

        Raises:
            RefusedError: too many wait already, or the server is stopping.
        """
        with self._change:
            if self._ended:
                raise RefusedError(503, "the server is stopping", after=5)
            if len(self._items) + len(items) > self._most and (self._items or len(items) > self._most):
                raise RefusedError(503, f"{len(self._items):,} samples wait already; the most is {self._most:,} "
                                   "([serve] waiting)", after=1)  # fmt: skip
            self._items.extend(items)
            self._change.notify_all()

    def _run(self) -> None:
        while (batch := self._next()) != []:
            if batch is None:
                self._idle()
                continue
            try:
                self._answer(batch)
            except BaseException as error:  # noqa: BLE001 - the thread must live; whoever waits is told
                for item in batch:
                    item.settle(error)
            for item in batch:
                item.settle(RuntimeError("no answer was given"))

    def _next(self) -> list[Item] | None:
        """Return the next batch, an empty one when it is over; None = nothing came for a while.

        Items that nobody waits for any more are left out.
        """
        with self._change:
            while True:
                while not self._items and not self._ended:
                    if not self._change.wait(IDLE_SECONDS):
                        return None
                if not self._items:
                    return []
                until = self._items[0].since + self._wait
                while self.coming > 0 and len(self._items) < self._batch and not self._ended:
                    left = until - time.perf_counter()
                    if left <= 0 or not self._change.wait(left):
                        break
                if batch := self._taken():
                    return batch

    def _taken(self) -> list[Item]:
        batch: list[Item] = []
        weight = 0
        while self._items and len(batch) < self._batch:
            if batch and weight + self._items[0].weight > self._weight:
                break
            item = self._items.popleft()
            if item.future.set_running_or_notify_cancel():
                weight += item.weight
                batch.append(item)
        return batch
