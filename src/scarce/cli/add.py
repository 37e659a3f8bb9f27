"""``scarce add``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scarce.cli._options import AsJson, Debug, InProject, Quiet, Seed, Workers, folder_of, pairs
from scarce.cli._screen import screen, table

if TYPE_CHECKING:
    from rich.console import Console


def add(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="A folder, manifest, table ... as for scarce run.")],
    project: InProject = None,
    class_map: Annotated[
        list[str] | None, typer.Option(metavar="THEIRS=OURS", help="What a class is called here; repeat for more.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the source.", show_default="that of its folder")] = None,
    label: Annotated[str | None, typer.Option(help="Column of the label.")] = None,
    group: Annotated[str | None, typer.Option(help="Column that must not be cut: part, lot, patient.")] = None,
    split: Annotated[str | None, typer.Option(help="Column of a given split.")] = None,
    time: Annotated[str | None, typer.Option(help="Column of the time of capture.")] = None,
    text: Annotated[str | None, typer.Option(help="Column of the text.")] = None,
    workers: Workers = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Add a source to a project as a new version; test stays test.

    Near-duplicates of test samples never enter training: they, and rows that would bridge two splits, wait in the pool
    with that reason. Adding the same source again brings only what is new in it.

    Example:
        scarce add april/ --project photos-scarce --class-map scrach=scratch
    """
    columns = {"label": label, "group": group, "split": split, "time": time, "text": text, "source": name}
    with screen(as_json, quiet, debug) as out:
        from scarce import io
        from scarce.cli._work import admit, finding_rows, split_counts
        from scarce.project import Project

        mapping = pairs(class_map, option="--class-map")
        with Project.open(folder_of(project)) as opened:
            old = opened.dataset() if opened.head else None
            new = io.read(source, **columns)
            ds = admit(opened, old, new, mapping, workers=workers, seed=seed)
            version = opened.commit(ds, f"add {source}", owner=("io", "audit", "split", "clean"))
        before = 0 if old is None else len(old)
        body = {
            "version": version, "added": len(ds) - before, "rows": len(ds), "classes": ds.schema.classes,
            "counts": split_counts(ds), "findings": finding_rows(ds, "split") + finding_rows(ds, "read"),
        }  # fmt: skip

        def draw(console: Console) -> None:
            heads = ("train", "val", "test", "pool", "none")
            rows = [(kind, *(f"{row.get(head, 0):,}" for head in heads)) for kind, row in split_counts(ds).items()]
            console.print(table(("class", *heads), rows, right=heads))
            for row in finding_rows(ds, "read"):
                console.print(row["why"])
            console.print(f"{version}: {len(ds) - before:,} samples are new, {len(ds):,} in all")

        out.show(body, draw)
