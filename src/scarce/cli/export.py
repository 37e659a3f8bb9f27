"""``scarce export``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scarce.cli._options import AsJson, Debug, InProject, Quiet, Version, folder_of
from scarce.cli._screen import Screen, relative, safe, screen

if TYPE_CHECKING:
    from rich.console import Console


def export(
    out_path: Annotated[
        Path | None, typer.Argument(metavar="[OUT]", help="With --format: a new folder, or a new file such as a.json.")
    ] = None,
    project: InProject = None,
    version: Version = None,
    metadata: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the lineage as JSON: every step with its hashes.")
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option("--format", metavar="NAME", help="Samples: coco, yolo, voc ...; a model: onnx, model_card."),
    ] = None,
    model: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of a model.", show_default="the project's newest")
    ] = None,
    evaluation: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What scarce evaluate --json printed, for the model card.")
    ] = None,
    files: Annotated[
        str | None,
        typer.Option(metavar="HOW", help="Pictures: copy, link or none.", show_default="copy; none with one file"),
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
    """Write samples for other tools, a model as ONNX or as a card, or the lineage as JSON or for DVC.

    With --format the kept samples, their labels, boxes, masks, splits and groups are written to OUT, which must be
    new: coco, croissant, csv, cvat, huggingface, jsonl, label_studio, parquet, voc or yolo. What a format has no place
    for is listed.

    --format onnx OUT.onnx writes a model as one graph: preprocessing, network, temperature and operating point, checked
    on pictures of the project; scarce predict OUT.onnx needs no torch. --format model_card OUT.md (or .html) says for
    people what a model is, how good, and what it was not tested on.

    With --dvc every version on the way is a stage: dvc repro does again what changed (sources, or values in
    params.json), dvc checkout brings back what was. The data of each stage is Parquet under data/.

    Example:
        scarce export --format coco photos-coco --project photos-scarce
        scarce export --format onnx model.onnx --project photos-scarce
        scarce export --format model_card card.md --project photos-scarce --evaluation evaluation.json
        scarce export --metadata lineage.json --project photos-scarce
        scarce export --dvc --project photos-scarce
    """
    with screen(as_json, quiet, debug) as out:
        from scarce import provenance
        from scarce.cli._export_model import FORMATS, export_model
        from scarce.errors import ConfigError
        from scarce.project import Project

        if sum(map(bool, (metadata, dvc, run, format_))) != 1:
            raise ConfigError("export", "nothing or more than one thing is to be exported",
                              do="give one of --format NAME OUT, --metadata FILE, --dvc and --run STAGE")  # fmt: skip
        if bool(out_path) != bool(format_) or (files and not format_):
            raise ConfigError("export", "OUT, --format and --files belong together",
                              do="for example: scarce export --format coco OUT")  # fmt: skip
        style = (format_ or "").replace("-", "_")
        if style not in FORMATS and (model or evaluation):
            raise ConfigError("export", "--model and --evaluation are for --format onnx and --format model_card")
        if style in FORMATS and out_path is not None:
            if version or files:
                raise ConfigError("export", "--version and --files are for samples, not for a model")
            export_model(out, folder_of(project), out_path, style, model=model, evaluation=evaluation)
            return
        if format_ is not None and out_path is not None:
            _samples(out, folder_of(project), version, out_path, (format_, files))
            return
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


def _samples(out: Screen, folder: Path, version: str | None, path: Path, how: tuple[str, str | None]) -> None:
    """Write the samples of a version in the format of another tool."""
    from scarce import io
    from scarce.project import Project

    with Project.open(folder) as opened:
        written = io.write(opened.store.open(opened.store.version(version).name), path, format=how[0], files=how[1])  # type: ignore[arg-type]
    lines = [f"{written.samples:,} samples written to {relative(path)} as {written.format}"]
    lines += [f"- {count:,} left out: {reason}" for reason, count in written.skipped.items()]
    lines += [f"- {written.format} has no place for {what} ({count:,})" for what, count in written.lost.items()]
    body = {
        "path": str(path), "format": written.format, "samples": written.samples, "files": written.files,
        "skipped": dict(written.skipped), "lost": dict(written.lost),
    }  # fmt: skip

    def draw(console: Console) -> None:
        for line in lines:
            console.print(safe(line))

    out.show(body, draw)
