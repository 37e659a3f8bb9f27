"""``scarce rebuild``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scarce.cli._options import AsJson, Debug, InProject, ProjectFolder, Quiet, Workers, folder_of
from scarce.cli._screen import relative, safe, screen

if TYPE_CHECKING:
    from rich.console import Console


def rebuild(
    project: ProjectFolder = None,
    promotion: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Number of the promotion, from 1.", show_default="the champion's"),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="NAME", help="A model that was promoted.", show_default="@champion")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only compare; no model is written.")] = False,
    named: InProject = None,
    workers: Workers = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Make a promoted model and its data again from the ledger alone, and compare the hashes.

    The sources are read again, every step is done again, the model is trained again. Where the folder of the model is
    gone and the weights are the same, it is put back; where they differ, what differs is said, and the new model is
    written beside it. Exit code 1 = not the same.

    Example:
        scarce rebuild photos-scarce
        scarce rebuild photos-scarce --promotion 2 --dry-run
    """
    with screen(as_json, quiet, debug) as out:
        from scarce.flywheel.rebuild import rebuild as made_again
        from scarce.project import Project

        with Project.open(folder_of(project, named)) as opened:
            found = made_again(opened, promotion=promotion, model=model, dry_run=dry_run, workers=workers)

        def draw(console: Console) -> None:
            for line in found.differs:
                console.print(safe(line))
            data = {"same": "the same", "store": "taken from the store", "parted": "other data"}[found.data]
            console.print(f"data of {found.version}: {data}, content {found.content_id[1]}")
            same = "the same" if found.weights[0] == found.weights[1] else f"were {found.weights[0]}, are"
            console.print(f"weights of {safe(found.model)}: {same} {found.weights[1]}")
            console.print(safe(f"written to {relative(found.folder)}") if found.folder else "nothing was written")

        out.show(found.to_json(), draw)
        if not found.same:
            out.fail()
