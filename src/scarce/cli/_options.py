"""Options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else to stdout.")]
Quiet: TypeAlias = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]
Debug: TypeAlias = Annotated[
    bool, typer.Option("--debug", help="Show the traceback of a fault, warnings and log lines.")
]
Seed: TypeAlias = Annotated[int, typer.Option("--seed", min=0, help="Seed of everything random.")]
Workers: TypeAlias = Annotated[
    int | None, typer.Option("--workers", min=1, help="Threads.", show_default="all cores", metavar="N")
]
ProjectFolder: TypeAlias = Annotated[
    Path | None,
    typer.Argument(metavar="[PROJECT]", help="Folder of the project.", show_default="the working directory"),
]
InProject: TypeAlias = Annotated[
    Path | None,
    typer.Option("--project", metavar="DIR", help="Folder of the project.", show_default="the working directory"),
]
Version: TypeAlias = Annotated[
    str | None, typer.Option("--version", help="Number or tag of the version.", show_default="the newest")
]
LabelColumn: TypeAlias = Annotated[str | None, typer.Option("--label", help="Column of the label.")]
GroupColumn: TypeAlias = Annotated[
    str | None, typer.Option("--group", help="Column that must not be cut: part, lot, patient.")
]
SplitColumn: TypeAlias = Annotated[str | None, typer.Option("--split", help="Column of a given split.")]
TimeColumn: TypeAlias = Annotated[str | None, typer.Option("--time", help="Column of the time of capture.")]
TextColumn: TypeAlias = Annotated[str | None, typer.Option("--text", help="Column of the text.")]


class FailOn(StrEnum):
    """From which severity on a gate fails."""

    warning = "warning"
    error = "error"
    never = "never"


FailFrom: TypeAlias = Annotated[FailOn, typer.Option("--fail-on", help="Exit with code 1 from this severity on.")]


def folder_of(*given: Path | None) -> Path:
    """Return the project's folder: the one that was named, or the working directory."""
    return next((path for path in given if path is not None), Path())


def three_shares(text: str | None) -> tuple[float, float, float] | None:
    """Read ``0.7,0.1,0.2``; None stays None."""
    if text is None:
        return None
    try:
        train, val, test = (float(part) for part in text.strip("()[] ").split(","))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not three numbers like 0.7,0.1,0.2", param_hint="--ratios") from None
    return train, val, test


def pairs(values: list[str] | None, *, option: str) -> dict[str, str]:
    """Read repeated ``a=b``."""
    found = {}
    for value in values or []:
        left, sign, right = value.partition("=")
        if not sign or not left or not right:
            raise typer.BadParameter(f"{value!r} is not of the form OLD=NEW", param_hint=option)
        found[left] = right
    return found
