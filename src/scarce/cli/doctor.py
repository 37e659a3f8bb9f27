"""``scarce doctor``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scarce.cli._options import AsJson, Debug
from scarce.cli._screen import screen, table

if TYPE_CHECKING:
    from rich.console import Console

COLORS = {"fine": "green", "note": "yellow", "missing": "bold red"}


def doctor(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where projects are made.")] = Path(),
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Check this installation: versions, extras, encoder weights, disk, device.

    Ends with code 1 if something that scarce needs is missing. Nothing is installed or fetched.

    Example:
        scarce doctor
        scarce doctor --json
    """
    with screen(as_json, debug=debug) as out:
        from rich.text import Text

        from scarce.cli._health import MISSING, examine

        found = examine(folder)
        lost = [item for item in found if item.state == MISSING]

        def draw(console: Console) -> None:
            rows = [(item.what, Text(item.state, style=COLORS[item.state]), item.found, item.do) for item in found]
            console.print(table(("what", "", "found", "do"), rows))
            console.print(f"{len(lost)} needed things are missing." if lost else "All that scarce needs is here.")

        out.show({"fine": not lost, "findings": found}, draw)
        if lost:
            out.fail()
