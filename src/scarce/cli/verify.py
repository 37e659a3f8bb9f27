"""``scarce verify``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scarce.cli._options import AsJson, Debug, FailFrom, FailOn, InProject, ProjectFolder, Quiet, Version, folder_of
from scarce.cli._screen import screen, table

if TYPE_CHECKING:
    from rich.console import Console


def verify(
    project: ProjectFolder = None,
    named: InProject = None,
    version: Version = None,
    fail_on: FailFrom = FailOn.warning,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """List source files that changed or are missing.

    Reads every source again and compares it with the hash that the version holds. A missing file is an error, a
    changed one a warning; either ends with code 1 unless --fail-on says otherwise.

    Example:
        scarce verify photos-scarce
        scarce verify --fail-on never --json
    """
    with screen(as_json, quiet, debug) as out:
        from scarce.columns import sample_names
        from scarce.project import Project

        with Project.open(folder_of(project, named)) as opened:
            found = opened.verify(version)
            ds = opened.dataset(version)
        places = sample_names(ds.table)
        rows = [(places[sample], "missing", why) for sample, why in found.missing.items()]
        rows += [(places[sample], "changed", "its content is another one now") for sample in found.changed]
        body = {
            **found.to_json(),
            "fine": found.fine,
            "files": [{"uri": row[0], "state": row[1], "why": row[2]} for row in rows],
        }

        def draw(console: Console) -> None:
            console.print(
                f"{found.checked:,} sources compared: "
                + ("all as they were" if found.fine else f"{len(rows):,} not as they were")
            )
            if rows:
                console.print(table(("sample", "", "why"), rows))

        out.show(body, draw)
        out.gate(errors=len(found.missing), warnings=len(found.changed), fail_on=fail_on)
