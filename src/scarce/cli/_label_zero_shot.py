"""``scarce label zero-shot``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scarce.cli._options import AsJson, Debug, InProject, ProjectFolder, Quiet, Seed, Workers, folder_of
from scarce.cli._screen import safe, screen, table

if TYPE_CHECKING:
    from rich.console import Console


def zero_shot(
    project: ProjectFolder = None,
    named: InProject = None,
    method: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="image_text or prototype.", show_default="by what is given"),
    ] = None,
    prompts: Annotated[
        Path | None, typer.Option(metavar="FILE", help="TOML or JSON with templates, names and prompts.")
    ] = None,
    prompt: Annotated[
        list[str] | None, typer.Option(metavar="CLASS=SENTENCE", help="One sentence about a class; repeat.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="Image-text model: a name of the hub, or a folder.")
    ] = None,
    precision: Annotated[
        float | None, typer.Option(min=0.5, max=1.0, help="Wanted precision.", show_default="that of the settings")
    ] = None,
    per_class: Annotated[
        bool, typer.Option("--per-class", help="Choose a threshold for each class by itself.")
    ] = False,
    unproven: Annotated[
        bool, typer.Option("--unproven", help="Also label classes whose own precision is not proven.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the report and change nothing.")] = False,
    workers: Workers = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Label what a model is sure about; the rest goes to the review queue.

    With words for the classes an image-text model compares pictures with them; without, a few labelled examples per
    class serve as prototypes. The threshold is the one for which held-out labelled rows prove the wanted precision;
    where none does, nothing is labelled and the report says why. A class whose own precision is not proven is left to
    people, unless --unproven is given.

    Example:
        scarce label zero-shot photos-scarce --dry-run
        scarce label zero-shot photos-scarce --prompts prompts.toml --precision 0.95
        scarce label zero-shot photos-scarce --method prototype --per-class
    """
    with screen(as_json, quiet, debug) as out:
        from scarce.loop import zero_shot as stage
        from scarce.project import Project

        with Project.open(folder_of(project, named)) as opened:
            settings = _settings(prompts, prompt, model)
            ds, found = stage.proposed(
                opened, method, precision=precision, per_class=per_class, unproven=unproven, settings=settings,
                workers=workers, seed=seed,
            )  # fmt: skip
            written = None if dry_run else stage.write(opened, ds, found)
        body = {**found.to_json(), **(written.to_json() if written else {"version": None})}
        out.show(body, lambda console: _draw(console, body, dry_run=dry_run))


def _settings(prompts: Path | None, prompt: list[str] | None, model: str | None) -> dict[str, Any]:
    from scarce.label.zero_shot import read_prompts

    found: dict[str, Any] = read_prompts(prompts) if prompts is not None else {}
    if prompt:
        found["prompts"] = [*found.get("prompts", []), *prompt]
    return {**found, **({"model": model} if model else {})}


def _draw(console: Console, body: dict[str, Any], *, dry_run: bool) -> None:
    rows = [
        (one["name"], one["labelled"], one["proposed"], one["taken"], _range(one, "precision", "low", "high"),
         _range(one, "auroc", "auroc_low", "auroc_high"), one["verdict"])
        for one in body["classes"]
    ]  # fmt: skip
    heads = ("class", "labelled", "proposed", "taken", "precision", "AUROC", "")
    console.print(table(heads, rows, right=heads[1:4]))
    for one in body["details"].get("templates", ()):
        console.print(safe(f'template "{one["template"]}": accuracy {_range(one, "accuracy", "low", "high")}'))
    for name, gate in body["gates"].items():
        if gate["opens"]:
            said = f"confidence from {gate['threshold']:.3f}: precision {gate['precision']:.3f}"
            console.print(safe(f"{name}: {said}, at least {gate['low']:.3f}, coverage {gate['coverage']:.0%}"))
    for note in body["notes"]:
        console.print(safe(f"note: {note}"))
    verb = "would be labelled" if dry_run else "labelled"
    said = f"{body['taken']:,} of {body['judged']:,} rows {verb}, {body['unsure']:,} are for people"
    if body.get("version"):
        said = f"{body['version']}: {said}; {body['seconds_saved'] / 3600:.1f} hours of labelling saved"
    console.print(said)


def _range(row: dict[str, Any], value: str, low: str, high: str) -> str:
    return "-" if row[value] != row[value] else f"{row[value]:.3f} [{row[low]:.3f}, {row[high]:.3f}]"
