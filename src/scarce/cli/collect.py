"""``scarce collect``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scarce.cli._options import AsJson, Debug, InProject, ProjectFolder, Quiet, Seed, Workers, folder_of
from scarce.cli._screen import safe, screen

if TYPE_CHECKING:
    from rich.console import Console

    from scarce.flywheel.collect import Collected


def collect(
    project: ProjectFolder = None,
    new_classes: Annotated[
        bool, typer.Option("--new-classes", help="Make classes of labels in feedback that are none yet.")
    ] = False,
    named: InProject = None,
    workers: Workers = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Take feedback and answered questions into the project, as one new version.

    Corrections and confirmations of unsure answers become annotations, and kept pictures become training samples;
    what was drawn at random is test. Copies of test samples wait in the pool. Doing it again changes nothing.

    Example:
        scarce collect photos-scarce
    """
    with screen(as_json, quiet, debug) as out:
        from scarce.flywheel.collect import collect as taken
        from scarce.project import Project

        with Project.open(folder_of(project, named)) as opened:
            found = taken(opened, new_classes=new_classes, workers=workers, seed=seed)
        out.show(found.to_json(), lambda console: _draw(console, found))


def _draw(console: Console, found: Collected) -> None:
    if found.version is None:
        console.print("nothing new: no version was made")
    else:
        moved = f"{found.trained:,} from the pool into train"
        console.print(f"{found.version}: {found.labels:,} labels, {found.samples:,} new samples, {moved}")
    if found.classes:
        console.print(f"new classes: {safe(', '.join(found.classes))}")
    for name, count in found.wishes.items():
        if name not in found.classes:
            console.print(f"{count:,} rows of feedback name {safe(name)!r}, which is no class: --new-classes adds it")
    if found.waiting:
        console.print(f"{len(found.waiting):,} samples wait in the pool: they show what a test sample shows")
    if found.unkept:
        told = f"{len(found.unkept):,} rows of feedback are about samples that were not kept, and teach nothing"
        console.print(f"{told}: keep_images = true, below \\[serve]")
    if found.sure:
        console.print(f"{found.sure:,} confirmations of sure answers were left out")
    if found.drawn:
        console.print(f"{found.drawn:,} rows of feedback are about drawn samples, which are asked about blind")
    if found.open:
        console.print(f"{found.open:,} questions about production samples wait: scarce label session")
