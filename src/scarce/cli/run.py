"""``scarce run``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scarce.cli._options import AsJson, Debug, Quiet, Seed, Workers, three_shares
from scarce.cli._screen import screen
from scarce.cli._summary import draw_run

DATA, JUDGE, MODEL = "How the data is read", "How decisions are judged", "What is trained"


def run(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH", help="Class folders, an inspection folder, a CSV, Parquet or JSONL manifest, or a project."
        ),
    ],
    project: Annotated[
        Path | None, typer.Option(help="Folder of the project.", show_default="<name>-scarce", rich_help_panel=DATA)
    ] = None,
    label: Annotated[str | None, typer.Option(help="Column of the label.", rich_help_panel=DATA)] = None,
    group: Annotated[
        str | None, typer.Option(help="Column that must not be cut: part, lot, patient.", rich_help_panel=DATA)
    ] = None,
    split: Annotated[str | None, typer.Option(help="Column of a given split.", rich_help_panel=DATA)] = None,
    time: Annotated[str | None, typer.Option(help="Column of the time of capture.", rich_help_panel=DATA)] = None,
    text: Annotated[str | None, typer.Option(help="Column of the text.", rich_help_panel=DATA)] = None,
    normal: Annotated[
        list[str] | None,
        typer.Option(
            help="A class of sound parts; repeat for more.", show_default="told by name", rich_help_panel=DATA
        ),
    ] = None,
    ratios: Annotated[
        str | None,
        typer.Option(metavar="TRAIN,VAL,TEST", help="Shares.", show_default="0.7,0.1,0.2", rich_help_panel=DATA),
    ] = None,
    hold_out: Annotated[
        str | None, typer.Option(metavar="COLUMN=VALUE", help="This condition is the test set.", rich_help_panel=DATA)
    ] = None,
    test: Annotated[
        str | None,
        typer.Option(metavar="DIR|cv", help="A separate test set, or cv: pooled outer folds.", rich_help_panel=DATA),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            help="balanced_accuracy, macro_f1, rare_average_precision or recall_at_fpr.",
            show_default="balanced_accuracy",
            rich_help_panel=JUDGE,
        ),
    ] = None,
    false_positive_rate: Annotated[
        float | None, typer.Option(help="Wanted false-alarm rate.", show_default="0.01", rich_help_panel=JUDGE)
    ] = None,
    folds: Annotated[int | None, typer.Option(help="Of the ledger.", show_default="5", rich_help_panel=JUDGE)] = None,
    repeats: Annotated[
        int | None,
        typer.Option(help="Of the ledger.", show_default="2 to 5, as the time allows", rich_help_panel=JUDGE),
    ] = None,
    confirm: Annotated[
        bool,
        typer.Option("--confirm", help="Judge what was kept once more on the final network.", rich_help_panel=JUDGE),
    ] = False,
    encoder: Annotated[
        str | None, typer.Option(help="Encoder plugin, or timm:MODEL.", show_default="auto", rich_help_panel=MODEL)
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            min=8, help="Side of encoded pictures, pixels.", show_default="told by the data", rich_help_panel=MODEL
        ),
    ] = None,
    trainer: Annotated[
        str | None,
        typer.Option(
            help="auto, linear_probe, finetune, gradient_boosting ...", show_default="auto", rich_help_panel=MODEL
        ),
    ] = None,
    policy: Annotated[
        str | None, typer.Option(help="Augmentation preset.", show_default="told by the data", rich_help_panel=MODEL)
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="Time to keep to.", show_default="30")] = None,
    workers: Workers = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Run the whole loop: audit, split, clean, grow, rebalance, train, evaluate, report.

    Your files are not touched. Versions, features, model and report go to a project folder; the same command resumes
    after an interruption and reuses cached features.

    Example:
        scarce run photos/
        scarce run tiles/index.csv --group tile --hold-out camera=B --minutes 10
        scarce run photos/ --json > result.json
    """
    given = {
        "project": project, "label": label, "group": group, "split": split, "time": time, "text": text,
        "normal": tuple(normal) if normal else None, "ratios": three_shares(ratios), "hold_out": hold_out, "test": test,
        "metric": metric, "false_positive_rate": false_positive_rate, "folds": folds, "repeats": repeats,
        "confirm": confirm or None, "encoder": encoder, "size": size, "trainer": trainer, "policy": policy,
        "minutes": minutes, "workers": workers,
    }  # fmt: skip
    with screen(as_json, quiet, debug) as out:
        from scarce import loop

        done = loop.run(path, seed=seed, **{name: value for name, value in given.items() if value is not None})
        out.show(done.result, lambda console: draw_run(console, done.result))
