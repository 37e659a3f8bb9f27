"""``scarce label vote``."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from scarce.cli._options import AsJson, Debug, InProject, ProjectFolder, Quiet, Seed, folder_of
from scarce.cli._screen import safe, screen, table

if TYPE_CHECKING:
    from rich.console import Console

    from scarce.loop.voting import Counted


def vote(
    project: ProjectFolder = None,
    named: InProject = None,
    method: Annotated[
        str | None,
        typer.Option(
            help="majority, dawid-skene, one-coin, mace, glad, crowdlab or auto.", show_default="that of scarce.toml"
        ),
    ] = None,
    least: Annotated[float, typer.Option(min=0.0, max=0.999, help="Probability that a label must exceed.")] = 0.5,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Change corrections (of a review, of scarce clean), too.")
    ] = False,
    changed_at: Annotated[
        datetime | None,
        typer.Option(metavar="TIME", help="Compare agreement before and after this time (UTC), as of a new guideline."),
    ] = None,
    next_votes: Annotated[
        int, typer.Option("--next", min=0, help="Name so many votes to ask for: which sample, which annotator.")
    ] = 0,
    most_each: Annotated[
        int,
        typer.Option(
            "--most-each", min=0, help="Votes of --next for one annotator at most.", show_default="an equal part"
        ),
    ] = 0,
    available: Annotated[
        list[str] | None,
        typer.Option(
            "--available",
            metavar="NAME",
            help="Who can be asked; repeat.",
            show_default="all who look before they answer",
        ),
    ] = None,
    ask: Annotated[bool, typer.Option("--ask", help="Put the samples of --next into the queue, too.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the consensus and change nothing.")] = False,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Make one label out of several annotators' votes; doubtful samples go to the review queue.

    Votes are those of the data and the answers since: each answer to a question for a label is one vote. Corrections,
    which is what a review or scarce clean decided, stay. Each annotator's accuracy is told with its interval, and who
    seems to answer without looking.

    Example:
        scarce label vote crowd-scarce --dry-run
        scarce label vote crowd-scarce --method dawid-skene --next 100 --most-each 40 --ask
        scarce label vote crowd-scarce --changed-at 2026-03-01 --dry-run
    """
    with screen(as_json, quiet, debug) as out:
        from scarce.loop.voting import Ahead, count_votes
        from scarce.project import Project

        ahead = Ahead(votes=next_votes, people=tuple(available or ()), most_each=most_each, ask=ask)
        with Project.open(folder_of(project, named)) as opened:
            found = count_votes(
                opened, method=method, least=least, overwrite=overwrite, changed_at=changed_at, ahead=ahead,
                commit=not dry_run, seed=seed,
            )  # fmt: skip
        out.show(found.to_json(), lambda console: _draw(console, found))


def _draw(console: Console, found: Counted) -> None:
    """Print annotators, labels, questions, the change of agreement, and whom to ask next."""
    body = found.to_json()
    notes = {"constant": "always one class", "random": "no better than chance", "contrary": "rather the opposite"}
    heads = ("annotator", "votes", "right", "interval", "skill", "note")
    rows = [
        (one.name, f"{one.votes:,}", f"{one.accuracy:.2f}", f"{one.low:.2f} to {one.high:.2f}",
         "-" if one.skill != one.skill else f"{one.skill:.2f}", notes.get(one.verdict, ""))
        for one in found.voted.annotators[:40]
    ]  # fmt: skip
    console.print(table(heads, rows, right=("votes", "right", "skill")))
    if len(found.voted.annotators) > 40:
        console.print(f"and {len(found.voted.annotators) - 40} more annotators; --json lists all")
    for name, count in body["unknown"].items():
        console.print(safe(f"{count:,} votes name {name!r}, which is no class; they do not count"))
    said = f"{body['votes']:,} votes on {body['samples']:,} samples, {body['method']}: {body['labeled']:,} labels"
    console.print(f"{said}; {body['kept']:,} corrections by a person stay; {body['doubtful']:,} samples are doubtful")
    merged = f"{body['several']:,} of these labels join the votes of two people or more"
    console.print(merged + f"; {body['annotations']:,} answers were merged with the votes" * bool(body["annotations"]))
    if found.change is not None:
        change = found.change
        console.print(
            f"Agreement (alpha) {change.before:.3f} before, {change.after:.3f} after: {change.difference:+.3f} "
            f"({change.low:+.3f} to {change.high:+.3f}), {change.verdict}"
        )
    for item in body["next"][:20]:
        console.print(safe(f"ask {item['annotator']} about {item['file']} ({item['bits']:.2f} bits)"))
    if body["asked"]:
        console.print(f"{body['asked']:,} samples wait in the review queue")
    console.print(f"version {found.version}" if found.version else "Nothing was changed.")
