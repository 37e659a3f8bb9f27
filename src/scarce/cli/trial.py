"""``scarce trial``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scarce.cli._options import AsJson, Debug, InProject, ProjectFolder, Quiet, folder_of
from scarce.cli._screen import screen, table

if TYPE_CHECKING:
    from rich.console import Console

    from scarce.flywheel.trial import Trial


def trial(
    project: ProjectFolder = None,
    challenger: Annotated[
        str | None,
        typer.Option(
            "--model", metavar="NAME", help="Begin a trial of this one.", show_default="show the one that runs"
        ),
    ] = None,
    why: Annotated[
        str, typer.Option(metavar="WHY", help="Kept in the ledger, with --model.", show_default="none")
    ] = "",
    margin: Annotated[
        float | None,
        typer.Option(
            min=0.001, max=0.999, help="Right answers that may be lost: 0.05 = 5 points.", show_default="scarce.toml"
        ),
    ] = None,
    confidence: Annotated[float, typer.Option(min=0.6, max=0.999, help="Of the verdict, over all looks.")] = 0.95,
    named: InProject = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Compare a challenger with the champion in production; may be looked at at any time.

    With --model that model becomes @challenger; scarce serve lets it answer unseen ([serve] shadow) or in the
    champion's place for a share of the samples ([serve] share). Shown is where the two differ, for which no labels
    are needed, and, from confirmed samples that were drawn at random, whether it loses right answers: a sequential
    test, whose bounds hold however often they are looked at. A trial that shows a loss refuses scarce promote as well.
    Exit code 1 = worse.

    Example:
        scarce trial photos-scarce --model v7-finetune
        scarce trial photos-scarce --json
    """
    with screen(as_json, quiet, debug) as out:
        from scarce.flywheel.trial import begin
        from scarce.flywheel.trial import trial as looked
        from scarce.project import Project

        with Project.open(folder_of(project, named)) as opened:
            if challenger is not None:
                begin(opened, challenger, why=why)
            found = looked(opened, margin=margin, confidence=confidence)
        out.show(found.to_json(), lambda console: _draw(console, found))
    if found.verdict == "worse":
        raise typer.Exit(1)


def _draw(console: Console, found: Trial) -> None:
    how = {"shadow": "both answered", "share": "one of the two answered, by lot"}.get(found.mode or "", "nothing yet")
    console.print(f"{found.challenger} against {found.champion} since {found.since[:16]}: {how}")
    if found.agreement is not None:
        same = found.agreement
        console.print(f"They name the same class on {100 * (same.same or 0):.1f} % of {same.n:,} samples "
                      f"({100 * same.low:.1f} to {100 * same.high:.1f})")  # fmt: skip
        if same.apart:
            rows = [(first, second, f"{count:,}") for first, second, count in same.apart]
            console.print(table((found.champion, found.challenger, "samples"), rows, right=("samples",)))
    if found.mode is not None:
        console.print(f"{found.answered:,} samples answered, {found.labelled:,} confirmed, {found.drawn:,} of them "
                      "drawn at random")  # fmt: skip
    judged = [
        (row.name, f"{row.n:,}", _points(row.champion), _points(row.challenger), f"{100 * row.low:+.1f}",
         f"{100 * row.high:+.1f}", row.verdict) for row in found.evidence if row.n
    ]  # fmt: skip
    if judged:
        names = ("class", "n", "champion", "challenger", "at least", "at most", "")
        console.print(table(names, judged, right=names[1:-1]))
    for line in found.why:
        console.print(line)
    console.print(f"{found.verdict}.")


def _points(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"
