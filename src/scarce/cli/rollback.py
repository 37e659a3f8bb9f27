"""``scarce rollback``."""

from __future__ import annotations

from typing import Annotated

import typer

from scarce.cli._options import AsJson, Debug, InProject, ProjectFolder, Quiet, folder_of
from scarce.cli._screen import screen


def rollback(
    project: ProjectFolder = None,
    why: Annotated[str, typer.Option(metavar="WHY", help="Kept in the ledger.", show_default="none")] = "",
    keep_data: Annotated[bool, typer.Option("--keep-data", help="Leave the newest version of the data.")] = False,
    named: InProject = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Put the champion before this one back at once, with the data that it stands on.

    The data comes back as a new version on top; nothing newer is lost. A server answers with the old model from its
    next request on.

    Example:
        scarce rollback photos-scarce --why "false alarms on line 3"
    """
    with screen(as_json, quiet, debug) as out:
        from scarce.flywheel import rollback as taken_back
        from scarce.project import Project

        with Project.open(folder_of(project, named)) as opened:
            body = taken_back(opened, why=why, keep_data=keep_data)
        said = f"{body['champion']} is @champion again, in place of {body['was']}."
        if body["restored"]:
            said += f" {body['version']} holds the data of {body['restored']}; everything in between is kept."
        said = "\n".join([said, *body["notes"]])
        out.show(body, lambda console: console.print(said))
