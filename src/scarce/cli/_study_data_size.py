"""``scarce study data-size``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scarce.cli._options import AsJson, Debug, InProject, ProjectFolder, Quiet, Seed, Version, folder_of
from scarce.cli._screen import screen
from scarce.cli._study import Common, FashionFolder, Minutes, OutFolder, studied, tell

if TYPE_CHECKING:
    from scarce.dataset import Dataset


def data_size(
    project: ProjectFolder = None,
    named: InProject = None,
    version: Version = None,
    fashion: FashionFolder = None,
    size: Annotated[
        list[int] | None, typer.Option(min=1, help="Training samples of reduced data; repeat.", show_default="100, 300")
    ] = None,
    epochs: Annotated[
        list[int] | None, typer.Option(min=1, help="Of networks on pictures; repeat.", show_default="10, 30")
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(help="Augmentation policy, or flip_rotation; repeat.", show_default="flip_rotation, the domain's"),
    ] = None,
    copies: Annotated[
        int | None, typer.Option(min=1, help="Variants of each text or series.", show_default="4")
    ] = None,
    most: Annotated[int | None, typer.Option(min=1, help="Training samples taken as all.", show_default="1000")] = None,
    judged: Annotated[int | None, typer.Option(min=1, help="Judging samples at most.", show_default="1000")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Repeats.", show_default="scarce.toml, or 10")] = None,
    minutes: Minutes = None,
    out_folder: OutFolder = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train on all data, on less, and on less with augmentation: where does augmentation help?

    On pictures, texts or series of your own project, or on Fashion-MNIST. Held-out samples judge; after the last seed
    the test split is looked at once. Run it again to go on. Writes a page with a figure and a table, and JSON.

    Example:
        scarce study data-size photos-scarce --size 50 --size 200 --minutes 20
        scarce study data-size --fashion /usr/share/datasets/fashion-mnist --out reports
    """
    with screen(as_json, quiet, debug) as out:
        from scarce.study import data_size as study
        from scarce.study._fashion import fashion_mnist

        given = {"sizes": size or None, "epochs": epochs or None, "policies": policy or None, "copies": copies,
                 "most": most, "judged": judged, "seeds": seeds}  # fmt: skip
        folder = Path() if fashion is not None else folder_of(project, named)

        def read(place: Path) -> Dataset:
            return fashion_mnist(fashion or Path(), place / "data_size.pictures", test=True)

        common = Common(folder, version, minutes, out_folder, None, seed)
        body = studied("data_size", given, common, published=read if fashion else None, encoded=False)
        out.show(body, lambda console: tell(console, body, study))
