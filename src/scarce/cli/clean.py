"""``scarce clean``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scarce.cli._options import AsJson, Debug, InProject, ProjectFolder, Quiet, folder_of
from scarce.cli._screen import screen, table

if TYPE_CHECKING:
    from rich.console import Console


def clean(
    project: ProjectFolder = None,
    named: InProject = None,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="ACTION", help="set-aside, merge-duplicates or relabel; repeat.", show_default="all"),
    ] = None,
    relabel: Annotated[bool, typer.Option("--apply", help="Carry out what is only proposed, too: relabel.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")] = False,
    save: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the plan as JSON, to edit it.")] = None,
    plan: Annotated[Path | None, typer.Option(metavar="FILE", help="Carry out a plan that was written.")] = None,
    revert: Annotated[Path | None, typer.Option(metavar="FILE", help="Undo a plan that was carried out.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="List so many actions.")] = 20,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Set broken and duplicate rows aside; propose better labels.

    Works on the findings of scarce audit. Rows are set aside with a reason, never deleted; labels change only with
    --apply, and never in val or test. The result is a new version.

    Example:
        scarce clean photos-scarce --dry-run --save plan.json
        scarce clean photos-scarce --plan plan.json
    """
    with screen(as_json, quiet, debug) as out:
        from scarce import clean as stage
        from scarce.cli._work import named_by
        from scarce.loop.cleaning import cleaning_plan
        from scarce.project import Project

        with Project.open(folder_of(project, named)) as opened:
            ds = opened.dataset()
            known = plan or revert
            actions = stage.load(known) if known else cleaning_plan(opened, ds, only, relabel=relabel)
            if save is not None:
                stage.save(actions, save)
            wanted = [action for action in actions if action.apply and action.kind != "ask"]
            version = None
            if wanted and not dry_run:
                change = stage.revert if revert else stage.apply
                version = opened.commit(change(ds, actions), "clean: revert" if revert else "clean", owner=("clean",))
        counts = {kind: sum(action.kind == kind for action in actions) for kind in ("set_aside", "relabel", "ask")}
        body = {"version": version, "counts": counts, "carried_out": len(wanted) if version else 0, "actions": actions}
        places = dict(zip(ds.table["id"].to_pylist(), ds.table["uri"].to_pylist(), strict=True))

        def draw(console: Console) -> None:
            rows = [
                (item.kind.replace("_", " "), "yes" if item.apply and item.kind != "ask" else "proposed",
                 named_by(item.samples, places), " ".join(sorted({str(new) for new in item.new if new})), item.reason)
                for item in actions[:limit]
            ]  # fmt: skip
            if rows:
                console.print(table(("action", "apply", "samples", "new", "why"), rows))
            if len(actions) > limit:
                console.print(f"{len(actions) - limit:,} more: --limit {len(actions)}")
            said = f"{version}: actions carried out: {len(wanted)}" if version else "nothing was changed"
            waiting = len(actions) - len(wanted)
            console.print(
                f"{said}; {waiting} proposed" + f" ({len(wanted)} would be carried out)" * (dry_run and bool(wanted))
            )

        out.show(body, draw)
