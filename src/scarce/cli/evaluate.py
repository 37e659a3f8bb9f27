"""``scarce evaluate``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scarce.cli._beside import beside
from scarce.cli._options import AsJson, Debug, InProject, ProjectFolder, Quiet, Seed, Version, Workers, folder_of
from scarce.cli._screen import relative, safe, screen, table
from scarce.cli._summary import interval, percent, value_of

if TYPE_CHECKING:
    from rich.console import Console


def evaluate(
    project: ProjectFolder = None,
    named: InProject = None,
    model: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of a model.", show_default="the project's newest")
    ] = None,
    version: Version = None,
    false_positive_rate: Annotated[
        float | None, typer.Option(help="Wanted false-alarm rate.", show_default="that of scarce.toml")
    ] = None,
    against: Annotated[
        Path | None, typer.Option("--compare", metavar="DIR", help="Another model, judged on the same samples.")
    ] = None,
    foreign: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Samples of none of the classes: are they called unknown?")
    ] = None,
    field: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Unlabelled samples from the field: is the test set as varied?"),
    ] = None,
    robust: Annotated[bool, typer.Option("--robust", help="Also under noise, light, rotation and blur.")] = False,
    ask: Annotated[
        int, typer.Option(min=0, help="Put so many questions about the weakest classes into the queue.")
    ] = 0,
    costs: Annotated[
        str | None,
        typer.Option(metavar="MISS,ALARM|FILE", help="What mistakes cost: two numbers, or a CSV file of all pairs."),
    ] = None,
    page: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where the page goes.", show_default="the project's reports")
    ] = None,
    workers: Workers = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Look at the test set once, with intervals; looks are counted.

    Balanced accuracy, macro-F1, recall and precision of every class, operating point: each with its 95 % interval, on
    real test samples only, beside a baseline that always answers the majority class. A page for people shows all of it
    with the samples behind every figure.

    Example:
        scarce evaluate photos-scarce
        scarce evaluate photos-scarce --model photos-scarce/.scarce/models/v7-finetune --json
        scarce evaluate photos-scarce --compare photos-scarce/.scarce/models/v3-linear_probe --foreign other-photos
        scarce evaluate photos-scarce --robust --costs 10,1 --ask 50
    """
    with screen(as_json, quiet, debug) as out:
        from scarce.cli._work import model_folder
        from scarce.loop.judging import Look, judge
        from scarce.loop.look_page import write
        from scarce.project import Project

        folder = folder_of(project, named)
        with Project.open(folder) as opened:
            look = Look(
                folder=model_folder(model or folder), against=None if against is None else model_folder(against),
                version=version, foreign=foreign, field=field, robust=robust, ask=ask, costs=costs, seed=seed,
                workers=workers, false_positive_rate=(
                    opened.config.evaluate.false_positive_rate if false_positive_rate is None else false_positive_rate
                ),
            )  # fmt: skip
            body = judge(opened, look)
            if body.get("task") != "boxes":  # which have no cells to put samples behind
                body["report"] = str(write(opened, body, page, seed=seed))

        def draw(console: Console) -> None:
            if body.get("task") == "boxes":
                draw_boxes(console, body)
                return
            console.print(f"{body['model']} on {body['n']:,} real test samples of {body['version']}")
            names = {"balanced_accuracy": "balanced accuracy", "macro_f1": "macro-F1", "accuracy": "accuracy"}
            scores = [
                (shown, percent(body[key]["value"]), interval(body[key]), percent(body[key]["baseline"]))
                for key, shown in names.items()
            ]
            console.print(
                table(("score", "value", "95 %", "majority class"), scores, right=("value", "majority class"))
            )
            classes = [
                (name, f"{row['n']:,}", percent(row["recall"]), interval(row), percent(value_of(row["precision"])))
                for name, row in body["per_class"].items()
            ]
            console.print(
                table(("class", "n", "recall", "95 %", "precision"), classes, right=("n", "recall", "precision"))
            )
            if body["operating_point"]:
                console.print(body["operating_point"]["why"])
            for line in beside(body):
                console.print(line)
            if (body.get("asked") or {}).get("why"):
                console.print(f"Nothing is asked: {body['asked']['why']}.")
            console.print(f"Look number {body['looks']} at this test set.")
            console.print(f"Page: {safe(relative(Path(body['report'])))}")

        out.show(body, draw)


def draw_boxes(console: Console, body: Mapping[str, Any]) -> None:
    """Print the figures of a detector."""
    console.print(f"{body['model']} on {body['n']:,} test pictures of {body['version']}, {body['boxes']:,} boxes")
    named = {"mean_average_precision": "mAP .50 to .95", "at_50": "AP at .50", "recall_50": "recall at .50"}
    console.print(table(
        ("score", "value", "95 %"), [(shown, percent(body[key]["value"]), interval(body[key]))
                                     for key, shown in named.items()], right=("value",),
    ))  # fmt: skip
    rows = [
        (name, f"{row['n']:,}", *(percent(row[key]["value"]) if row[key] else "" for key in named))
        for name, row in body["per_class"].items()
    ]
    console.print(table(("class", "boxes", *named.values()), rows, right=("boxes", *named.values())))
    console.print(f"Look number {body['looks']} at this test set.")
