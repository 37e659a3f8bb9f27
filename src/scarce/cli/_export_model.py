"""``scarce export --format onnx`` and ``--format model_card``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scarce.cli._screen import Screen, relative, safe
from scarce.cli._work import model_folder, project_of

if TYPE_CHECKING:
    from scarce.dataset import Dataset
    from scarce.project import Project
    from scarce.train.model import Model

FORMATS = ("onnx", "model_card")
CHECKED_ON = 500
"""Samples of the project that file and original must answer alike, held-out ones first."""


def export_model(
    out: Screen, project: Path, path: Path, style: str, *, model: Path | None, evaluation: Path | None
) -> None:
    """Write a model, the project's newest by default, as ONNX or as a card for people."""
    from scarce._places import HIDDEN
    from scarce.errors import ConfigError
    from scarce.project import SETTINGS, Project
    from scarce.train.model import load

    if evaluation is not None and style != "model_card":
        raise ConfigError("export", "--evaluation is for --format model_card")
    folder = model_folder(model or project)
    loaded = load(folder)
    own = [project_of(folder)] if folder.absolute().parent.parent.name == HIDDEN else []
    homes = [home for home in (project, *own) if (home / SETTINGS).is_file()]
    opened = Project.open(homes[0]) if homes else None
    try:
        if style == "onnx":
            _onnx(out, opened, loaded, path)
        else:
            _card(out, opened, (loaded, folder.name), path, evaluation)
    finally:
        if opened is not None:
            opened.close()


def _onnx(out: Screen, project: Project | None, model: Model, path: Path) -> None:
    from scarce.errors import ConfigError
    from scarce.train.onnx_file import write

    samples = None if project is None else _samples(project, model)
    if samples is None:
        raise ConfigError("export", "there is no sample to check the file on, and an unchecked one is not written",
                          "no project was found" if project is None else f"{project.folder} holds none",
                          "name the project of the model: --project DIR")  # fmt: skip
    checked = write(model, path, check_on=samples)
    assert checked is not None
    told = (
        f"Checked on {checked.samples:,} samples of the project: largest difference of a probability "
        f"{checked.difference:.1g}, other classes {checked.other_classes}, other verdicts {checked.other_verdicts}"
        + (
            ", each so near to a threshold that rounding decides"
            if checked.other_classes + checked.other_verdicts
            else ""
        )
    )
    lines = [
        f"{relative(path)}: {path.stat().st_size / 1e6:.1f} MB, predicts without torch",
        told,
        f"Next: scarce predict {relative(path)} FILES...",
    ]
    body = {"file": str(path), "bytes": path.stat().st_size, "checked": asdict(checked)}
    out.show(body, lambda console: console.print(safe("\n".join(lines))))


def _card(
    out: Screen, project: Project | None, named: tuple[Model, str], path: Path, evaluation: Path | None
) -> None:  # fmt: skip
    from scarce.errors import ConfigError, DataError
    from scarce.report.model_card import parts, refuse_other, to_html, to_markdown

    model, name = named

    writers = {".md": to_markdown, ".html": to_html}
    if path.suffix.lower() not in writers:
        raise ConfigError(
            "export", f"{path.name} ends in {path.suffix or 'nothing'}", "a card is written as .md or .html"
        )
    if path.exists():
        raise DataError("export", f"{path} is there already", do="name a new file: nothing is replaced")
    tested = _evaluated(evaluation)
    if tested is not None:
        refuse_other(model.card, tested, name=name)
    found = parts(model.card, tested=tested, contract=_contract(project))
    text = writers[path.suffix.lower()](found, title=f"Model card: {model.card['trainer']}")
    path.write_text(text, encoding="utf-8")
    said = f"Card written to {relative(path)}"
    if evaluation is None:
        said += "; test figures are added by --evaluation with what scarce evaluate --json printed"
    out.show({"file": str(path), "parts": [asdict(part) for part in found]}, lambda console: console.print(safe(said)))


def _samples(project: Project, model: Model) -> Dataset | None:
    """Return some real samples of the newest version, test and validation first; None without any of the kind."""
    import numpy as np

    if project.head is None:
        return None
    ds = project.dataset()
    real = np.flatnonzero(ds["keep"].astype(bool) & (ds["origin"] == "real"))
    if not len(real) or ds.schema.modality != model.card.get("modality", "image"):
        return None
    held = np.isin(ds["split"][real], ("test", "val"))
    parts = [part[:: max(1, len(part) // CHECKED_ON)][:CHECKED_ON] for part in (real[held], real[~held])]
    return ds.take(np.sort(np.concatenate(parts)[:CHECKED_ON]))


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
