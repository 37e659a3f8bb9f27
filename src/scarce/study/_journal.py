"""What a study has measured so far: one JSON object a line, so that an interrupted one goes on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scarce.errors import ReadError


class Journal:
    """Measured results by key; a line that a crash cut short is dropped.

    Args:
        path: the file; None = results stay in memory.
        setting: everything that results depend on; a file with results of another setting is refused.

    Raises:
        ReadError: the file belongs to another setting or cannot be read.
    """

    def __init__(self, path: Path | None, setting: Mapping[str, Any]) -> None:
        self.path = path
        self.done: dict[str, Any] = {}
        if path is None:
            return
        said = json.loads(json.dumps(setting))
        lines = self._lines(path)
        if lines[1:] and lines[0].get("setting") != said:
            raise ReadError(
                "study", f"{path} holds results of another setting", _unlike(lines[0].get("setting") or {}, said),
                "name another file with --out, or take that one away",
            )  # fmt: skip
        lines = lines if lines[1:] else []
        self.done = {line["key"]: line["result"] for line in lines[1:] if "key" in line}
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = [{"setting": said}, *({"key": key, "result": result} for key, result in self.done.items())]
        part = path.with_name(path.name + ".part")
        part.write_text("".join(json.dumps(line) + "\n" for line in kept), "utf-8")
        part.replace(path)

    @staticmethod
    def _lines(path: Path) -> list[dict[str, Any]]:
        try:
            text = path.read_text("utf-8") if path.exists() else ""
        except (OSError, UnicodeDecodeError) as error:
            raise ReadError("study", f"{path} cannot be read ({error})", do="name another file with --out") from error
        found = []
        for line in text.splitlines():
            try:
                body = json.loads(line)
            except ValueError:
                continue
            if isinstance(body, dict):
                found.append(body)
        return found

    def __contains__(self, key: str) -> bool:
        """Return whether this was measured."""
        return key in self.done

    def add(self, key: str, result: Any) -> None:
        """Keep one result, on disk before the next one begins."""
        self.done[key] = result
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"key": key, "result": result}) + "\n")


def _unlike(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Return in what two settings differ."""
    names = [name for name in {**there, **wanted} if there.get(name) != wanted.get(name)]
    return "; ".join(
        "other samples" if name == "content"
        else f"{name} = {json.dumps(there.get(name))} there, {json.dumps(wanted.get(name))} now" for name in names
    )  # fmt: skip
