"""``scarce audit``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scarce.cli._options import (
    AsJson,
    Debug,
    FailFrom,
    FailOn,
    InProject,
    ProjectFolder,
    Quiet,
    Seed,
    Workers,
    folder_of,
)  # fmt: skip
from scarce.cli._screen import screen, table

if TYPE_CHECKING:
    from rich.console import Console

CERTAIN = 0.9


def audit(
    project: ProjectFolder = None,
    named: InProject = None,
    only: Annotated[
        list[str] | None, typer.Option(metavar="CHECK", help="Run this check; repeat for more.", show_default="all")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="List so many findings of each check.")] = 5,
    fail_on: FailFrom = FailOn.never,
    workers: Workers = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Measure what may be wrong with the data; nothing is changed.

    Label errors, duplicates, leakage, outliers, picture quality. Scores go to a new version; 1 is worst. For
    --fail-on, a finding with a score of 0.9 or more is an error, any other a warning.

    Example:
        scarce audit photos-scarce
        scarce audit photos-scarce --only label-error --only near-duplicate --fail-on error
    """
    with screen(as_json, quiet, debug) as out:
        from scarce import audit as stage
        from scarce.audit.agreement import agreement_json
        from scarce.cli._work import finding_rows, named_by, needs_features, skipped
        from scarce.loop.measure import with_features, with_scan
        from scarce.project import Project

        with Project.open(folder_of(project, named)) as opened:
            settings = opened.config.audit
            ds = with_scan(opened, opened.dataset(), workers=workers)
            chosen = only or settings.only or None
            if needs_features(chosen):
                ds = with_features(opened, ds, workers=workers, seed=seed)
            ds = stage.run(ds, chosen, seed=seed, workers=workers, settings=settings.plugins)
            version = opened.commit(ds, "audit", owner=("audit",))
        ran = [name.split(".")[1] for name in ds.table.column_names if name.startswith("audit.")]
        found = {name: finding_rows(ds, name) for name in ran}
        counts, left_out = {name: len(rows) for name, rows in found.items()}, skipped(ds)
        body = {"version": version, "findings": counts, "skipped": left_out, "worst": found}
        if "agreement" in ran and "agreement" not in left_out:
            body["agreement"] = agreement_json(ds, seed=seed)
        places = dict(zip(ds.table["id"].to_pylist(), ds.table["uri"].to_pylist(), strict=True))

        def draw(console: Console) -> None:
            console.print(table(("check", "findings"), counts.items(), right=("findings",)))
            for name, rows in found.items():
                worst = sorted(rows, key=lambda row: -(row["score"] or 0))[:limit]
                if worst:
                    lines = [
                        (named_by(row["members"], places), f"{row['score'] or 0:.2f}", row["why"]) for row in worst
                    ]
                    console.print(table(("what", "score", "why"), lines, title=name, right=("score",)))
            for name, why in left_out.items():
                console.print(f"{name}: {why}")
            console.print(f"{version}: nothing was changed; scarce clean proposes what to do.")

        out.show(body, draw)
        scores = [row["score"] or 0 for rows in found.values() for row in rows]
        errors = sum(score >= CERTAIN for score in scores)
        out.gate(errors=errors, warnings=len(scores) - errors, fail_on=fail_on)
