"""``scarce encode``."""

from __future__ import annotations

from typing import Annotated

import typer

from scarce.cli._options import AsJson, Debug, InProject, ProjectFolder, Quiet, Seed, Version, Workers, folder_of
from scarce.cli._screen import screen, size


def encode(
    project: ProjectFolder = None,
    named: InProject = None,
    version: Version = None,
    encoder: Annotated[
        str | None, typer.Option(help="Encoder plugin, or timm:MODEL.", show_default="that of scarce.toml")
    ] = None,
    pixels: Annotated[
        int | None, typer.Option("--size", min=8, help="Side of encoded pictures.", show_default="told by the data")
    ] = None,
    workers: Workers = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Turn every sample into features, cached by content.

    What is cached already is not computed again; an interrupted run goes on where it stopped. No version is made:
    features can always be computed again.

    Example:
        scarce encode photos-scarce
        scarce encode photos-scarce --encoder pixel --size 64
        scarce encode photos-scarce --encoder timm:resnet18
    """
    with screen(as_json, quiet, debug) as out:
        import time

        from scarce.cli._work import embedding_of
        from scarce.loop.measure import with_features, with_scan
        from scarce.project import Project

        begun = time.perf_counter()
        with Project.open(folder_of(project, named)) as opened:
            ds = with_scan(opened, opened.dataset(version), workers=workers)
            ds = with_features(opened, ds, encoder=encoder, size=pixels, workers=workers, seed=seed)
            cached = opened.status()["bytes"]["features"]
        name = embedding_of(ds)
        body = {
            "column": name, "samples": int(ds["keep"].sum()), "dimensions": ds[name].shape[1],
            "params": ds.steps[-1].params, "cache_bytes": cached, "seconds": round(time.perf_counter() - begun, 2),
        }  # fmt: skip
        said = (
            f"{name}: {body['samples']:,} samples, {body['dimensions']} dimensions, {body['seconds']} s; "
            f"the cache holds {size(cached)}"
        )
        out.show(body, lambda console: console.print(said))
