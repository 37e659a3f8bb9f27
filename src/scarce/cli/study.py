"""``scarce study``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from scarce.cli._group import register
from scarce.cli._options import AsJson, Debug, InProject, ProjectFolder, Quiet, Seed, Version, Workers, folder_of
from scarce.cli._screen import relative, safe, screen, table
from scarce.cli._study import Common, studied

if TYPE_CHECKING:
    from rich.console import Console

Minutes: TypeAlias = Annotated[
    float | None, typer.Option(min=0, help="Time to keep to; run it again to go on.", show_default="scarce.toml, or 60")
]
OutFolder: TypeAlias = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Where results go.", show_default="reports/")
]

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
    minutes: Minutes = None,
    out_folder: OutFolder = None,
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
        given = {"strategies": strategy, "budget": budget, "seeds": seeds, "target": target, "model": model}
        common = Common(folder_of(project, named), version, minutes, out_folder, workers, seed)
        body = studied("query_strategies", given, common)

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


def zero_shot(
    project: ProjectFolder = None,
    named: InProject = None,
    version: Version = None,
    method: Annotated[str | None, typer.Option(help="Zero-shot method.", show_default="prototype")] = None,
    examples: Annotated[int | None, typer.Option(min=2, help="Labelled examples.", show_default="100")] = None,
    precision: Annotated[
        float | None, typer.Option(min=0.5, max=1, help="Wanted share of right labels.", show_default="0.9")
    ] = None,
    review: Annotated[
        float | None, typer.Option(min=0, max=1, help="Share that a person looks at.", show_default="0.1")
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Repeats.", show_default="scarce.toml, or 20")] = None,
    minutes: Minutes = None,
    out_folder: OutFolder = None,
    workers: Workers = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Compare models on zero-shot labels alone, on reviewed ones and on people's: what are a model's labels worth?

    On labels that are known already; the test split is not touched. Says the share of labels by source and the time
    that is saved. Results are appended as they come: run it again to go on.

    Example:
        scarce study zero-shot photos-scarce --examples 50 --minutes 10
    """
    with screen(as_json, quiet, debug) as out:
        given = {"method": method, "examples": examples, "precision": precision, "review": review, "seeds": seeds}
        common = Common(folder_of(project, named), version, minutes, out_folder, workers, seed)
        body = studied("zero_shot", given, common)

        def draw(console: Console) -> None:
            from scarce.study.zero_shot import gap

            rows = [(arm["what"], f"{arm['mean']:.1%}", gap(arm["over_human"])) for arm in body["arms"].values()]
            console.print(f"{body['seeds_done']} of {body['seeds_wanted']} seeds.")
            console.print(table(("trained on", body["metric"].replace("_", " "), "points over people"), rows))
            console.print(f"All of it: {safe(relative(Path(body['page'])))}")

        out.show(body, draw)


def growth(
    project: ProjectFolder = None,
    named: InProject = None,
    version: Version = None,
    generator: Annotated[
        list[str] | None, typer.Option(help="Kind of synthesize. May be repeated.", show_default="all that fit")
    ] = None,
    policy: Annotated[
        list[str] | None, typer.Option(help="Augmentation policy. May be repeated.", show_default="the domain's")
    ] = None,
    shows: Annotated[
        list[str] | None, typer.Option(metavar="KIND:CLASS", help="A class that a drawn defect shows; repeat.")
    ] = None,
    per_class: Annotated[int | None, typer.Option(min=1, help="Rows of a class and maker.", show_default="120")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Repeats.", show_default="scarce.toml, or 5")] = None,
    minutes: Minutes = None,
    out_folder: OutFolder = None,
    workers: Workers = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Measure what each generator and augmentation policy gains on real held-out pictures, alone and together.

    Average precision of the rare classes and their recall at 1 % and 5 % false alarms, out of fold, with intervals; the
    test split is not touched. Says so where nothing helps. Results are appended as they come: run it again to go on.

    Example:
        scarce study growth photos-scarce --shows scratch:scuffed --minutes 20
    """
    with screen(as_json, quiet, debug) as out:
        given = {"generators": generator, "policies": policy, "shows": shows, "per_class": per_class, "seeds": seeds}
        common = Common(folder_of(project, named), version, minutes, out_folder, workers, seed)
        body = studied("growth", given, common)

        def draw(console: Console) -> None:
            from scarce.study.growth import conclusion, points

            console.print(f"{body['seeds_done']} of {body['seeds_wanted']} seeds.")
            keys = ("average_precision", "recall_at_0.01:rare", "recall_at_0.05:rare")
            rows = [
                (arm["what"], *(f"{arm[key]['value']:.1%}, {points(arm[key])}" for key in keys))
                for arm in body["arms"].values()
            ]
            if rows:
                console.print(table(("trained on", "average precision", "recall at 1 %", "recall at 5 %"), rows))
                console.print(safe(conclusion(body)))
            console.print(f"All of it: {safe(relative(Path(body['page'])))}")

        out.show(body, draw)


register(app, "query-strategies", query_strategies)
register(app, "growth", growth)
register(app, "zero-shot", zero_shot)
