"""``scarce branch``."""

from __future__ import annotations

from typing import Annotated

import typer

from scarce.cli._options import AsJson, Debug, InProject, folder_of
from scarce.cli._screen import screen, table


def branch(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="The new branch.", show_default="list the branches")
    ] = None,
    version: Annotated[
        str | None, typer.Argument(metavar="[VERSION]", help="Where it starts.", show_default="the newest")
    ] = None,
    project: InProject = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Start a second line of versions.

    Commits to a branch leave all others alone. Without a name, the branches are listed.

    Example:
        scarce branch try-other-labels v3
        scarce branch
    """
    with screen(as_json, debug=debug) as out:
        from scarce.project import Project

        with Project.open(folder_of(project)) as opened:
            if name is not None:
                opened.store.branch(name, version)
            branches = opened.store.branches()
        out.show({"branches": branches}, lambda console: console.print(table(("branch", "newest"), branches.items())))
