"""``scarce tag``."""

from __future__ import annotations

from typing import Annotated

import typer

from scarce.cli._options import AsJson, Debug, InProject, folder_of
from scarce.cli._screen import screen


def tag(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Letters, digits, dot, hyphen, underscore.")],
    version: Annotated[
        str | None, typer.Argument(metavar="[VERSION]", help="Number, tag or branch.", show_default="the newest")
    ] = None,
    project: InProject = None,
    delete: Annotated[bool, typer.Option("--delete", help="Forget the tag; the version stays.")] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Give a version a name.

    Tagged versions are kept by scarce prune.

    Example:
        scarce tag before-cleaning v2
        scarce tag before-cleaning --delete
    """
    with screen(as_json, debug=debug) as out:
        from scarce.project import Project

        with Project.open(folder_of(project)) as opened:
            if delete:
                opened.store.untag(name)
            else:
                opened.tag(name, version)
            tags = opened.store.tags()
        said = f"{name} is forgotten" if delete else f"{name} = {tags[name]}"
        out.show({"tags": tags}, lambda console: console.print(said))
