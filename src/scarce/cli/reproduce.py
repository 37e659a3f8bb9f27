"""``scarce reproduce``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scarce.cli._options import AsJson, Debug, InProject, Quiet, Workers, folder_of
from scarce.cli._screen import safe, screen, table

if TYPE_CHECKING:
    from rich.console import Console


def reproduce(
    version: Annotated[
        str | None, typer.Argument(metavar="[VERSION]", help="Number, tag or branch.", show_default="the newest")
    ] = None,
    project: InProject = None,
    functions: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE.py", help="File of your own functions that were steps; it is run. Repeat for more."),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Measure and encode anew what the caches remember.")] = False,
    workers: Workers = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Make a version again from its sources, step by step, and compare the hashes.

    Nothing is committed. Says at which step the two part and in which columns, and which packages have another version
    now. The exit code is 1 where they part.

    Example:
        scarce reproduce v3 --project photos-scarce
    """
    with screen(as_json, quiet, debug) as out:
        from scarce.project import Project
        from scarce.provenance import functions_of
        from scarce.provenance import reproduce as redo

        own = {name: made for path in functions or () for name, made in functions_of(path).items()}
        with Project.open(folder_of(project)) as opened:
            found = redo(opened, version, functions=own, fresh=fresh, workers=workers)

        def draw(console: Console) -> None:
            rows = [(step.name, step.state, f"{step.seconds:.2f}", step.why) for step in found.steps]
            console.print(table(("step", "", "seconds", "why"), rows, right=("seconds",)))
            for name, (then, now) in found.packages.items():
                console.print(safe(f"{name} was {then}, is {now}"))
            for name, (then, now) in found.inputs.items():
                console.print(safe(f"{name} had the hash {then}, has {now or 'none'}"))
            for note in found.notes:
                console.print(safe(note))
            end = "came out the same" if found.same else f"parts at {found.parted.name}" if found.parted else "differs"
            console.print(f"{found.version} {end}: {len(found.steps)} steps, content {found.content_id}")

        out.show(found.to_json(), draw)
        if not found.same:
            out.fail()
