"""``scarce drift``."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from scarce.cli._options import AsJson, Debug, InProject, ProjectFolder, Quiet, Seed, folder_of
from scarce.cli._screen import screen, table

if TYPE_CHECKING:
    from rich.console import Console

    from scarce.flywheel.drift import Drift


class Per(StrEnum):
    """What a false-alarm rate is of."""

    look = "look"
    year = "year"


class Against(StrEnum):
    """What production is compared with."""

    held_out = "held-out"
    production = "production"


def drift(
    project: ProjectFolder = None,
    days: Annotated[float, typer.Option(min=0.01, max=3660, help="Days of production that are looked at.")] = 7.0,
    rate: Annotated[
        float | None,
        typer.Option("--rate", min=0.0001, max=0.5, help="Chance of any false alarm: 0.01 = 1 %.",
                     show_default="[flywheel] drift_rate"),
    ] = None,
    per: Annotated[Per, typer.Option("--per", help="Whose chance that is: each look's, or a year's of looks.")] = (
        Per.look
    ),
    against: Annotated[
        Against, typer.Option("--against", help="Held-out samples, or the champion's first answers in production.")
    ] = Against.held_out,
    together: Annotated[
        float,
        typer.Option(
            "--together", min=0.0, metavar="MINUTES",
            help="Samples of one source within so many minutes are alike, and count once.", show_default="each counts",
        ),
    ] = 0.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only look; nothing is written.")] = False,
    named: InProject = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    """Compare what the champion met in production with held-out samples of its data.

    Tests the look of the samples (features and measured properties; only with [serve] keep_images = true), the
    predictions (class mix, confidence, shares of unknown and ask), how honest probabilities are on confirmed samples
    that were drawn at random, and groups of unknown samples that may be a new class. The rate is that of all tests of a
    look together. Exit code 1 = an alarm, 0 = none. Each look is a row of the ledger (run drift).

    Example:
        scarce drift photos-scarce
        scarce drift photos-scarce --days 7 --rate 0.05 --per year --json
    """
    with screen(as_json, quiet, debug) as out:
        from scarce.flywheel.drift import Settings
        from scarce.flywheel.drift import drift as looked
        from scarce.project import Project

        with Project.open(folder_of(project, named)) as opened:
            chance = opened.config.flywheel.drift_rate if rate is None else rate
            settings = Settings(
                days=days, rate=chance, per=per.value, against=against.value, together_minutes=together, seed=seed
            )
            found = looked(opened, settings, record=not dry_run)
        out.show({**found.to_json(), "dry_run": dry_run}, lambda console: _draw(console, found))
        if found.alarms:
            out.fail()


def _draw(console: Console, found: Drift) -> None:
    against = "held-out samples" if found.reference == "held-out" else "its first answers in production"
    console.print(
        f"{found.champion}: {found.predictions:,} predictions since {found.since[:16]} UTC, against {against}"
    )
    rows = [
        ("ALARM" if test.alarm else "", test.name, f"{test.reference:,}", f"{test.new:,}", _p(test.adjusted), test.said)
        for test in found.tests
        if test.adjusted is not None
    ]
    if rows:
        console.print(table(("", "test", "before", "now", "p", ""), rows, right=("before", "now", "p")))
    untested: dict[str, list[str]] = {}
    for test in found.tests:
        if test.adjusted is None:
            untested.setdefault(test.said, []).append(test.name)
    for why, names in untested.items():
        console.print(f"Not tested: {', '.join(names)}: {why}.")
    for line in (*found.notes, *found.next_steps):
        console.print(line)
    console.print(
        f"{found.verdict}; p is corrected for the number of tests. False alarms: {100 * found.rate:.3g} % of looks "
        f"like this one, {found.expected_a_year:.2g} a year are to be expected."
    )


def _p(value: float | None) -> str:
    return "" if value is None else "<0.0001" if value < 1e-4 else f"{value:.4f}"
