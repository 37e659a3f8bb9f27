"""The command line: one file per command, no logic in them. ``scarce.cli:main`` is the console script.

A command parses its arguments, calls the library function of the same name and prints what that returns. Exit codes:
0 fine, 1 a contract or gate failed, 2 misuse or data that cannot be used, 3 a fault of scarce, 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from scarce.cli._group import ABOUT, CommandTable

__all__ = ["app", "main"]

app = typer.Typer(
    name="scarce", cls=CommandTable, help=ABOUT, no_args_is_help=True, pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip


def _version(*, wanted: bool) -> None:
    if wanted:
        from scarce import __version__

        typer.echo(f"scarce {__version__}")
        raise typer.Exit


@app.callback()
def scarce(
    version: bool = typer.Option(
        False, "--version", help="Print the version.", is_eager=True, callback=lambda value: _version(wanted=value)
    ),
) -> None:
    """Read the global options; they end the program by themselves."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        arguments: without the program's name; None = those of the process.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        app(args=None if arguments is None else list(arguments), prog_name="scarce")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        typer.echo("Interrupted.", err=True)
        return 130
    return 0
