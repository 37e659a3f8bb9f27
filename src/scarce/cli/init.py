"""``scarce init``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from scarce.cli._options import (
    AsJson,
    Debug,
    GroupColumn,
    LabelColumn,
    Quiet,
    SplitColumn,
    TextColumn,
    TimeColumn,
    Workers,
)  # fmt: skip
from scarce.cli._screen import relative, safe, screen

if TYPE_CHECKING:
    from rich.console import Console

    from scarce.dataset import Dataset

WARNING: Final = 0.5
"""From this score on a finding about the data as a whole is a warning."""


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the project goes; made if it is missing.")],
    source: Annotated[
        Path | None, typer.Option("--from", metavar="SOURCE", help="Read this data as the first version.")
    ] = None,
    name: Annotated[str, typer.Option(help="Shown on reports.", show_default="the folder's name")] = "",
    label: LabelColumn = None,
    group: GroupColumn = None,
    split: SplitColumn = None,
    time: TimeColumn = None,
    text: TextColumn = None,
    workers: Workers = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Make a project, with its settings documented in scarce.toml.

    Your files stay where they are and are not touched.

    Example:
        scarce init photos-scarce --from photos/
    """
    columns = {"label": label, "group": group, "split": split, "time": time, "text": text}
    with screen(as_json, quiet, debug) as out:
        from scarce import io, modality
        from scarce.loop import new_project
        from scarce.project import SETTINGS

        first = io.read(source, **columns) if source is not None else None
        version = None
        with new_project(folder, name=name) as made:
            if first is not None:
                first = modality.scan(first, workers=workers, cache=made.features / "scan")
                version = made.commit(first, f"read {source}", owner=("io", "clean"))
        rows = 0 if first is None else len(first)
        body = {"project": str(folder), "settings": str(folder / SETTINGS), "version": version, "rows": rows}

        def draw(console: Console) -> None:
            console.print(
                f"{safe(relative(folder))} is a project; its settings are in {safe(relative(folder / SETTINGS))}."
            )
            if first is None:
                console.print(f"Next: scarce add SOURCE --project {safe(relative(folder))}")
            else:
                aside = int((~first["keep"].astype(bool)).sum())
                console.print(f"{version}: {rows:,} samples, {len(first.schema.classes)} classes, {aside:,} set aside")
                if not first.schema.classes:
                    for note in _warnings(first):
                        console.print(f"- {safe(note)}")

        out.show(body, draw)


def _warnings(ds: Dataset) -> list[str]:
    """Return what reading warned of as a whole, for example that there is no label."""
    return [
        row["why"] for row in ds.findings.to_pylist()
        if row["check"] == "read" and row["level"] == "data" and row["score"] >= WARNING
    ]  # fmt: skip
