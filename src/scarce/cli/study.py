"""``scarce study``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scarce.cli._group import register
from scarce.cli._options import AsJson, Debug, InProject, ProjectFolder, Quiet, Seed, Version, Workers, folder_of
from scarce.cli._screen import relative, safe, screen, table

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(
    help="Answer one question by a whole experiment on your own data; resumable.", no_args_is_help=True,
    pretty_exceptions_enable=False, add_completion=False,
)  # fmt: skip


def query_strategies(
    project: ProjectFolder = None,
    named: InProject = None,
    version: Version = None,
    strategy: Annotated[
        list[str] | None,
        typer.Option(help="Strategy, or FIRST:THEN. May be repeated.", show_default="that of scarce.toml, or six"),
    ] = None,
    budget: Annotated[
        int | None, typer.Option(min=2, help="Labels in all.", show_default="scarce.toml, or 500")
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Repeats.", show_default="scarce.toml, or 20")] = None,
    target: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Score whose price is asked.", show_default="all labels, less .01"),
    ] = None,
    model: Annotated[str | None, typer.Option(help="linear or kernel.", show_default="linear")] = None,
    minutes: Annotated[float | None, typer.Option(min=0, help="Time to keep to.", show_default="60")] = None,
    out_folder: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where results go.", show_default="reports/")
    ] = None,
    workers: Workers = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Compare strategies on labels that are known already: which needs the fewest?

    The truth answers in the place of a person. The test split is not touched. Results are appended as they come: run it
    again to go on. Writes a page with curves and bands, and the same as JSON.

    Example:
        scarce study query-strategies photos-scarce --minutes 10
        scarce study query-strategies photos-scarce --strategy margin --strategy typi_clust:badge --target 0.9
    """
    with screen(as_json, quiet, debug) as out:
        import json

        from scarce import registry
        from scarce.loop.measure import with_features
        from scarce.project import Project
        from scarce.study import AbstractStudy

        folder = folder_of(project, named)
        given = {"strategies": strategy, "budget": budget, "seeds": seeds, "target": target, "model": model}
        with Project.open(folder) as opened:
            settings = opened.config.study
            params = {**settings.plugins.get("query_strategies", {})}
            params |= {key: value for key, value in given.items() if value is not None}
            study = registry.load("study", "query_strategies", AbstractStudy).from_params(params)  # type: ignore[type-abstract]
            ds = with_features(opened, opened.dataset(version), workers=workers, seed=seed)
        place = (out_folder or folder / "reports") / "query_strategies"
        found = study.run(
            ds, journal=place.with_suffix(".jsonl"), minutes=settings.minutes if minutes is None else minutes, seed=seed
        )
        place.with_suffix(".html").write_text(found.page, "utf-8")
        place.with_suffix(".json").write_text(json.dumps(found.body, indent=1) + "\n", "utf-8")
        body = {**found.body, "page": str(place.with_suffix(".html"))}

        def draw(console: Console) -> None:
            from scarce.study._page import count, share

            console.print(f"{body['seeds_done']} of {body['seeds_wanted']} seeds.")
            if body["strategies"]:
                rows = [
                    (name, f"{row['mean'][-1]:.1%}", count(row["to_target"]), share(row["saving"]))
                    for name, row in body["strategies"].items()
                ]
                console.print(table(("strategy", "at the end", f"labels to {body['target']:.1%}", "saved"), rows))
            console.print(f"Curves: {safe(relative(Path(body['page'])))}")

        out.show(body, draw)


register(app, "query-strategies", query_strategies)
