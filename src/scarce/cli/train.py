"""``scarce train``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scarce.cli._options import AsJson, Debug, InProject, ProjectFolder, Quiet, Seed, Version, Workers, folder_of
from scarce.cli._screen import relative, safe, screen

if TYPE_CHECKING:
    from rich.console import Console


def train(
    project: ProjectFolder = None,
    named: InProject = None,
    version: Version = None,
    trainer: Annotated[
        str | None, typer.Option(help="auto, linear_probe, finetune or blend.", show_default="that of scarce.toml")
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(help="A loss by name: focal, ldam_drw, balanced_softmax ...", show_default="the trainer's"),
    ] = None,
    class_weights: Annotated[
        str | None,
        typer.Option(
            metavar="auto|LIST", help="Inverse frequency, or a weight for each class: 1,2.5,10.", show_default="none"
        ),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.0, help="Time budget of a network.", show_default="none")
    ] = None,
    workers: Workers = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train a model on the train split.

    Test samples are never looked at. The model goes to .scarce/models: safetensors weights and a JSON card. Training of
    a network resumes after an interruption.

    Example:
        scarce train photos-scarce --trainer linear-probe
        scarce train photos-scarce --trainer finetune --minutes 10
        scarce train photos-scarce --trainer finetune --loss ldam_drw
        scarce train photos-scarce --loss cross-entropy --class-weights auto
    """
    with screen(as_json, quiet, debug) as out:
        from scarce.cli._work import fit, weights_of
        from scarce.loop.measure import with_features, with_scan
        from scarce.project import Project

        with Project.open(folder_of(project, named)) as opened:
            name = opened.store.version(version).name
            ds = with_scan(opened, opened.dataset(name), workers=workers)
            ds = with_features(opened, ds, workers=workers, seed=seed)
            given = {"loss": loss and loss.replace("-", "_"), "class_weights": weights_of(class_weights)}
            model, notes = fit(opened, ds, name, trainer=trainer, minutes=minutes, seed=seed, given=given)
            folder = opened.models / f"{name}-{model.card['trainer']}"
            model.save(folder)
        body = {"model": str(folder), "version": name, "notes": notes, "card": model.card}

        def draw(console: Console) -> None:
            for note in notes:
                console.print(note)
            console.print(f"{model.card['trainer']} of {name} in {model.card['seconds']} s: {safe(relative(folder))}")
            console.print(f"Next: scarce evaluate {safe(relative(opened.folder))}")

        out.show(body, draw)
