"""``scarce predict``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scarce.cli._options import AsJson, Debug, Quiet
from scarce.cli._screen import relative, safe, screen, table

if TYPE_CHECKING:
    from rich.console import Console


class Format(StrEnum):
    """How predictions are written."""

    csv = "csv"
    json = "json"


def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Folder of a model, or a project: its newest model.")],
    files: Annotated[list[Path], typer.Argument(metavar="FILES...", help="Pictures, or folders of pictures.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write here.", show_default="a table")
    ] = None,
    style: Annotated[
        Format | None, typer.Option("--format", help="csv or json.", show_default="told by the file's name")
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Reject from this score of a defect on.", show_default="the model's own"),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Classify files or folders: class, probability, verdict.

    Probabilities are calibrated; the verdict is accept or reject at the model's operating point. A file that cannot be
    read gets a line that says why.

    Example:
        scarce predict photos-scarce new-photos/ -o predictions.csv
        scarce predict photos-scarce/.scarce/models/v7-finetune a.jpg b.jpg --json
    """
    with screen(as_json, quiet, debug) as out:
        from scarce.cli._work import model_folder
        from scarce.train.model import load
        from scarce.train.predict import predict as classify
        from scarce.train.predict import write_csv, write_json

        folder = model_folder(model)
        found = classify(load(folder), files, threshold=threshold)
        broken = [item for item in found if item.error]
        kind = style or (Format.json if output and output.suffix.lower() == ".json" else Format.csv)
        write = write_json if kind == Format.json else write_csv
        if output is not None:
            write(found, output)
        body = {"model": str(folder), "n": len(found), "unreadable": len(broken), "output": output,
                "predictions": found}  # fmt: skip

        def draw(console: Console) -> None:
            if output is not None:
                console.print(
                    f"{len(found):,} predictions in {safe(relative(output))}, {len(broken):,} unreadable files"
                )
            elif style is not None:
                write(found, out.stdout)
            else:
                rows = [
                    (
                        item.path,
                        item.label or item.error,
                        f"{item.probability or 0:.3f}" * (not item.error),
                        item.verdict,
                    )
                    for item in found
                ]
                console.print(table(("file", "class", "probability", "verdict"), rows, right=("probability",)))

        out.show(body, draw)
