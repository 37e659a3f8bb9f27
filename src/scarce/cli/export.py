"""``scarce export``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from scarce.cli._options import AsJson, Debug, InProject, Quiet, Version, folder_of
from scarce.cli._screen import relative, safe, screen


def export(
    project: InProject = None,
    version: Version = None,
    metadata: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the lineage as JSON: every step with its hashes.")
    ] = None,
    dvc: Annotated[bool, typer.Option("--dvc", help="Write dvc.yaml and params.json.")] = False,
    to: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where they go.", show_default="the project's folder")
    ] = None,
    run: Annotated[
        str | None, typer.Option(metavar="STAGE", help="Do one stage of params.json; this is what dvc repro calls.")
    ] = None,
    functions: Annotated[
        list[Path] | None, typer.Option(metavar="FILE.py", help="File of your own functions that are steps.")
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write a version's lineage as JSON, or as a pipeline for DVC.

    With --dvc every version on the way is a stage: dvc repro does again what changed (sources, or values in
    params.json), dvc checkout brings back what was. The data of each stage is Parquet under data/.

    Example:
        scarce export --metadata lineage.json --project photos-scarce
        scarce export --dvc --project photos-scarce
    """
    with screen(as_json, quiet, debug) as out:
        from scarce import provenance
        from scarce.errors import ConfigError
        from scarce.project import Project

        if sum(map(bool, (metadata, dvc, run))) != 1:
            raise ConfigError("export", "nothing or more than one thing is to be exported",
                              do="give one of --metadata FILE, --dvc and --run STAGE")  # fmt: skip
        if run is not None:
            own = {name: made for path in functions or () for name, made in provenance.functions_of(path).items()}
            made = provenance.run_stage(to or Path(), run, own)
            said = f"{run}: {len(made):,} samples"
            out.show({"stage": run, "rows": len(made)}, lambda console: console.print(safe(said)))
            return
        with Project.open(folder_of(project)) as opened:
            if metadata is not None:
                body = provenance.metadata(opened, version)
                metadata.write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
                said = f"{len(body['steps'])} steps of {body['version']} written to {relative(metadata)}"
                shown = {"version": body["version"], "steps": len(body["steps"]), "file": str(metadata)}
                out.show(shown, lambda console: console.print(safe(said)))
                return
            stages = provenance.write_pipeline(opened, to, version=version, functions=functions or ())
            place = to or opened.folder
        text = f"{len(stages)} stages in {relative(place / 'dvc.yaml')}: {', '.join(stages)}. Next: dvc repro"
        out.show({"stages": stages, "folder": str(place)}, lambda console: console.print(safe(text)))
