"""``scarce study architectures``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scarce.cli._options import AsJson, Debug, InProject, ProjectFolder, Quiet, Seed, Version, folder_of
from scarce.cli._screen import screen
from scarce.cli._study import Common, FashionFolder, Minutes, OutFolder, on_pictures, tell


def architectures(
    project: ProjectFolder = None,
    named: InProject = None,
    version: Version = None,
    fashion: FashionFolder = None,
    network: Annotated[
        list[str] | None, typer.Option(help="Ours or timm's. May be repeated.", show_default="two of each kind")
    ] = None,
    most: Annotated[int | None, typer.Option(min=1, help="Training samples at most.", show_default="6000")] = None,
    judged: Annotated[int | None, typer.Option(min=1, help="Judging samples at most.", show_default="2000")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Of every training.", show_default="8")] = None,
    target: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Score whose price is asked.", show_default="what all reach"),
    ] = None,
    pretrained: Annotated[str | None, typer.Option(help="no or auto.", show_default="no")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Repeats.", show_default="scarce.toml, or 3")] = None,
    minutes: Minutes = None,
    out_folder: OutFolder = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """ConvNeXt or ResNet: which network learns best, which soonest, and what do averaged weights gain?

    On samples of your own project that have labels, or on Fashion-MNIST; held-out samples judge, the test split is
    looked at once. Results are appended as they come: run it again to go on. Writes a page with curves of loss and
    accuracy and a table, and the same as JSON.

    Example:
        scarce study architectures photos-scarce --network resnet18 --network convnext_atto --minutes 30
        scarce study architectures --fashion /usr/share/datasets/fashion-mnist --out reports
    """
    with screen(as_json, quiet, debug) as out:
        from scarce.study import architectures as study

        given = {"networks": network or None, "most": most, "judged": judged, "epochs": epochs, "target": target,
                 "pretrained": pretrained, "seeds": seeds}  # fmt: skip
        folder = Path() if fashion is not None else folder_of(project, named)
        common = Common(folder, version, minutes, out_folder, None, seed)
        body = on_pictures("architectures", given, common, fashion)
        out.show(body, lambda console: tell(console, body, study))
