"""``scarce queue``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scarce.cli._options import AsJson, Debug, InProject, ProjectFolder, Quiet, Seed, Workers, folder_of
from scarce.cli._screen import relative, safe, screen, table

if TYPE_CHECKING:
    from rich.console import Console

    from scarce.flywheel.draw import Asked


class Period(StrEnum):
    """What a budget is for."""

    week = "week"
    month = "month"


def queue(
    project: ProjectFolder = None,
    budget: Annotated[
        int | None,
        typer.Option("--budget", "-b", min=1, help="Labels of the period, what was spent in it included.",
                     show_default="that of scarce.toml: 100"),
    ] = None,
    period: Annotated[
        Period | None, typer.Option("--period", help="What the budget is for.", show_default="that of scarce.toml")
    ] = None,
    strategy: Annotated[
        str | None,
        typer.Option("--strategy", "-s", help="Strategy, or shares: margin:2+core-set:1.", show_default="priority"),
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option("--export", metavar="FILE", help="Write what waits for a label: FILE.csv, or a page FILE.html."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Leave data and queue as they are.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="List so many samples.")] = 20,
    named: InProject = None,
    workers: Workers = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    """Ask people about the production samples that are worth most, within the budget of the week.

    A tenth or more is drawn at random from all that came since the draw before, is never trained on, and alone says how
    good the model is. The others are doubtful, of rare classes, and unlike what is known: half, three tenths and two
    tenths of their worth. They wait for scarce label session, or for scarce label export (CSV, a page, Label Studio);
    scarce collect takes the answers in.

    Example:
        scarce queue photos-scarce
        scarce queue photos-scarce --budget 50 --export questions.csv
    """
    with screen(as_json, quiet, debug) as out:
        from scarce.errors import ConfigError, DataError
        from scarce.flywheel.draw import ask
        from scarce.loop.asking import LABEL, questions, write_questions
        from scarce.project import Project
        from scarce.review import write_page

        if export is not None and export.suffix.lower() not in {".csv", ".html"}:
            raise ConfigError("queue", f"--export {export}", do="name a file that ends in .csv or .html; for Label "
                              "Studio: scarce label export --label-studio URL")  # fmt: skip
        folder = folder_of(project, named)
        with Project.open(folder) as opened:
            found, why, written = None, "", 0
            try:
                found = ask(
                    opened, budget=budget, period=period.value if period else "", strategy=strategy or "",
                    dry_run=dry_run, workers=workers, seed=seed,
                )  # fmt: skip
            except DataError as error:
                if export is None or dry_run or not questions(opened, opened.dataset(), (LABEL,)):
                    raise
                why = error.what
            if export is not None and not dry_run:
                write = write_page if export.suffix.lower() == ".html" else write_questions
                written = write(opened, opened.dataset(), export, (LABEL,))
        body = {**(found.to_json() if found else {"asked": 0, "rows": [], "notes": [why]}), "dry_run": dry_run,
                "exported": written}  # fmt: skip

        def draw(console: Console) -> None:
            if found:
                _draw(console, found, limit)
            else:
                console.print(f"Nothing new is asked: {safe(why)}.")
            if written:
                console.print(f"{written:,} questions in {safe(relative(export or Path()))}.")
            elif found and found.waiting and not dry_run:
                at = safe(str(folder))
                console.print(f"{found.waiting:,} questions wait. At the terminal, or as a page with the pictures:")
                console.print(
                    f"  scarce label session {at}", f"  scarce label export {at} --page questions.html", sep="\n"
                )

        out.show(body, draw)


def _draw(console: Console, found: Asked, limit: int) -> None:
    if found.rows:
        audit = sum(row["kind"] == "audit" for row in found.rows)
        rows = [(place, row["kind"], row["id"], row["reason"].partition(": ")[2])
                for place, row in enumerate(found.rows, 1)]  # fmt: skip
        title = f"{audit} of {found.frame:,} new samples drawn at random, {len(rows)} questions in all"
        if limit:
            console.print(table(("", "for", "sample", "why"), rows[:limit], title=title, right=("",)))
        else:
            console.print(f"{title}.")
        if len(rows) > limit > 0:
            console.print(f"and {len(rows) - limit} more")
    for note in found.notes:
        console.print(f"Note: {safe(note)}.")
    money = found.budget
    console.print(f"{money.period}: {money.spent} of {money.total} labels are spent, {money.left} are left.")
