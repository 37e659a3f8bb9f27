"""``scarce study phases``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scarce.cli._options import AsJson, Debug, InProject, ProjectFolder, Quiet, Seed, Version, Workers, folder_of
from scarce.cli._screen import screen
from scarce.cli._study import (
    Common,
    FashionFolder,
    Generators,
    Minutes,
    OutFolder,
    Policies,
    Shows,
    on_features,
    tell,
)


def phases(
    project: ProjectFolder = None,
    named: InProject = None,
    version: Version = None,
    fashion: FashionFolder = None,
    count: Annotated[
        list[int] | None, typer.Option(min=1, help="Training samples of a class; repeat.", show_default="800, 8, 4")
    ] = None,
    class_name: Annotated[
        list[str] | None,
        typer.Option("--class", help="Its name, the majority first; repeat.", show_default="sound, then the largest"),
    ] = None,
    times: Annotated[
        float | None, typer.Option(min=0, help="Rows that a phase adds for each real one.", show_default="10")
    ] = None,
    policy: Policies = None,
    generator: Generators = None,
    shows: Shows = None,
    instrument: Annotated[
        str | None, typer.Option(metavar="probe|boxes", help="Classes by a probe, or boxes.", show_default="probe")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Of every training of the detector of boxes.", show_default="400")
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Repeats.", show_default="scarce.toml, or 10")] = None,
    minutes: Minutes = None,
    out_folder: OutFolder = None,
    workers: Workers = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Augment, synthesize, or both: what does each phase gain where rare classes are rare (200:2:1)?

    Recall and average precision of every class on the same real held-out samples, beside a control that only repeats
    the rare ones, and whether the majority falls. After the last seed the test split is looked at once. Run it again to
    go on. With --instrument boxes a detector learns in every arm, from boxes or masks.

    Example:
        scarce study phases photos-scarce --count 400 --count 4 --count 2 --minutes 20
        scarce study phases boards-scarce --instrument boxes --count 200 --count 2 --steps 200
        scarce study phases --fashion /usr/share/datasets/fashion-mnist --out reports
    """
    with screen(as_json, quiet, debug) as out:
        from scarce.study import phases as study

        given = {"counts": count or None, "classes": class_name or None, "times": times, "policies": policy or None,
                 "generators": generator or None, "shows": shows or None, "seeds": seeds,
                 "instrument": instrument, "steps": steps}  # fmt: skip
        folder = Path() if fashion is not None else folder_of(project, named)
        common = Common(folder, version, minutes, out_folder, workers, seed)
        body = on_features("phases", given, common, fashion, most=1200, encoded=instrument != "boxes")
        out.show(body, lambda console: tell(console, body, study))
