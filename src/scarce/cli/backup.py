"""``scarce backup``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scarce.cli._options import AsJson, Debug, InProject, folder_of
from scarce.cli._screen import relative, safe, screen


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File of JSON lines.")],
    project: InProject = None,
    bring_back: Annotated[
        bool, typer.Option("--bring-back", help="Read the file into a project that holds nothing of the kind yet.")
    ] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write what people said and decided as JSON lines.

    Annotations, review queue, feedback, ledger, looks at the test set and aliases cannot be computed again; everything
    else in a project can.

    Example:
        scarce backup photos-2031-05-01.jsonl --project photos-scarce
    """
    with screen(as_json, debug=debug) as out:
        from scarce.project import Project

        with Project.open(folder_of(project)) as opened:
            count = opened.state.bring_back(file) if bring_back else opened.state.backup(file)
        said = f"{count:,} rows {'read from' if bring_back else 'written to'} {safe(relative(file))}"
        out.show({"rows": count, "file": str(file)}, lambda console: console.print(said))
