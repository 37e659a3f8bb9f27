"""``scarce predict``."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from scarce.cli._options import AsJson, Debug, Quiet
from scarce.cli._predict_boxes import boxes_of, refuse_out
from scarce.cli._screen import end_where_all_failed, relative, safe, screen, table

if TYPE_CHECKING:
    from rich.console import Console


STALE: Final = "the classes of the project changed since this model was trained; its answers are in the old classes"


class Format(StrEnum):
    """How predictions are written."""

    csv = "csv"
    json = "json"


def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Folder of a model, or a project: its newest model.")],
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILES...", help="Pictures, folders of them, or tables, texts, series, sounds."),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write here.", show_default="a table")
    ] = None,
    style: Annotated[
        Format | None, typer.Option("--format", help="csv or json.", show_default="told by the file's ending")
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Reject from this score of a defect on.", show_default="the model's own"),
    ] = None,
    heat_maps: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write PNGs that show where a model of anomaly or patch-probe sees a defect.",
            show_default="none",
        ),
    ] = None,
    drawn: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Of a detector: write pictures with boxes.", show_default="none"),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Classify files or folders: class, probability, verdict.

    Probabilities are calibrated; the verdict is accept or reject at the model's operating point, ambiguous where a
    person should look, or unknown. What can only be a defect is never accepted. A file that cannot be read gets a line
    that says why; where none can be read the exit code is 1. Where the project's classes changed since the training, a
    warning is given.

    Example:
        scarce predict photos-scarce new-photos/ -o predictions.csv
        scarce predict photos-scarce/.scarce/models/v7-finetune a.jpg b.jpg --json
    """
    with screen(as_json, quiet, debug) as out:
        from scarce.cli._work import is_stale, model_folder, project_of
        from scarce.train.model import load
        from scarce.train.predict import predict as classify
        from scarce.train.predict import write_csv, write_json

        write = write_json if _format_of(output, style) == Format.json else write_csv
        folder = model_folder(model)
        loaded = load(folder)
        stale = is_stale(folder, loaded)
        if stale:
            print(f"Warning: {STALE}. To train again: scarce train {relative(project_of(folder))}", file=sys.stderr)
        if loaded.card.get("task") == "boxes":
            out.show(*boxes_of(loaded, files, (output, _format_of(output, style) == Format.json), drawn))
            return
        refuse_out(drawn, folder)
        found = classify(loaded, files, threshold=threshold)
        broken = [item for item in found if item.error]
        maps = []
        if heat_maps is not None:
            from scarce.train.heat_map import for_files

            maps = for_files(loaded, files, heat_maps)
        if output is not None:
            write(found, output)
        body = {"model": str(folder), "stale": stale, "n": len(found), "unreadable": len(broken), "output": output,
                "heat_maps": [str(path) for path in maps], "predictions": found}  # fmt: skip

        def draw(console: Console) -> None:
            if output is not None:
                done = f"{_count(len(found) - len(broken), 'prediction')} in {safe(relative(output))}"
                console.print(f"{done}, {_count(len(broken), 'unreadable file')}")
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
                if broken:
                    console.print(_count(len(broken), "unreadable file"))
            if heat_maps is not None:
                console.print(f"{_count(len(maps), 'heat map')} in {safe(relative(heat_maps))}")

        out.show(body, draw)
        end_where_all_failed(len(found), len(broken))


def _format_of(output: Path | None, style: Format | None) -> Format:
    """Return how to write: as told, else by the file's ending; CSV where it has none.

    Raises:
        ConfigError: the ending is one that cannot be written.
    """
    from scarce.errors import ConfigError

    if style is not None:
        return style
    ending = output.suffix.lower() if output is not None else ""
    if ending in ("", ".csv"):
        return Format.csv
    if ending == ".json":
        return Format.json
    raise ConfigError(
        "predict", f"{output} ends in {ending}", "predictions are written as .csv or .json",
        "give the file one of these endings, or say --format csv or --format json",
    )  # fmt: skip


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}" + "s" * (n != 1)
