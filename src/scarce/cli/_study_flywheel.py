"""``scarce study flywheel``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scarce.cli._options import AsJson, Debug, InProject, ProjectFolder, Quiet, Seed, Version, Workers, folder_of
from scarce.cli._screen import screen
from scarce.cli._study import Common, FashionFolder, Minutes, OutFolder, on_features, tell


def flywheel(
    project: ProjectFolder = None,
    named: InProject = None,
    version: Version = None,
    fashion: FashionFolder = None,
    arm: Annotated[
        list[str] | None,
        typer.Option(help="A part that is left out, for example 'no gate'; repeat.", show_default="all"),
    ] = None,
    weeks: Annotated[int | None, typer.Option(min=8, help="Of the year.", show_default="52")] = None,
    weekly: Annotated[int | None, typer.Option(min=1, help="Samples a week.", show_default="250")] = None,
    first: Annotated[int | None, typer.Option(min=50, help="Labels at the beginning.", show_default="600")] = None,
    held_out: Annotated[
        int | None, typer.Option(min=1, help="Labels that judge promotions.", show_default="1500")
    ] = None,
    budget: Annotated[int | None, typer.Option(min=10, help="Labels a week.", show_default="100")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Repeats.", show_default="scarce.toml, or 5")] = None,
    minutes: Minutes = None,
    out_folder: OutFolder = None,
    workers: Workers = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """What does each part of the wheel gain over a year: queue, audit, gate, alarms?

    A year of production is played from labelled pictures: seasons, a class that is new, another camera, imports with
    swapped labels. Accuracy over time, labels, alarms, and bad promotions that were stopped. Run it again to go on.

    Example:
        scarce study flywheel photos-scarce --weeks 12 --weekly 40 --first 100 --held-out 100 --minutes 20
        scarce study flywheel --fashion /usr/share/datasets/fashion-mnist --out reports
    """
    with screen(as_json, quiet, debug) as out:
        from scarce.study import flywheel as study

        given = {"arms": arm or None, "weeks": weeks, "weekly": weekly, "first": first, "held_out": held_out,
                 "budget": budget, "seeds": seeds}  # fmt: skip
        folder = Path() if fashion is not None else folder_of(project, named)
        common = Common(folder, version, minutes, out_folder, workers, seed)
        body = on_features("flywheel", given, common, fashion, most=4000)
        out.show(body, lambda console: tell(console, body, study))
