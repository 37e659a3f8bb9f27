"""Where projects lie, and files that are written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HIDDEN = ".scarce"


def nearest(folder: Path) -> str:
    """Name a project above, beside or directly below a folder."""
    places = [*folder.absolute().parents]
    for around in (folder, folder.absolute().parent):
        if around.is_dir():
            places += sorted(item for item in around.iterdir() if item.is_dir())
    near = next((place for place in places if (place / HIDDEN / "project.json").is_file()), None)
    return f"the closest project is {near}" if near else "" if folder.exists() else "that folder does not exist"


def write_json(path: Path, body: Mapping[str, Any]) -> None:
    """Write a JSON file in place of the one before."""
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
    part.replace(path)


def size_of(place: Path) -> int:
    """Return the bytes of all files below a folder; 0 where there is none."""
    return sum(path.stat().st_size for path in place.rglob("*") if path.is_file()) if place.exists() else 0
