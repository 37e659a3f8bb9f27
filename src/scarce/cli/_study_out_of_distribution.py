"""``scarce study out-of-distribution``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scarce.cli._options import AsJson, Debug, InProject, ProjectFolder, Quiet, Seed, Version, folder_of
from scarce.cli._screen import screen
from scarce.cli._study import Common, FashionFolder, Minutes, OutFolder, on_pictures, tell


def out_of_distribution(
    project: ProjectFolder = None,
    named: InProject = None,
    version: Version = None,
    fashion: FashionFolder = None,
    unknown: Annotated[
        list[str] | None,
        typer.Option(
            help="glyphs, digits, or a folder of pictures or IDX files; two or more.", show_default="glyphs, digits"
        ),
    ] = None,
    network: Annotated[str | None, typer.Option(help="Ours or timm's.", show_default="auto")] = None,
    most: Annotated[int | None, typer.Option(min=1, help="Training samples at most.", show_default="12000")] = None,
    judged: Annotated[int | None, typer.Option(min=1, help="Samples of every other part.", show_default="2000")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Of every training.", show_default="10")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Repeats.", show_default="scarce.toml, or 3")] = None,
    minutes: Minutes = None,
    out_folder: OutFolder = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """How well does an ordinary network know what it was never taught, and what does that cost?

    Every detector against every unknown set, temperatures and thresholds with the accuracy that they cost, and the
    calibration. A detector is chosen on one unknown set and judged on the others. Results are appended as they come:
    run it again to go on.

    Example:
        scarce study out-of-distribution photos-scarce --unknown glyphs --unknown other-photos --minutes 30
        scarce study out-of-distribution --fashion /usr/share/datasets/fashion-mnist --out reports
    """
    with screen(as_json, quiet, debug) as out:
        from scarce.study import out_of_distribution as study

        given = {"unknown": unknown or None, "network": network, "most": most, "judged": judged, "epochs": epochs,
                 "seeds": seeds}  # fmt: skip
        folder = Path() if fashion is not None else folder_of(project, named)
        common = Common(folder, version, minutes, out_folder, None, seed)
        body = on_pictures("out_of_distribution", given, common, fashion)
        out.show(body, lambda console: tell(console, body, study))
