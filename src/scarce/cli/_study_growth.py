"""``scarce study growth``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scarce.cli._options import AsJson, Debug, InProject, ProjectFolder, Quiet, Seed, Version, Workers, folder_of
from scarce.cli._screen import relative, safe, screen, table
from scarce.cli._study import Common, Generators, Minutes, OutFolder, Policies, Shows, so_far, studied

if TYPE_CHECKING:
    from rich.console import Console


def growth(
    project: ProjectFolder = None,
    named: InProject = None,
    version: Version = None,
    generator: Generators = None,
    policy: Policies = None,
    shows: Shows = None,
    per_class: Annotated[int | None, typer.Option(min=1, help="Rows of a class and maker.", show_default="120")] = None,
    few: Annotated[
        list[int] | None, typer.Option(min=1, help="Also with so many real samples of each class; repeat.")
    ] = None,
    ratio: Annotated[
        list[float] | None, typer.Option(min=0, help="Also with so many synthetic ones for a real one; repeat.")
    ] = None,
    instrument: Annotated[
        str | None, typer.Option(help="pooled, or patch: learns from masks where a defect is.", show_default="pooled")
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Repeats.", show_default="scarce.toml, or 5")] = None,
    minutes: Minutes = None,
    out_folder: OutFolder = None,
    workers: Workers = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Measure what each generator and augmentation policy gains on real held-out samples, alone and together.

    Average precision of the rare classes and their recall at 1 % and 5 % false alarms, out of fold, with intervals; the
    test split is not touched. Says so where nothing helps. Results are appended as they come: run it again to go on.

    Example:
        scarce study growth photos-scarce --shows scratch:scuffed --few 5 --few 20 --minutes 20
    """
    with screen(as_json, quiet, debug) as out:
        given = {"generators": generator, "policies": policy, "shows": shows, "per_class": per_class, "seeds": seeds,
                 "few": few, "ratios": ratio, "instrument": instrument}  # fmt: skip
        common = Common(folder_of(project, named), version, minutes, out_folder, workers, seed)
        body = studied("growth", given, common)

        def draw(console: Console) -> None:
            from scarce.study._growth_page import KEYS, conclusion, levels_of, points

            console.print(so_far(body))
            head = ("trained on", "average precision", "recall at 1 %", "recall at 5 %")
            for title, arms in levels_of(body) if body["arms"] else []:
                cells = [
                    (arm["what"], *(f"{arm[key]['value']:.1%}, {points(arm[key])}" for key in KEYS))
                    for arm in arms.values()
                ]
                console.print(title)
                console.print(table(head, cells))
            if body["arms"]:
                console.print(safe(conclusion(body)))
            console.print(f"All of it: {safe(relative(Path(body['page'])))}")

        out.show(body, draw)
