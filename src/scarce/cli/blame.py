"""``scarce blame``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from scarce.cli._options import AsJson, Debug, InProject, Version, folder_of
from scarce.cli._screen import safe, screen, table

if TYPE_CHECKING:
    from rich.console import Console

WIDTH = 34


def blame(
    sample: Annotated[
        str, typer.Argument(metavar="SAMPLE", help="Its file, file#row, #row or id; an ending or beginning will do.")
    ],
    project: InProject = None,
    version: Version = None,
    whole: Annotated[bool, typer.Option("--all", help="Show every change, and the scores of the audit, too.")] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show which step of which version set each field of a sample, and why.

    With --json every change is listed, with the parameters and the seed of the step.

    Example:
        scarce blame hole/0042.png --project photos-scarce
    """
    with screen(as_json, debug=debug) as out:
        from scarce.columns import sample_name
        from scarce.project import Project
        from scarce.provenance import blame as find

        with Project.open(folder_of(project)) as opened:
            found = find(opened, sample, version)
        body = {
            "sample": found.sample, "uri": found.uri, "version": found.version, "fields": found.fields,
            "history": found.history,
        }  # fmt: skip

        def draw(console: Console) -> None:
            console.print(safe(f"{sample_name(found.uri, found.sample)} ({found.sample}) in {found.version}"))
            rows = [
                (
                    item.name,
                    _short(sample_name(item.value) if item.name == "uri" else item.value),
                    item.version,
                    item.at[:16].replace("T", " "),
                    item.step,
                    item.action,
                    item.why,
                )
                for item in (found.history if whole else found.fields)
                if whole or not item.name.startswith("audit.")
            ]
            console.print(table(("field", "value", "version", "at", "by", "action", "why"), rows, elastic=("why",)))
            scores = sum(item.name.startswith("audit.") for item in found.fields)
            if scores and not whole:
                console.print(f"{scores} scores of the audit: --all.")
            console.print("Reasons may be cut; --json, or a wider window, shows all of them.")

        out.show(body, draw)


def _short(value: Any) -> str:
    text = "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= WIDTH else text[: WIDTH - 3] + "..."
