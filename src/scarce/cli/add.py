"""``scarce add``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scarce.cli._options import (
    AsJson,
    Debug,
    GroupColumn,
    InProject,
    LabelColumn,
    Quiet,
    Seed,
    SplitColumn,
    TextColumn,
    TimeColumn,
    Workers,
    folder_of,
    pairs,
)  # fmt: skip
from scarce.cli._screen import safe, screen, table

if TYPE_CHECKING:
    from rich.console import Console

HEADS = ("train", "val", "test", "pool", "none")


def add(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="A folder, manifest, table ... as for scarce run.")],
    project: InProject = None,
    class_map: Annotated[
        list[str] | None, typer.Option(metavar="THEIRS=OURS", help="What a class is called here; repeat for more.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the source.", show_default="that of its folder")] = None,
    label: LabelColumn = None,
    group: GroupColumn = None,
    split: SplitColumn = None,
    time: TimeColumn = None,
    text: TextColumn = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=0, help="List so many of what waits, and of remarks.")
    ] = 20,
    workers: Workers = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Add a source to a project as a new version; test stays test.

    Near-duplicates of test samples never enter training: they, and rows that would bridge two splits, wait in the pool;
    each is listed with its reason. New samples go to train and val; those of a class that has no test sample go to all
    three splits. Adding the same source again brings only what is new in it.

    Example:
        scarce add april/ --project photos-scarce --class-map scrach=scratch
    """
    columns = {"label": label, "group": group, "split": split, "time": time, "text": text, "source": name}
    with screen(as_json, quiet, debug) as out:
        from scarce import io
        from scarce.cli._work import finding_rows, named_by, split_counts
        from scarce.columns import sample_names
        from scarce.loop.admit import admit
        from scarce.project import Project

        mapping = pairs(class_map, option="--class-map")
        with Project.open(folder_of(project)) as opened:
            old = opened.dataset() if opened.head else None
            done = admit(opened, old, io.read(source, **columns), mapping, workers=workers, seed=seed)
            ds, owner = done.dataset, ("io", "audit", "split", "clean")
            version = opened.commit(ds, f"add {source}", owner=owner) if done.new else None
        fresh = ds.take(ds.rows_of(done.new))
        went = {kind: row for kind, row in split_counts(fresh).items() if row}
        said = finding_rows(ds, "split") + finding_rows(ds, "read") if version else []
        body = {
            "version": version, "added": len(fresh), "rows": len(ds), "classes": ds.schema.classes,
            "counts": split_counts(ds), "went": went, "findings": said,
            "waiting": [{"id": sample, "reason": why} for sample, why in done.waiting.items()],
        }  # fmt: skip
        places = sample_names(fresh.table)

        def draw(console: Console) -> None:
            if version is None:
                console.print(f"nothing new: all samples of {safe(source)} are there already; no version was made")
                return
            for title, counts in (("the new samples", went), ("all", split_counts(ds))):
                rows = [(kind, *(f"{row.get(head, 0):,}" for head in HEADS)) for kind, row in counts.items()]
                console.print(table(("class", *HEADS), rows, title=title, right=HEADS))
            lines = [row["why"] for row in said if row["check"] == "read" or row["level"] == "group"]
            for line in lines[:limit]:
                console.print(safe(line))
            if len(lines) > limit:
                console.print(f"{len(lines) - limit:,} more remarks: --limit {len(lines)}")
            shown = [(named_by([sample], places), why) for sample, why in list(done.waiting.items())[:limit]]
            if shown:
                console.print(table(("waits in the pool", "why"), shown))
            if len(done.waiting) > len(shown):
                console.print(f"{len(done.waiting) - len(shown):,} more wait: --limit {len(done.waiting)}")
            console.print(f"{version}: new samples: {len(fresh):,}, now {len(ds):,} in all")

        out.show(body, draw)
