"""``scarce restore``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scarce.cli._options import AsJson, Debug, InProject, Quiet, folder_of
from scarce.cli._screen import screen

if TYPE_CHECKING:
    from rich.console import Console


def restore(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="Number, tag or branch.")],
    project: InProject = None,
    branch: Annotated[str, typer.Option(help="The branch that gets it.")] = "main",
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Make an older version the newest one; nothing is lost.

    Its content comes back as a new version on top of all others. Sources that changed or are missing are listed.

    Example:
        scarce restore v2
    """
    with screen(as_json, quiet, debug) as out:
        from scarce.project import Project

        with Project.open(folder_of(project)) as opened:
            old = opened.store.version(version).name
            new = opened.restore(version, branch=branch)
            sources = opened.verify(new)

        def draw(console: Console) -> None:
            console.print(f"{new} holds what {old} held; everything in between is kept.")
            if not sources.fine:
                console.print(
                    f"Of {sources.checked:,} sources, {len(sources.changed):,} changed and {len(sources.missing):,} "
                    f"are missing: scarce verify lists them."
                )

        out.show({"version": new, "restored": old, "sources": sources.to_json()}, draw)
