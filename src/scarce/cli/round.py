"""``scarce round``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scarce.cli._options import AsJson, Debug, InProject, ProjectFolder, Quiet, Seed, Workers, folder_of
from scarce.cli._screen import safe, screen

if TYPE_CHECKING:
    from rich.console import Console

    from scarce.flywheel.round import Turn


def round(  # noqa: A001 - a command is named as its file
    project: ProjectFolder = None,
    promote: Annotated[
        bool, typer.Option("--promote", help="Let a proven challenger take over; without it a person does.")
    ] = False,
    minutes: Annotated[
        float | None,
        typer.Option(min=0.01, help="Time for each network.", show_default="as long as its epochs take"),
    ] = None,
    named: InProject = None,
    workers: Workers = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Turn the wheel once: collect, audit, contract gate, ask or train, compare, propose. Safe in cron.

    Interrupted or killed, the next call goes on where it stopped; where nothing is new it does nothing and says so.
    Exit code 0 = nothing for a person to do, 1 = somebody should look (a gate, a proposal, nothing provable),
    2 = it cannot work so, 4 = another round turns this project.

    Example:
        scarce round photos-scarce
        scarce round photos-scarce --promote --json
    """
    with screen(as_json, quiet, debug) as out:
        from scarce.flywheel.round import Orders, turn
        from scarce.project import Project

        with Project.open(folder_of(project, named)) as opened:
            found = turn(opened, Orders(promote=promote, minutes=minutes, seed=seed, workers=workers))
        out.show(found.to_json(), lambda console: _draw(console, found))
        if found.exit_code:
            out.fail(found.exit_code)


def _draw(console: Console, found: Turn) -> None:
    head = f"round {found.number}: {found.state}" if found.number else found.state
    console.print(head + (", gone on with" if found.resumed else ""))
    for line in found.why:
        console.print(safe(line), markup=False)
