"""``scarce init``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
        from scarce.cli._work import read_warnings
        from scarce.loop import new_project
        from scarce.project import SETTINGS

        first = io.read(source, **columns) if source is not None else None
        version = None
        with new_project(folder, name=name) as made:
            if first is not None:
                first = modality.scan(first, workers=workers, cache=made.features / "scan")
                version = made.commit(first, f"read {source}", owner=("io", "clean"))
        rows = 0 if first is None else len(first)
        notes = [] if first is None else read_warnings(first)
        body = {"project": str(folder), "settings": str(folder / SETTINGS), "version": version, "rows": rows,
                "warnings": notes}  # fmt: skip

        def draw(console: Console) -> None:
            console.print(
                f"{safe(relative(folder))} is a project; its settings are in {safe(relative(folder / SETTINGS))}."
            )
            if first is None:
                console.print(f"Next: scarce add SOURCE --project {safe(relative(folder))}")
            else:
                aside = int((~first["keep"].astype(bool)).sum())
                console.print(f"{version}: {rows:,} samples, {len(first.schema.classes)} classes, {aside:,} set aside")
            for note in notes:
                console.print(f"- {safe(note)}")

        out.show(body, draw)
