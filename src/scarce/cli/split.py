"""``scarce split``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scarce.cli._options import AsJson, Debug, InProject, ProjectFolder, Quiet, Seed, Workers, folder_of, three_shares
from scarce.cli._screen import safe, screen, table

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
    workers: Workers = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Split into train, val and test: groups first, classes second.

    Groups are the user's own, copies, and pictures of one object; these are looked for first if scarce audit has not
    done so. None is cut. What is split already stays, unless --anew. Says what each class's counts can prove.

    Example:
        scarce split photos-scarce --ratios 0.6,0.2,0.2
        scarce split photos-scarce --hold-out camera=B --anew
    """
    with screen(as_json, quiet, debug) as out:
        from scarce import split as stage
        from scarce.cli._work import finding_rows, split_counts
        from scarce.kin import COPIES
        from scarce.loop.measure import copies_unknown, with_copies, with_scan
        from scarce.project import Project

        with Project.open(folder_of(project, named)) as opened:
            ds, settings = opened.dataset(), opened.config.split
            search = copies_unknown(ds)
            if search:
                ds = with_copies(opened, with_scan(opened, ds, workers=workers), workers=workers, seed=seed)
            ds = stage.run(
                stage.forget(ds) if anew else ds, ratios=three_shares(ratios) or settings.ratios, seed=seed,
                hold_out=hold_out or settings.hold_out or None, test=test, splitter=splitter,
            )  # fmt: skip
            version = opened.commit(ds, "split", owner=("audit", "split") if search else ("split",))
        counts, said = split_counts(ds), finding_rows(ds, "split")
        copies = {check: len(finding_rows(ds, check)) for check in COPIES} if search else {}
        body = {"version": version, "counts": counts, "findings": said, "copies": copies}

        def draw(console: Console) -> None:
            heads = ("train", "val", "test", "pool")
            rows = [(name, *(f"{row.get(head, 0):,}" for head in heads)) for name, row in counts.items()]
            console.print(table(("class", *heads), rows, right=heads))
            if copies:
                found = ", ".join(f"{check.replace('_', ' ')}s: {n} groups" for check, n in copies.items())
                console.print(f"Looked for copies first, {found}")
            for row in said:
                if row["level"] != "sample":
                    console.print(safe(row["why"]))
            console.print(version)

        out.show(body, draw)
