"""``scarce audit``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scarce.cli._options import (
    AsJson,
    Debug,
    FailFrom,
    FailOn,
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
)  # fmt: skip
from scarce.cli._screen import safe, screen, table

if TYPE_CHECKING:
    from rich.console import Console

CERTAIN = 0.9


def audit(
    path: Annotated[
        Path | None,
        typer.Argument(
            metavar="[PATH]", help="A project, or a folder or manifest of data.", show_default="the working directory"
        ),
    ] = None,
    named: InProject = None,
    only: Annotated[
        list[str] | None, typer.Option(metavar="CHECK", help="Run this check; repeat for more.", show_default="all")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="List so many findings of each check.")] = 5,
    fail_on: FailFrom = FailOn.never,
    label: LabelColumn = None,
    group: GroupColumn = None,
    split: SplitColumn = None,
    time: TimeColumn = None,
    text: TextColumn = None,
    workers: Workers = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Measure what may be wrong with the data; nothing is changed.

    Label errors, duplicates, leakage, outliers, picture quality. Scores go to a new version of a project; of other
    data nothing is kept, so one can look before making a project. 1 is worst. For --fail-on, a finding with a score
    of 0.9 or more is an error, any other a warning.

    The first audit on a machine compiles its loops: about 10 seconds more, once.

    Example:
        scarce audit photos/
        scarce audit photos-scarce --only label-error --only near-duplicate --fail-on error
    """
    columns = {"label": label, "group": group, "split": split, "time": time, "text": text}
    with screen(as_json, quiet, debug) as out:
        from scarce import quality
        from scarce.audit import skipped
        from scarce.audit.agreement import agreement_json
        from scarce.cli._summary import quality_table
        from scarce.cli._work import (
            by_reason,
            finding_rows,
            holds_data,
            listed,
            named_by,
            read_warnings,
            refuse_columns,
        )
        from scarce.columns import sample_names
        from scarce.loop.measure import judged, judged_project

        folder, version = folder_of(path, named), None
        if path is not None and named is None and holds_data(folder):
            ds = judged(folder, only or None, named=columns, workers=workers, seed=seed)
        else:
            refuse_columns(columns, folder)
            ds, version = judged_project(folder, only, workers, seed)
        ran = [name.split(".")[1] for name in ds.table.column_names if name.startswith("audit.")]
        found = {name: finding_rows(ds, name) for name in ran}
        counts, left_out = {name: len(rows) for name, rows in found.items()}, skipped(ds)
        good = quality.measure(ds).to_json()
        places = sample_names(ds.table)
        rows = [row for name in ran for row in listed(found[name], places)]
        notes = read_warnings(ds)
        body = {"path": str(folder), "version": version, "samples": len(ds), "counts": counts, "skipped": left_out,
                "quality": good, "warnings": notes, "findings": rows}  # fmt: skip
        if "agreement" in ran and "agreement" not in left_out:
            body["agreement"] = agreement_json(ds, seed=seed)

        def draw(console: Console) -> None:
            for note in notes:
                console.print(f"- {safe(note)}")
            console.print(table(("check", "findings"), counts.items(), right=("findings",)))
            for name, rows in found.items():
                worst = sorted(rows, key=lambda row: -(row["score"] or 0))[:limit]
                if worst:
                    lines = [
                        (named_by(row["members"], places), f"{row['score'] or 0:.2f}", row["why"]) for row in worst
                    ]
                    console.print(table(("what", "score", "why"), lines, title=name, right=("score",)))
            for line in by_reason(left_out):
                console.print(line)
            console.print(quality_table(good))
            told = f"{version}: nothing was changed; scarce clean proposes what to do."
            console.print(told if version else f"Nothing was kept. scarce run {folder} goes on from here.")

        out.show(body, draw)
        errors = sum(row["score"] >= CERTAIN for row in rows)
        out.gate(errors=errors, warnings=len(rows) - errors, fail_on=fail_on)
