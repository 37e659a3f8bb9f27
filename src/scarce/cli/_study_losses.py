"""``scarce study losses``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scarce.cli._options import AsJson, Debug, InProject, ProjectFolder, Quiet, Seed, Version, folder_of
from scarce.cli._screen import relative, safe, screen, table
from scarce.cli._study import Minutes, OutFolder

if TYPE_CHECKING:
    from rich.console import Console


def losses(
    project: ProjectFolder = None,
    named: InProject = None,
    version: Version = None,
    fashion: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Fashion-MNIST's IDX files, in place of a project.")
    ] = None,
    method: Annotated[list[str] | None, typer.Option(help="Means. May be repeated.", show_default="all")] = None,
    ratio: Annotated[
        list[float] | None,
        typer.Option(min=1, help="Largest to smallest class; repeat.", show_default="10, 50, 100, 200"),
    ] = None,
    most: Annotated[int | None, typer.Option(min=1, help="Samples of the largest class.", show_default="1000")] = None,
    judged: Annotated[int | None, typer.Option(min=1, help="Judging samples of a class.", show_default="200")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Of every training.", show_default="12")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Repeats.", show_default="scarce.toml, or 5")] = None,
    minutes: Minutes = None,
    out_folder: OutFolder = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train a network on long tails with every loss, weight and sampling against imbalance: which helps most?

    On samples of your own project that have labels, or on Fashion-MNIST; the test split is not touched. Results are
    appended as they come: run it again to go on. Writes a page with a figure and a table, and the same as JSON.

    Example:
        scarce study losses photos-scarce --most 300 --ratio 10 --minutes 30
        scarce study losses --fashion /usr/share/datasets/fashion-mnist --out reports
    """
    with screen(as_json, quiet, debug) as out:
        from scarce.config import Config
        from scarce.project import Project
        from scarce.study._fashion import fashion_mnist
        from scarce.study.losses import Losses, conclusion, table_of

        if fashion is not None:
            place, settings = out_folder or Path("reports"), Config().study
            ds = fashion_mnist(fashion, place / "losses.pictures")
        else:
            folder = folder_of(project, named)
            with Project.open(folder) as opened:
                settings, ds = opened.config.study, opened.dataset(version)
            place = out_folder or folder / "reports"
        given = {"methods": method, "ratios": ratio, "most": most, "judged": judged, "epochs": epochs, "seeds": seeds}
        params = {**settings.plugins.get("losses", {}), **{key: value for key, value in given.items() if value}}
        file = place / "losses.jsonl"
        limit = settings.minutes if minutes is None else minutes
        found = Losses.from_params(params).run(ds, journal=file, minutes=limit, seed=seed)
        page = file.with_suffix(".html")
        page.write_text(found.page, "utf-8")
        file.with_suffix(".json").write_text(json.dumps(found.body, indent=1) + "\n", "utf-8")
        body = {**found.body, "page": str(page)}

        def draw(console: Console) -> None:
            console.print(f"{body['seeds_done']} of {body['seeds_wanted']} seeds.")
            head, rows = table_of(body)
            if rows:
                console.print(table(tuple(head), [tuple(row) for row in rows]))
                console.print(safe(conclusion(body)))
            console.print(f"All of it: {safe(relative(page))}")

        out.show(body, draw)
