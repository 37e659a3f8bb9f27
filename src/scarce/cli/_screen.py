"""What a command prints and how it ends: one JSON object or text on stdout, all else on stderr, a fixed exit code."""

from __future__ import annotations

import dataclasses
import errno
import json
import logging
import math
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, TextIO

import typer

from scarce import progress
from scarce.cli._bar import Bar
from scarce.errors import ContractError, ScarceError

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.measure import Measurement
    from rich.table import Table
    from rich.text import Text

FINE: Final = 0
FAILED: Final = 1
MISUSE: Final = 2
FAULT: Final = 3
INTERRUPTED: Final = 130
RESUME: Final = "Interrupted. What was finished is whole; the same command picks up from there."
WIDTH_OF_FILES: Final = 120
SHORT: Final = 24
"""Columns of texts no longer than this never lose any of them."""


class Screen:
    """Where a command shows its result.

    Args:
        as_json: print one JSON object to stdout and nothing else.
        stdout: the stream for results.
        bar: what draws progress; None = nothing does.
    """

    def __init__(self, *, as_json: bool, stdout: TextIO, bar: Bar | None = None) -> None:
        self.as_json = as_json
        self.stdout = stdout
        self.bar = bar

    def rest(self) -> None:
        """Take progress off the terminal, before a person is asked something."""
        if self.bar is not None:
            self.bar.rest()

    def show(self, body: Mapping[str, Any], draw: Callable[[Console], None]) -> None:
        """Print the result: as JSON, or by letting ``draw`` print to a Rich console."""
        if self.as_json:
            self.stdout.write(json.dumps(plain(body), allow_nan=False) + "\n")
            self.stdout.flush()
        else:
            draw(console(self.stdout))

    def fail(self, code: int = FAILED) -> NoReturn:
        """End with the code of a failed contract or gate, or another one."""
        raise typer.Exit(code)

    def gate(self, *, errors: int, warnings: int, fail_on: str) -> None:
        """End with the code of a failed gate if there is something of the wanted severity.

        Args:
            errors: how many errors there are.
            warnings: how many warnings.
            fail_on: ``warning``, ``error`` or ``never``.
        """
        if {"warning": errors + warnings, "error": errors, "never": 0}[fail_on]:
            self.fail()


