"""Draws progress on stderr: bars with an ETA on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PATIENCE_SECONDS: Final = 2.0
"""Nothing is drawn for what is done sooner."""
PAUSE_SECONDS: Final = 5.0
"""Least time between two plain lines."""


class Bar:
    """A listener for :func:`scarce.progress.listen`.

    A report with an unknown total begins a new step and ends all older bars; a total of 0 is a sentence.

    Args:
        stream: where to draw; stderr if None.
        quiet: draw nothing.
        live: draw bars; None = if the stream is a terminal.
    """

    def __init__(self, *, stream: TextIO | None = None, quiet: bool = False, live: bool | None = None) -> None:
        self.stream = stream or sys.stderr
        self.quiet = quiet
        self.live = self.stream.isatty() if live is None else live
        self._lock = threading.RLock()
        self._begun: dict[str, float] = {}
        self._tasks: dict[str, TaskID] = {}
        self._drawn: Progress | None = None
        self._spoken = 0.0

    def __call__(self, what: str, done: int, total: int | None) -> None:
        """Take one report."""
        if self.quiet:
            return
        with self._lock:
            if total == 0:
                self._say(what)
            elif self.live:
                self._draw(what, done, total)
            else:
                self._write(what, done, total)

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the bars off the terminal."""
        with self._lock:
            self.rest()
            self.quiet = True

    def rest(self) -> None:
        """Take the bars off the terminal until the next report, so that a person can be asked something."""
        with self._lock:
            if self._drawn is not None:
                self._drawn.stop()
                self._drawn = None
                self._tasks.clear()

    def _say(self, text: str) -> None:
        if self._drawn is not None:
            self._drawn.console.print(text, markup=False, highlight=False)
        else:
            print(text, file=self.stream, flush=True)

    def _draw(self, what: str, done: int, total: int | None) -> None:
        if self._drawn is None:
            self._drawn = late_progress(self.stream)
            self._drawn.start()
        if total is None and what not in self._tasks:
            for task in self._tasks.values():
                self._drawn.remove_task(task)
            self._tasks.clear()
        if what not in self._tasks:
            self._tasks[what] = self._drawn.add_task(what, total=total)
        self._drawn.update(self._tasks[what], completed=done, total=total)
        if total is not None and done >= total:
            self._drawn.remove_task(self._tasks.pop(what))

    def _write(self, what: str, done: int, total: int | None) -> None:
        now = time.monotonic()
        begun = self._begun.setdefault(what, now)
        if done == 0:
            self._begun[what] = begun = now
        elapsed = now - begun
        if done == total or elapsed < PATIENCE_SECONDS or now - self._spoken < PAUSE_SECONDS:
            return
        self._spoken = now
        print(plain_line(what, done, total, elapsed), file=self.stream, flush=True)


def plain_line(what: str, done: int, total: int | None, elapsed: float) -> str:
    """Return one line for a log file.

    Args:
        what: what is being done.
        done: how many of it.
        total: of how many, if known.
        elapsed: seconds since it began.
    """
    if not total:
        return f"{what}: {done:,} done, {clock(elapsed)}" if done else f"{what}: {clock(elapsed)}"
    left = f", about {clock(elapsed * (total - done) / done)} left" if 0 < done < total else ""
    return f"{what}: {done:,} of {total:,} ({done / total:.0%}), {clock(elapsed)}{left}"


def clock(seconds: float) -> str:
    """Return a duration for people: ``8 s``, ``3 min 20 s``, ``1 h 05 min``."""
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def late_progress(stream: TextIO) -> Progress:
    """Return Rich's progress on a stream; it shows only what has taken longer than :data:`PATIENCE_SECONDS`."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    class Late(Progress):
        def get_renderables(self) -> Any:
            slow = [task for task in self.tasks if (task.elapsed or 0.0) > PATIENCE_SECONDS and not task.finished]
            yield self.make_tasks_table(slow)

    return Late(
        SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(bar_width=30), MofNCompleteColumn(),
        TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(compact=True),
        console=Console(file=stream, force_terminal=True), transient=True, refresh_per_second=5,
    )  # fmt: skip
