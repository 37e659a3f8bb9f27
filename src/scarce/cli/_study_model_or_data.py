"""``scarce study model-or-data``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scarce.cli._options import AsJson, Debug, InProject, ProjectFolder, Quiet, Seed, Version, Workers, folder_of
from scarce.cli._screen import screen
from scarce.cli._study import Common, FashionFolder, Minutes, OutFolder, on_features, tell


def model_or_data(
    project: ProjectFolder = None,
    named: InProject = None,
    version: Version = None,
    fashion: FashionFolder = None,
    rate: Annotated[float | None, typer.Option(help="Share of wrong labels.", show_default="0.1")] = None,
    kind: Annotated[
        str | None, typer.Option(help="symmetric, asymmetric or annotator.", show_default="symmetric")
    ] = None,
    trees: Annotated[int | None, typer.Option(min=1, help="Of the better model.", show_default="200")] = None,
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
    """With wrong labels, what gains more: a better model, or cleaner data?

    A share of the labels is made wrong; a linear probe and boosted trees learn from them, from labels that the audit
    cleaned, and from the true ones. Held-out samples judge; after the last seed the test split is looked at once. Run
    it again to go on.

    Example:
        scarce study model-or-data photos-scarce --seeds 3 --minutes 10
        scarce study model-or-data --fashion /usr/share/datasets/fashion-mnist --out reports
    """
    with screen(as_json, quiet, debug) as out:
        from scarce.study import model_or_data as study

        given = {"rate": rate, "kind": kind, "trees": trees, "most": most, "seeds": seeds}
        folder = Path() if fashion is not None else folder_of(project, named)
        common = Common(folder, version, minutes, out_folder, workers, seed)
        body = on_features("model_or_data", given, common, fashion)

        out.show(body, lambda console: tell(console, body, study))
