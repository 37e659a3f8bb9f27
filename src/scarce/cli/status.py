"""``scarce status``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scarce.cli._options import AsJson, Debug, InProject, ProjectFolder, folder_of
from scarce.cli._screen import safe, screen, size, table

if TYPE_CHECKING:
    from rich.console import Console


def status(
    project: ProjectFolder = None,
    named: InProject = None,
    page: Annotated[
        Path | None,
        typer.Option("--page", metavar="FILE", help="Write the figures of production as a page: FILE.html."),
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show the phase and what comes next, versions, counts, how production does, quality and sizes.

    Detection, false defects and accuracy by week and month stand on samples that were drawn at random, with intervals.
    Real samples that a class lacks are named before any are made.

    Example:
        scarce status photos-scarce
        scarce status photos-scarce --page production.html
    """
    with screen(as_json, debug=debug) as out:
        from scarce import __version__, quality
        from scarce.classes import by_origin
        from scarce.cli._production import class_table, draw_kpis, draw_plan, lacking
        from scarce.cli._summary import quality_table
        from scarce.flywheel.overview import overview
        from scarce.project import Project

        with Project.open(folder_of(project, named)) as opened:
            body = {
                **opened.status(), "test_looks": opened.state.test_looks(), "ledger": opened.state.ledger(),
                "open_in_review": len(opened.state.queue()),
            }  # fmt: skip
            ds = opened.dataset() if opened.head else None
            body |= overview(opened, ds)
            if ds is not None:
                body["origins"] = by_origin(ds)
                body["quality"] = quality.measure(ds).to_json()
            if page is not None:
                from scarce.report import production
                from scarce.report.page import save

                body["page"] = str(save(production.to_html(opened.name, body, __version__), page))

        def draw(console: Console) -> None:
            store, kept = body["store"], [row["decision"] for row in body["ledger"] if row.get("kept")]
            head = (
                f"{body['head']}: {body['message']} ({body['at']})"
                if body["head"]
                else "no version yet: scarce add SOURCE"
            )
            rows = [
                ("project", f"{body['name']} in {body['folder']}"), ("newest version", head),
                ("rows", f"{body.get('rows', 0):,}, of which {body.get('kept', 0):,} are kept"),
                ("versions", f"{store['versions']:,} on {len(body['branches'])} branches"),
                ("size", f"{size(store['bytes'])}, {store['bytes_per_row_and_version']:.0f} bytes a row and version"),
                ("tags", ", ".join(f"{name} = {version}" for name, version in body["tags"].items()) or "none"),
                *((name, size(bytes_)) for name, bytes_ in body["bytes"].items()),
                ("looks at the test set", body["test_looks"]),
                ("ledger", f"{len(body['ledger'])} decisions, kept: {', '.join(kept) or 'none'}"),
                ("waiting for review", body["open_in_review"]),
            ]  # fmt: skip
            console.print(table(("", ""), rows))
            draw_plan(console, body)
            draw_kpis(console, body)
            if body.get("origins"):
                console.print(class_table(body))
                for line in lacking(body):
                    console.print(line, soft_wrap=True)
            if body.get("quality"):
                console.print(quality_table(body["quality"]))
            if page is not None:
                console.print(f"The figures of production are in {safe(body['page'])}.")
            if body["models"]:
                models = [
                    (m["name"], size(m["bytes"]), ", ".join(m["aliases"]), "stale" * m["stale"]) for m in body["models"]
                ]
                console.print(table(("model", "size", "alias", ""), models, right=("size",)))

        out.show(body, draw)