class Tail:
    """A cell of names whose beginnings are left out where there is no room: files differ at the end.

    Args:
        names: what is named.
        head: stands before them.
        more: stands behind them.
    """

    def __init__(self, names: Sequence[str], head: str = "", more: str = "") -> None:
        self.names, self.head, self.more = [safe(name) for name in names], head, more

    def __str__(self) -> str:
        """Return all of it."""
        return f"{self.head}{', '.join(self.names)}{self.more}"

    def fitted(self, width: int) -> str:
        """Return it in so many characters, if that many suffice for the ends of all names."""
        fixed = len(self.head) + len(self.more) + 2 * (len(self.names) - 1)
        room = max((width - fixed) // max(len(self.names), 1), 4)
        if len(str(self)) <= width:
            return str(self)
        return f"{self.head}{', '.join(_ending(name, room) for name in self.names)}{self.more}"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        """Yield the text that fits into the column."""
        from rich.text import Text

        del console
        yield Text(self.fitted(options.max_width), no_wrap=True, overflow="ellipsis")

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Return the least and the wanted width."""
        from rich.measure import Measurement

        del console, options
        return Measurement(min(8, len(str(self))), len(str(self)))


def _ending(name: str, room: int) -> str:
    return name if len(name) <= room else "\u2026" + name[-(room - 1) :]


@contextmanager
def screen(as_json: bool, quiet: bool = False, debug: bool = False) -> Iterator[Screen]:
    """Run a command: draw its progress, keep stdout clean, and turn every error into a message and an exit code."""
    stdout = sys.stdout
    with ExitStack() as stack:
        try:
            bar = stack.enter_context(Bar(quiet=quiet))
            stack.enter_context(progress.listen(bar))
            stack.enter_context(redirect_stdout(sys.stderr))
            if not debug:
                stack.enter_context(warnings.catch_warnings())
                warnings.simplefilter("ignore")
            logging.basicConfig(level=logging.INFO if debug else logging.ERROR, stream=sys.stderr)
            yield Screen(as_json=as_json, stdout=stdout, bar=bar)
        except typer.Exit:
            raise
        except BaseException as error:
            if type(error).__module__.startswith("typer") or isinstance(error, SystemExit | BrokenPipeError):
                raise
            stack.close()
            code, message = explain(error)
            if debug or code == FAULT:
                _trace(error, debug=debug)
            print(message, file=sys.stderr)
            if as_json:
                stdout.write(json.dumps(error_body(error, code)) + "\n")
                stdout.flush()
            raise typer.Exit(code) from None


def explain(error: BaseException) -> tuple[int, str]:
    """Return the exit code and the sentence for an error."""
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED, RESUME
    if isinstance(error, ScarceError):
        return FAILED if isinstance(error, ContractError) else MISUSE, safe(f"scarce: {error}")
    if isinstance(error, MemoryError):
        return MISUSE, "scarce: not enough memory. Use fewer --workers, or a smaller --size."
    if isinstance(error, OSError):
        return MISUSE, safe(f"scarce: {_system(error)}")
    kind = type(error).__name__
    return FAULT, safe(
        f"scarce: a fault in scarce itself ({kind}: {error}). The data is whole.\n"
        "Please report it with the command, `scarce doctor --json` and what the same command prints with --debug."
    )


def error_body(error: BaseException, code: int) -> dict[str, Any]:
    """Return the JSON object of a command that failed."""
    body: dict[str, Any] = {"kind": type(error).__name__, "message": explain(error)[1]}
    if isinstance(error, ScarceError):
        body |= {"who": error.who, "what": error.what, "there": error.there, "do": error.do}
    return {"error": body, "exit_code": code}


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it: numbers that are not finite become null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in (sorted(value) if isinstance(value, set | frozenset) else value)]
    if value is None or isinstance(value, bool | int | str):
        return value
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def safe(text: object) -> str:
    """Return text from users' files without control characters, which a terminal would obey."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "\ufffd", str(text))


def console(stream: TextIO) -> Console:
    """Return a console that takes text as it is; 120 columns where the stream is no terminal."""
    from rich.console import Console

    width = None if stream.isatty() else WIDTH_OF_FILES
    return Console(file=stream, width=width, markup=False, highlight=False, emoji=False, soft_wrap=False)


def table(
    names: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    title: str = "",
    right: Sequence[str] = (),
    elastic: Sequence[str] = (),
) -> Table:
    """Return a table for a console.

    Args:
        names: heads of the columns.
        rows: cells; text, numbers, or Rich's own texts.
        title: line above it.
        right: heads of the columns that are aligned to the right.
        elastic: heads of the columns that share the width that the others leave; longer text is cut with an ellipsis.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    out = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, expand=bool(elastic))
    rows = list(rows)
    for place, name in enumerate(names):
        longest = max((len(str(row[place])) for row in rows), default=0)
        if name in elastic and longest > SHORT:
            out.add_column(name, ratio=min(longest, 3 * SHORT), min_width=8, no_wrap=True, overflow="ellipsis")
        else:
            out.add_column(name, justify="right" if name in right else "left", overflow="fold")
    for row in rows:
        out.add_row(
            *(cell if isinstance(cell, Text | Tail) else Text(safe("" if cell is None else cell)) for cell in row)
        )  # fmt: skip
    return out


def size(count: float) -> str:
    """Return bytes for people: ``3.1 MB``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} bytes" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return ""


def relative(path: str | Path) -> str:
    """Return a path as a person would type it: relative to the working directory where it lies below it."""
    try:
        return str(Path(path).resolve().relative_to(Path.cwd().resolve()))
    except (ValueError, OSError):
        return str(path)


def _system(error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    hints = {
        errno.ENOSPC: "the disk is full. Free some space, or put the project elsewhere with --project",
        errno.EDQUOT: "the disk quota is used up. Free some space, or put the project elsewhere with --project",
        errno.EACCES: "permission denied. Check who owns the file or folder, or put the project elsewhere",
        errno.EPERM: "not permitted. Check who owns the file or folder, or put the project elsewhere",
        errno.EROFS: "this disk is read-only. Put the project elsewhere with --project",
        errno.ENOENT: "no such file or folder",
        errno.EMFILE: "too many open files. Raise the limit (ulimit -n), or use fewer --workers",
    }
    return hints.get(error.errno or 0, (error.strerror or str(error)).lower()) + where + "."


def _trace(error: BaseException, *, debug: bool) -> None:
    if debug and not isinstance(error, KeyboardInterrupt):
        traceback.print_exception(error, file=sys.stderr)


def end_where_all_failed(many: int, failed: int) -> None:
    """End with code 1 where nothing could be done: who looks at nothing else must not take it for success."""
    if many and failed == many:
        raise typer.Exit(1)
