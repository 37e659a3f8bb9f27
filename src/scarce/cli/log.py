"""``scarce log``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scarce.cli._options import AsJson, Debug, InProject, ProjectFolder, folder_of
from scarce.cli._screen import screen, table

if TYPE_CHECKING:
    from rich.console import Console


def log(
    project: ProjectFolder = None,
    named: InProject = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Show so many.")] = 30,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List the versions, newest first.

    With --json every version is listed, with its parent, owner and content id.

    Example:
        scarce log photos-scarce
    """
    with screen(as_json, debug=debug) as out:
        from scarce.project import Project

        with Project.open(folder_of(project, named)) as opened:
            versions, tags = opened.log(), opened.store.tags()
        body = [
            {**item.to_json(), "tags": [name for name, version in tags.items() if version == item.name]}
            for item in versions
        ]

        def draw(console: Console) -> None:
            rows = [
                (item["name"], item["at"], f"{item['rows']:,}", ", ".join(item["owner"] or ["a person"]),
                 item["message"], ", ".join(item["tags"]), item["branch"] if item["branch"] != "main" else "")
                for item in body[:limit]
            ]  # fmt: skip
            console.print(table(("version", "at", "rows", "by", "what", "tags", "branch"), rows, right=("rows",)))
            if len(body) > limit:
                console.print(f"{len(body) - limit:,} older ones: --limit {len(body)}")

        out.show({"versions": body}, draw)
