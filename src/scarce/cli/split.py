"""``scarce split``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scarce.cli._options import AsJson, Debug, InProject, ProjectFolder, Quiet, Seed, folder_of, three_shares
from scarce.cli._screen import screen, table

if TYPE_CHECKING:
    from rich.console import Console


def split(
    project: ProjectFolder = None,
    named: InProject = None,
    ratios: Annotated[
        str | None,
        typer.Option(metavar="TRAIN,VAL,TEST", help="Shares.", show_default="those of scarce.toml"),
    ] = None,
    hold_out: Annotated[
        str | None, typer.Option(metavar="COLUMN=VALUE", help="This condition is the test set.")
    ] = None,
    test: Annotated[str | None, typer.Option(metavar="SOURCE", help="This source is the test set.")] = None,
    splitter: Annotated[str, typer.Option(help="grouped, stratified, by_time or hold_out.")] = "grouped",
    anew: Annotated[bool, typer.Option("--anew", help="Forget the split that is there.")] = False,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Split into train, val and test: groups first, classes second.

    Groups are the user's own and the near-duplicates that scarce audit found; none is cut. What is split already stays,
    unless --anew. Says what each class's counts can prove.

    Example:
        scarce split photos-scarce --ratios 0.6,0.2,0.2
        scarce split photos-scarce --hold-out camera=B --anew
    """
    with screen(as_json, quiet, debug) as out:
        from scarce import split as stage
        from scarce.cli._work import finding_rows, split_counts, without_split
        from scarce.project import Project

        with Project.open(folder_of(project, named)) as opened:
            ds, settings = opened.dataset(), opened.config.split
            ds = stage.run(
                without_split(ds) if anew else ds, ratios=three_shares(ratios) or settings.ratios, seed=seed,
                hold_out=hold_out or settings.hold_out or None, test=test, splitter=splitter,
            )  # fmt: skip
            version = opened.commit(ds, "split", owner=("split",))
        counts, said = split_counts(ds), finding_rows(ds, "split")
        body = {"version": version, "counts": counts, "findings": said}

        def draw(console: Console) -> None:
            heads = ("train", "val", "test", "pool")
            rows = [(name, *(f"{row.get(head, 0):,}" for head in heads)) for name, row in counts.items()]
            console.print(table(("class", *heads), rows, right=heads))
            for row in said:
                console.print(row["why"])
            console.print(version)

        out.show(body, draw)
