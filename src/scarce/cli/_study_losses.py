"""``scarce study losses``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scarce.cli._options import AsJson, Debug, InProject, ProjectFolder, Quiet, Seed, Version, folder_of
from scarce.cli._screen import screen
from scarce.cli._study import Common, FashionFolder, Minutes, OutFolder, studied, tell


def losses(
    project: ProjectFolder = None,
    named: InProject = None,
    version: Version = None,
    fashion: FashionFolder = None,
    method: Annotated[list[str] | None, typer.Option(help="Means. May be repeated.", show_default="all")] = None,
    ratio: Annotated[
        list[float] | None,
        typer.Option(min=1, help="Largest to smallest class; repeat.", show_default="10, 50, 100, 200"),
    ] = None,
    most: Annotated[int | None, typer.Option(min=1, help="Samples of the largest class.", show_default="1000")] = None,
    judged: Annotated[int | None, typer.Option(min=1, help="Judging samples of a class.", show_default="200")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Of every training.", show_default="12")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Repeats.", show_default="scarce.toml, or 5")] = None,
    minutes: Minutes = None,
    out_folder: OutFolder = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train a network on long tails with every loss, weight and sampling against imbalance: which helps most?

    On samples of your own project that have labels, or on Fashion-MNIST; the test split is not touched. Results are
    appended as they come: run it again to go on. Writes a page with a figure and a table, and the same as JSON.

    Example:
        scarce study losses photos-scarce --most 300 --ratio 10 --minutes 30
        scarce study losses --fashion /usr/share/datasets/fashion-mnist --out reports
    """
    with screen(as_json, quiet, debug) as out:
        from scarce.study import losses as study
        from scarce.study._fashion import fashion_mnist

        given = {"methods": method or None, "ratios": ratio or None, "most": most, "judged": judged, "epochs": epochs,
                 "seeds": seeds}  # fmt: skip
        folder = Path() if fashion is not None else folder_of(project, named)
        published = None if fashion is None else lambda place: fashion_mnist(fashion, place / "losses.pictures")
        common = Common(folder, version, minutes, out_folder, None, seed)
        body = studied("losses", given, common, published=published, encoded=False)
        out.show(body, lambda console: tell(console, body, study))
