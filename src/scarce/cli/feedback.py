"""``scarce feedback``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scarce.cli._options import AsJson, Debug, InProject, ProjectFolder, Quiet, folder_of
from scarce.cli._screen import safe, screen, table

if TYPE_CHECKING:
    from rich.console import Console


def feedback(
    project: ProjectFolder = None,
    request: Annotated[
        str | None, typer.Option(metavar="ID", help="The prediction's id, as scarce serve answered it.")
    ] = None,
    label: Annotated[
        str | None, typer.Option(metavar="CLASS", help="What it is.", show_default="the answer was right")
    ] = None,
    table_file: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="CSV", help="Columns request and label (empty = right), voter, note; or confirm."
        ),
    ] = None,
    voter: Annotated[str, typer.Option(metavar="NAME", help="Who says so.", show_default="operator")] = "",
    note: Annotated[str, typer.Option(metavar="TEXT", help="Kept with it.", show_default="none")] = "",
    new_classes: Annotated[
        bool, typer.Option("--new-classes", help="Accept labels that are no class of the project yet.")
    ] = False,
    named: InProject = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Confirm or correct predictions; without options, show what came back so far.

    Corrections are worth most, confirmations of unsure answers something. Said twice it is kept once. Exit code 1 =
    some rows could not be kept; the others were.

    Example:
        scarce feedback photos-scarce --request 4f1c --label scratch --voter ann
        scarce feedback photos-scarce --from feedback.csv
    """
    with screen(as_json, quiet, debug) as out:
        from scarce.flywheel._said import Table, shortened
        from scarce.flywheel.feedback import give, read_csv
        from scarce.project import Project

        more = {"label": label, "voter": voter, "note": note, "new-classes": new_classes}
        _one_of(request, table_file, [f"--{name}" for name, value in more.items() if value])
        given: Table | None = None
        if table_file is not None:
            given = read_csv(table_file)
        elif request is not None:
            given = Table(rows=({"request": request, "label": label or "", "confirm": label is None, "note": note},))
        with Project.open(folder_of(project, named)) as opened:
            if given is None:
                body = _summary(opened.state.feedback())
                out.show(body, lambda console: _draw(console, body))
                return
            source = "csv" if table_file is not None else "cli"
            said = give(opened, given.rows, source=source, voter=voter, new_classes=new_classes)
            refused, unread = [*given.refused, *said.refused], list(given.unread)

        def draw(console: Console) -> None:
            console.print(f"kept {said.kept:,}: {said.confirmed:,} confirmed, {said.corrected:,} corrected")
            if said.repeated:
                console.print(f"{said.repeated:,} had been said before")
            for row in refused[:20]:
                console.print(f"not kept: {safe(shortened(row['request']) or '(no id)')}: {safe(row['why'])}")
            if len(refused) > 20:
                console.print(f"and {len(refused) - 20:,} more")
            if unread:
                columns = ", ".join(safe(shortened(name)) for name in unread)
                console.print(f"not read: the column{'s' * (len(unread) > 1)} {columns}")

        out.show({**said.to_json(), "refused": refused, "unread": unread}, draw)
    if refused:
        raise typer.Exit(1)


def _one_of(request: str | None, table_file: Path | None, more: list[str]) -> None:
    """Refuse two sources of feedback, and what belongs to feedback where there is none."""
    from scarce.errors import ConfigError

    if request is not None and table_file is not None:
        raise ConfigError("feedback", "--request and --from were both given", do="give one of them")
    if request is None and table_file is None and more:
        raise ConfigError(
            "feedback", f"{', '.join(more)} without a prediction", do="name it: --request ID, or --from CSV"
        )


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    counts: dict[str, int] = {}
    for row in rows:
        key = f"{row['kind'] or 'said'}, {row['worth'] or 'worth unknown'}"
        counts[key] = counts.get(key, 0) + 1
    return {"n": len(rows), "counts": counts, "latest": rows[-1]["at"] if rows else None}


def _draw(console: Console, body: dict[str, Any]) -> None:
    console.print(f"{body['n']:,} rows of feedback" + (f", the latest at {body['latest']}" if body["latest"] else ""))
    if body["counts"]:
        console.print(table(("feedback", "rows"), body["counts"].items(), right=("rows",)))
