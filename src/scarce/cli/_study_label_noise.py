"""``scarce study label-noise``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scarce.cli._options import AsJson, Debug, InProject, ProjectFolder, Quiet, Seed, Version, Workers, folder_of
from scarce.cli._screen import screen
from scarce.cli._study import Common, FashionFolder, Minutes, OutFolder, on_features, tell


def label_noise(
    project: ProjectFolder = None,
    named: InProject = None,
    version: Version = None,
    fashion: FashionFolder = None,
    rate: Annotated[
        list[float] | None, typer.Option(help="Share of wrong labels; repeat.", show_default="0, 0.1, 0.2, 0.4")
    ] = None,
    kind: Annotated[
        str | None, typer.Option(help="symmetric, asymmetric or annotator.", show_default="symmetric")
    ] = None,
    most: Annotated[int | None, typer.Option(min=40, help="Training samples at most.", show_default="2000")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Repeats.", show_default="scarce.toml, or 5")] = None,
    minutes: Minutes = None,
    out_folder: OutFolder = None,
    workers: Workers = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """What do wrong labels cost, and how much does each use of the audit bring back?

    Rising shares of the labels are made wrong; doubted rows are dropped, weighted or relabelled, against as many random
    rows and against true labels. Held-out samples judge; after the last seed the test split is looked at once. Run it
    again to go on.

    Example:
        scarce study label-noise photos-scarce --seeds 3 --minutes 10
        scarce study label-noise --fashion /usr/share/datasets/fashion-mnist --out reports
    """
    with screen(as_json, quiet, debug) as out:
        from scarce.study import label_noise as study

        given = {"rates": rate or None, "kind": kind, "most": most, "seeds": seeds}
        folder = Path() if fashion is not None else folder_of(project, named)
        common = Common(folder, version, minutes, out_folder, workers, seed)
        body = on_features("label_noise", given, common, fashion)

        out.show(body, lambda console: tell(console, body, study))
