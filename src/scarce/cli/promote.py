"""``scarce promote``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scarce.cli._options import AsJson, Debug, InProject, ProjectFolder, Quiet, Seed, folder_of
from scarce.cli._screen import screen, table

if TYPE_CHECKING:
    from rich.console import Console

    from scarce.flywheel import Promotion


def promote(
    project: ProjectFolder = None,
    challenger: Annotated[
        str | None,
        typer.Option("--model", metavar="NAME", help="The challenger.", show_default="@challenger, else the newest"),
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            max=0.999,
            help="Recall that a class may lose: 0.05 = 5 points.",
            show_default="scarce.toml, or 0.05",
        ),
    ] = None,
    days: Annotated[float, typer.Option(min=0.0, help="How old confirmed production samples may be.")] = 30.0,
    override: Annotated[
        str,
        typer.Option(metavar="WHY", help="Promote although it is not proven; the reason is kept.", show_default="no"),
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only judge; no model changes its place.")] = False,
    named: InProject = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Let a challenger answer in production where paired tests prove that no class loses by it.

    Both models answer the same real held-out samples, and recent confirmed production samples that were drawn at
    random. The lower bound of every class's difference in recall must lie above minus the margin; where the counts
    cannot prove it the verdict is "not provable", and a person may promote it with --override. Exit code 1 = not
    promoted. Every promotion and refusal is a row of the ledger; scarce rollback takes it back.

    Example:
        scarce promote photos-scarce
        scarce promote photos-scarce --model v7-finetune --override "the new camera is installed"
    """
    with screen(as_json, quiet, debug) as out:
        from scarce.flywheel import promote as judged
        from scarce.project import Project

        with Project.open(folder_of(project, named)) as opened:
            found = judged(
                opened, challenger, margin=margin, override=override, days=days, dry_run=dry_run, seed=seed
            )  # fmt: skip
        out.show({**found.to_json(), "dry_run": dry_run}, lambda console: _draw(console, found, dry_run=dry_run))
    if not found.promoted:
        raise typer.Exit(1)


def _draw(console: Console, found: Promotion, *, dry_run: bool) -> None:
    if found.evidence:
        console.print(f"{found.challenger} against {found.champion}, recall of each class on the same samples")
        rows = [
            (row.name, row.source, f"{row.n:,}", _points(row.champion), _points(row.challenger),
             f"{100 * row.gain:+.1f}", f"{100 * row.low:+.1f}", row.verdict) for row in found.evidence
        ]  # fmt: skip
        console.print(
            table(
                ("class", "from", "n", "champion", "challenger", "gain", "at least", ""),
                rows,
                right=("n", "champion", "challenger", "gain", "at least"),
            )
        )
    if found.left_out:
        console.print(f"{found.left_out:,} held-out samples are left out: one of the two was trained on them.")
    for line in (*found.why, *found.notes):
        console.print(line)
    done = f"{found.challenger} is @champion now" if found.promoted else f"{found.champion} stays @champion"
    if dry_run:
        done = f"{found.challenger} would be @champion" if found.promoted else f"{found.champion} would stay @champion"
        console.print(f"The verdict would be {found.verdict}, and {done}. Nothing was changed (--dry-run).")
    else:
        console.print(f"{found.verdict}: {done}.")


def _points(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"
