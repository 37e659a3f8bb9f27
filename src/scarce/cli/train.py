"""``scarce train``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scarce.cli._options import AsJson, Debug, InProject, ProjectFolder, Quiet, Seed, Version, Workers, folder_of
from scarce.cli._screen import relative, safe, screen

if TYPE_CHECKING:
    from rich.console import Console


def train(
    project: ProjectFolder = None,
    named: InProject = None,
    version: Version = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "--trainer",
            metavar="NAME",
            show_default="that of scarce.toml",
            help="A trainer (linear_probe, finetune, gradient_boosting ...), or a network by its name, as resnet18.",
        ),
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="focal, ldam_drw ...", show_default="the trainer's own"),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes over the training data.", show_default="the trainer's own")
    ] = None,
    augment: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Augmentation while training: a policy in TOML, or a preset.", show_default="light"
        ),
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
    start: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A model whose network training begins with: a name, @champion or a folder.",
            show_default="none",
        ),
    ] = None,
    foreign: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Samples of none of the classes: what the model shall call unknown is tuned on them.",
            show_default="made from held-back pictures",
        ),
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
        scarce train photos-scarce --model linear-probe
        scarce train photos-scarce --model convnext_atto --epochs 30 --augment policy.toml
        scarce train photos-scarce --model finetune --loss ldam_drw
        scarce train photos-scarce --loss cross-entropy --class-weights auto
        scarce train boards-scarce --model detector --loss focal
        scarce train photos-scarce --model finetune --start @champion
    """
    told: dict[str, Any] = {
        "loss": loss and loss.replace("-", "_"), "epochs": epochs, "policy": augment, "minutes": minutes,
    }  # fmt: skip
    from scarce.train import is_main

    with screen(as_json, quiet or not is_main(), debug) as out:
        from scarce.cli._work import check_names, fit, started, weights_of
        from scarce.loop.fitting import fresh_place, held_told
        from scarce.loop.measure import with_features, with_scan
        from scarce.project import Project
        from scarce.train import draws_boxes
        from scarce.train.model import WEIGHTS

        told["class_weights"] = weights_of(class_weights)
        with Project.open(folder_of(project, named)) as opened:
            name = opened.store.version(version).name
            ds = opened.dataset(name)
            told["start"] = None if start is None else str(started(opened, start))
            check_names(opened, ds.schema.modality, ds.schema.classes, model=model, told=told)
            ds = with_scan(opened, ds, workers=workers)
            if not draws_boxes(model or opened.config.train.trainer, ds.schema.modality):  # which see pixels only
                ds = with_features(opened, ds, workers=workers, seed=seed)
            fitted, notes = fit(opened, ds, name, model=model, told=told, seed=seed, foreign=foreign)
            if not is_main():  # several processes train one model, and the first of them keeps it
                return
            folder = fresh_place(opened, f"{name}-{fitted.card['trainer']}", fitted.card)
            size = (fitted.save(folder) / WEIGHTS).stat().st_size
        body = {"model": str(folder), "version": name, "bytes": size, "notes": notes, "card": fitted.card}

        def draw(console: Console) -> None:
            for note in notes:
                console.print(note)
            what = f"{fitted.card['trainer']} of {name} in {fitted.card['seconds']} s"
            console.print(f"{what}, {size / 1e6:.1f} MB: {safe(relative(folder))}")
            if held_told(fitted.card):
                console.print(held_told(fitted.card))
            console.print(f"Next: scarce evaluate {safe(relative(opened.folder))}")

        out.show(body, draw)
