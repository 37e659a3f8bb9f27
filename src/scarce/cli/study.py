"""``scarce study``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scarce.cli._group import register
from scarce.cli._options import AsJson, Debug, InProject, ProjectFolder, Quiet, Seed, Version, Workers, folder_of
from scarce.cli._screen import relative, safe, screen, table
from scarce.cli._study import Common, Minutes, OutFolder, so_far, studied
from scarce.cli._study_architectures import architectures
from scarce.cli._study_data_size import data_size
from scarce.cli._study_flywheel import flywheel
from scarce.cli._study_growth import growth
from scarce.cli._study_label_noise import label_noise
from scarce.cli._study_losses import losses
from scarce.cli._study_model_or_data import model_or_data
from scarce.cli._study_out_of_distribution import out_of_distribution
from scarce.cli._study_phases import phases

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

            console.print(so_far(body))
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
            console.print(so_far(body))
            console.print(table(("trained on", body["metric"].replace("_", " "), "points over people"), rows))
            console.print(f"All of it: {safe(relative(Path(body['page'])))}")

        out.show(body, draw)


register(app, "query-strategies", query_strategies)
register(app, "data-size", data_size)
register(app, "architectures", architectures)
register(app, "flywheel", flywheel)
register(app, "growth", growth)
register(app, "label-noise", label_noise)
register(app, "losses", losses)
register(app, "model-or-data", model_or_data)
register(app, "phases", phases)
register(app, "out-of-distribution", out_of_distribution)
register(app, "zero-shot", zero_shot)
