"""``scarce export --format model_card``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scarce.cli._screen import Screen, relative, safe
from scarce.cli._work import model_folder

if TYPE_CHECKING:
    from scarce.project import Project
    from scarce.train.model import Model

FORMATS = ("model_card",)


def export_model(out: Screen, project: Path, path: Path, *, model: Path | None, evaluation: Path | None) -> None:
    """Write the card of a model, the project's newest by default, for people."""
    from scarce.project import SETTINGS, Project
    from scarce.train.model import load

    loaded = load(model_folder(model or project))
    opened = Project.open(project) if (project / SETTINGS).is_file() else None
    try:
        _card(out, opened, loaded, path, evaluation)
    finally:
        if opened is not None:
            opened.close()


def _card(out: Screen, project: Project | None, model: Model, path: Path, evaluation: Path | None) -> None:
    from scarce.errors import ConfigError, DataError
    from scarce.report.model_card import parts, to_html, to_markdown

    writers = {".md": to_markdown, ".html": to_html}
    if path.suffix.lower() not in writers:
        raise ConfigError(
            "export", f"{path.name} ends in {path.suffix or 'nothing'}", "a card is written as .md or .html"
        )
    if path.exists():
        raise DataError("export", f"{path} is there already", do="name a new file: nothing is replaced")
    found = parts(model.card, tested=_evaluated(evaluation), contract=_contract(project))
    text = writers[path.suffix.lower()](found, title=f"Model card: {model.card['trainer']}")
    path.write_text(text, encoding="utf-8")
    said = f"Card written to {relative(path)}"
    if evaluation is None:
        said += "; test figures are added by --evaluation with what scarce evaluate --json printed"
    out.show({"file": str(path), "parts": [asdict(part) for part in found]}, lambda console: console.print(safe(said)))


def _evaluated(path: Path | None) -> dict[str, Any] | None:
    """Return what ``scarce evaluate --json`` printed.

    Raises:
        ReadError: the file cannot be read, or is something else.
    """
    from scarce.errors import ReadError

    if path is None:
        return None
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReadError("export", f"{path} cannot be read ({error})", do="scarce evaluate --json > FILE") from error
    if not isinstance(body, dict) or not {"n", "per_class", "balanced_accuracy"} <= set(body):
        raise ReadError("export", f"{path} is no evaluation", do="scarce evaluate --json > FILE")
    return body


def _contract(project: Project | None) -> str | None:
    """Return in a sentence what the project's data must keep to."""
    contract = None if project is None else project.contract
    if contract is None:
        return None
    told = [f"{name} {value}" for name, value in asdict(contract).items() if value]
    return ", ".join(told)
