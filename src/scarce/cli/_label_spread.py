"""``scarce label spread``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scarce.cli._options import AsJson, Debug, InProject, ProjectFolder, Quiet, Seed, Workers, folder_of
from scarce.cli._screen import screen, table

if TYPE_CHECKING:
    from rich.console import Console


def spread(
    project: ProjectFolder = None,
    named: InProject = None,
    method: Annotated[
        str | None, typer.Option(help="Method: spectral, poisson, laplace.", show_default="that of scarce.toml")
    ] = None,
    confidence: Annotated[
        float | None, typer.Option(min=0, max=1, help="From here on it becomes a label.", show_default="scarce.toml")
    ] = None,
    share: Annotated[
        list[str] | None,
        typer.Option(metavar="CLASS=SHARE", help="Known share of a class; *=1 for all the same. May be repeated."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be written.")] = False,
    workers: Workers = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Spread a few labels over their unlabelled neighbors, as a new version.

    Confident ones become soft labels with source model; people's labels, val and test stay as they are. Labels that
    were held out say how many are right; with too few of these nothing is claimed.

    Example:
        scarce label spread photos-scarce
        scarce label spread photos-scarce --confidence 0.9 --share ok=0.9 --share stain=0.1
    """
    with screen(as_json, quiet, debug) as out:
        from dataclasses import replace

        from scarce.cli._options import pairs
        from scarce.label import spread as stage
        from scarce.loop.measure import with_features
        from scarce.project import Project

        shares = {name: number(text) for name, text in pairs(share, option="--share").items()}
        with Project.open(folder_of(project, named)) as opened:
            settings = opened.config.label.spread
            options = stage.Options(
                method=method or settings.method, neighbors=settings.neighbors, shares=shares or None,
                confidence=settings.confidence if confidence is None else confidence,
            )  # fmt: skip
            name = stage.plugin_of(options.method)
            options = replace(options, settings=settings.plugins.get(name, {}))
            ds = with_features(opened, opened.dataset(), workers=workers, seed=seed)
            ds, body = stage.run(ds, options, seed=seed, workers=workers)
            body["version"] = opened.commit(ds, "label", owner=("label",)) if body["written"] and not dry_run else None

        def draw(console: Console) -> None:
            rows = [(cls, f"{count:,}") for cls, count in body["per_class"].items()]
            console.print(table(("class", "new labels"), rows, right=("new labels",)))
            kept = f"as version {body['version']}" if body["version"] else "nothing was written"
            console.print(
                f"{body['written']:,} of {body['unlabelled']:,} unlabelled samples named from {body['labels']:,} "
                f"labels by {body['method']}: {kept}."
            )
            console.print(verdict(body))

        out.show(body, draw)


def number(text: str) -> float:
    """Read a share.

    Raises:
        BadParameter: it is no number.
    """
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no number", param_hint="--share") from None


def verdict(body: dict[str, object]) -> str:
    """Return the sentence that says how far the labels can be trusted."""
    found = body["check"]
    assert isinstance(found, dict)
    precision = found["precision"]
    if not found["held_out"]:
        return "Too few labels to hold any out: how many of these are right is unknown; confidence is not calibrated."
    if not precision["n"]:
        return f"None of {found['held_out']} held-out labels reached this confidence: nothing is known about such."
    return (
        f"Of {precision['n']} held-out labels at this confidence {precision['value']:.1%} came back right "
        f"(95 %: {precision['low']:.1%} to {precision['high']:.1%})."
    )
