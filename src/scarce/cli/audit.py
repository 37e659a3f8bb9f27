"""``scarce audit``."""

from __future__ import annotations

from collections import Counter
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
from scarce.cli._screen import safe, screen

if TYPE_CHECKING:
    from rich.console import Console


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
    of 0.9 or more is an error, any other a warning. What merely states a fact is a note and counts as nothing: a
    score of 0, or below 0.5 for a line about a class or all data.

    The first audit on a machine compiles its loops: about 10 seconds more, once.

    Example:
        scarce audit photos/
        scarce audit photos-scarce --only label-error --only near-duplicate --fail-on error
    """
    columns = {"label": label, "group": group, "split": split, "time": time, "text": text}
    with screen(as_json, quiet, debug) as out:
        from scarce import quality
        from scarce.audit import severity, skipped, things_found
        from scarce.audit.agreement import agreement_json
        from scarce.cli._findings import Names, draw_checks, draw_findings
        from scarce.cli._summary import quality_table
        from scarce.cli._work import finding_rows, holds_data, listed, read_warnings, refuse_columns
        from scarce.loop.measure import judged, judged_project

        folder, version = folder_of(path, named), None
        if path is not None and named is None and holds_data(folder):
            ds = judged(folder, only or None, named=columns, workers=workers, seed=seed)
        else:
            refuse_columns(columns, folder)
            ds, version = judged_project(folder, only, workers, seed)
        ran = [name.split(".")[1] for name in ds.table.column_names if name.startswith("audit.")]
        found = {name: finding_rows(ds, name) for name in ran}
        left_out, good, names = skipped(ds), quality.measure(ds).to_json(), Names(ds)
        counts = {name: things_found(rows).get(name, 0) for name, rows in found.items() if name not in left_out}
        severities = Counter(severity(row) for part in found.values() for row in part)
        rows = [row for name in ran for row in listed(found[name], names)] if as_json else []
        notes = read_warnings(ds)
        body = {"path": str(folder), "version": version, "samples": len(ds), "counts": counts, "skipped": left_out,
                "quality": good, "warnings": notes, "findings": rows}  # fmt: skip
        if "agreement" in ran and "agreement" not in left_out:
            body["agreement"] = agreement_json(ds, seed=seed)

        def draw(console: Console) -> None:
            for note in notes:
                console.print(f"- {safe(note)}")
            draw_checks(console, counts, left_out)
            draw_findings(console, found, names, limit)
            console.print(quality_table(good))
            told = f"{version}: nothing was changed; scarce clean proposes what to do."
            console.print(told if version else f"Nothing was kept. scarce run {folder} goes on from here.")

        out.show(body, draw)
        out.gate(errors=severities["error"], warnings=severities["warning"], fail_on=fail_on)
