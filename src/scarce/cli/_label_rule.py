"""``scarce label rule``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scarce.cli._options import AsJson, Debug, InProject, ProjectFolder, Quiet, Seed, Workers, folder_of
from scarce.cli._screen import safe, screen

if TYPE_CHECKING:
    from rich.console import Console

    from scarce.label.rule import Ruled


def rule(
    project: ProjectFolder = None,
    named: InProject = None,
    functions: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Python file of labelling functions.", show_default="that of scarce.toml"),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="majority, weighted, dawid-skene, triplet, generative or auto.", show_default="that of scarce.toml"
        ),
    ] = None,
    gold: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="CSV with the columns sample (id or path) and label, to choose the model on.",
            show_default="what people labelled in train and pool",
        ),
    ] = None,
    least: Annotated[float, typer.Option(min=0.0, max=1.0, help="Probability that a label needs at least.")] = 0.0,
    ask: Annotated[bool, typer.Option("--ask", help="Put samples that stay undecided into the review queue.")] = False,
    even_so: Annotated[
        bool, typer.Option("--even-so", help="Write labels that gold labels do not prove better than chance, too.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what the functions say and change nothing.")] = False,
    workers: Workers = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Label samples by labelling functions of your own, joined by a label model.

    A function sees one sample without its label (x.text, x.image, x.audio, x.row) and answers with a class, or -1.
    Only samples that no person labelled get a label, with its probabilities, and none of val or test does. Where gold
    labels do not prove the labels better than chance, nothing is written and the exit code is 1. The file is run as it
    is: use only files that you trust.

    Example:
        scarce label rule comments-scarce --functions rules.py --dry-run
        scarce label rule comments-scarce --functions rules.py --gold gold.csv --least 0.8
    """
    with screen(as_json, quiet, debug) as out:
        from scarce.loop.ruling import label_by_rules
        from scarce.project import Project

        with Project.open(folder_of(project, named)) as opened:
            found, version, asked = label_by_rules(
                opened, functions, model=model, gold=gold, least=least, ask=ask, commit=not dry_run, workers=workers,
                seed=seed, even_so=even_so,
            )  # fmt: skip
        body = {**found.to_json(), "version": version, "asked": asked}
        out.show(body, lambda console: _draw(console, found, version, asked))
        if found.refused and not dry_run:
            out.fail()


def _draw(console: Console, found: Ruled, version: str | None, asked: int) -> None:
    """Print the functions, what failed, the model and the labels."""
    from rich.table import Table

    classes = found.dataset.schema.classes
    table = Table("function", "classes", "votes on", "with others", "against others", "right", "interval")
    for one in found.summary:
        right = f"{one.accuracy:.2f} of {one.judged}" if one.judged else "-"
        told = f"{one.low:.2f} to {one.high:.2f}" if one.judged else "-"
        names = ", ".join(classes[code] for code in one.polarity) or "none"
        table.add_row(safe(one.name), safe(names), f"{one.coverage:.1%}", f"{one.overlap:.1%}", f"{one.conflict:.1%}",
                      right, told)  # fmt: skip
    console.print(table)
    for name in found.left_out:
        console.print(safe(f"{name} is left out: gold labels prove it worse than chance; --even-so keeps it"))
    for one in found.summary:
        if one.judged and one.high < 0.5 and one.name not in found.left_out:
            share = f"{one.accuracy:.0%} of {one.judged} gold labels"
            said = f"warning: {one.name} is wrong more often than right ({share}): mend it, or leave it out"
            console.print(safe(said))
    for failure in found.applied.failures:
        said = f"{failure.name} failed on {failure.count:,} samples and abstains there; first: {failure.first}"
        console.print(safe(f"{said} (sample {failure.sample})"))
    body = found.to_json()
    console.print(f"Label model {found.choice.name}: {safe(found.choice.why)}")
    spread = ", ".join(f"{name} {count:,}" for name, count in body["classes"].items())
    console.print(safe(f"{body['labeled']:,} labels ({spread}); {body['undecided']:,} samples stay undecided"))
    if asked:
        console.print(f"{asked:,} of them wait in the review queue")
    for said in found.warnings:
        console.print(safe(f"warning: {said}"))
    if found.refused:
        console.print(safe(f"Nothing is written: {found.refused}. Mend the functions, or take --even-so."))
    console.print(f"version {version}" if version else "Nothing was changed.")
