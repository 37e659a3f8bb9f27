"""What ``scarce predict`` says about boxes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scarce.cli._screen import table

if TYPE_CHECKING:
    from rich.console import Console


def refuse_out(drawn: Path | None, model: Path) -> None:
    """Refuse to draw boxes for a model that finds none.

    Raises:
        ConfigError: a folder was named.
    """
    from scarce.errors import ConfigError

    if drawn is not None:
        raise ConfigError("predict", f"--out draws boxes, and {model} is no detector", do="leave it out")


def boxes_of(
    model: Any, files: list[Path], written: tuple[Path | None, bool], folder: Path | None
) -> tuple[dict[str, Any], Callable[[Console], None]]:
    """Draw boxes on files; return what is told to programs and to people.

    Args:
        model: a detector.
        files: pictures and folders.
        written: a file for the answers and whether it is JSON; None = no file.
        folder: for pictures with boxes drawn; None = none.
    """
    from scarce.train import detection

    output, as_json = written
    found = detection.detect(model, files)
    pictures = [] if folder is None else detection.draw(model, found, folder)
    if output is not None:
        (detection.write_json if as_json else detection.write_csv)(found, output)
    broken = sum(item.error is not None for item in found)
    body = {"n": len(found), "unreadable": broken, "output": output, "pictures": [str(path) for path in pictures],
            "predictions": found}  # fmt: skip

    def draw(console: Console) -> None:
        rows = [
            (
                item.path,
                f"{len(item.boxes)}",
                item.error or ", ".join(f"{b['label']} {b['score']:.2f}" for b in item.boxes[:4]),
            )
            for item in found
        ]
        console.print(table(("file", "boxes", "the surest"), rows, right=("boxes",)))

    return body, draw
