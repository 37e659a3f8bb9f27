"""``scarce report``."""

from __future__ import annotations

from typing import Annotated

import typer

from scarce.cli._options import AsJson, Debug, InProject, ProjectFolder, Version, folder_of
from scarce.cli._screen import screen
from scarce.cli._summary import draw_run, last_result


def report(
    project: ProjectFolder = None,
    named: InProject = None,
    version: Version = None,
    show: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show what a run found and where its report lies.

    Example:
        scarce report photos-scarce --open
    """
    with screen(as_json, debug=debug) as out:
        from scarce.project import Project

        with Project.open(folder_of(project, named)) as opened:
            wanted = opened.store.version(version).name if version else None
            result = last_result(opened.reports, wanted)
        out.show(result, lambda console: draw_run(console, result))
        if show:
            typer.launch(result["report"])
