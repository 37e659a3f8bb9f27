"""What the stage commands share: reading, and the arrays that live beside a version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scarce.errors import ConfigError, ReadError

if TYPE_CHECKING:
    from scarce.cli._findings import Names
    from scarce.dataset import Dataset
    from scarce.project import Project
    from scarce.train import AbstractTrainer


def listed(rows: Sequence[Mapping[str, Any]], names: Names) -> list[dict[str, Any]]:
    """Return one check's findings for other programs.

    Returns:
        ``check``, ``level``, ``samples`` (paths, or file#row), ``ids``, ``content`` (what each of them says: a text, a
        row of a table; null for all else), ``classes``, ``score`` in [0, 1] (1 = worst), ``severity`` (``note``,
        ``warning`` or ``error``), ``group`` (a number from 1 on for findings about several samples, else null) and
        ``why``.
    """
    from scarce.audit import severity

    places = names.places
    out: list[dict[str, Any]] = []
    groups = 0
    for row in rows:
        members = list(row["members"] or ())
        ids = [] if row["level"] == "class" else [item for item in members if item in places]
        groups += len(ids) > 1
        said = names.words(ids)
        out.append({
            "check": row["check"], "level": row["level"], "samples": [places[item] for item in ids], "ids": ids,
            "content": [said[item] for item in ids] if said else None,
            "classes": [item for item in members if item not in places], "score": row["score"] or 0.0,
            "severity": severity(row), "group": groups if len(ids) > 1 else None, "why": row["why"],
        })  # fmt: skip
    return out


def holds_data(path: Path) -> bool:
    """Return whether a path is data to be read (or nothing at all) rather than the folder of a project."""
    from scarce.project import is_project

    return not is_project(path) and (not path.is_dir() or any(path.iterdir()))


def refuse_columns(columns: Mapping[str, str | None], folder: Path) -> None:
    """Refuse names of columns for a project, which was read already.

    Raises:
        ConfigError: a name was given.
    """
    for name, value in columns.items():
        if value is not None:
            raise ConfigError(
                "audit", f"--{name} {value} says how to read data, and {folder} is a project, read already",
                do=f"leave it out, or pass the data itself in place of {folder}",
            )  # fmt: skip


def embedding_of(ds: Dataset) -> str:
    """Return the column of the features that were added last."""
    return next(name for name in reversed(list(ds.wide)) if name.startswith("embedding."))


def model_folder(path: Path) -> Path:
    """Return the folder of a model: the path itself, or the newest model of a project.

    Raises:
        ReadError: the project holds no model.
    """
    models = path / ".scarce" / "models"
    if not models.is_dir():
        return path
    found = sorted(models.glob("*/card.json"), key=lambda card: card.stat().st_mtime)
    if not found:
        raise ReadError("model", f"{path} holds no model yet", do=f"scarce train {path}")
    return found[-1].parent


def started(project: Project, named: str) -> Path:
    """Return the folder of the model that a training begins with: a name in the project, an alias or a folder.

    Raises:
        ConfigError: there is no such model.
    """
    aliases = project.state.aliases()
    name = aliases.get(named.removeprefix("@"), named) if named.startswith("@") else named
    places = [project.models / name, Path(name)]
    found = next((place for place in places if (place / "card.json").is_file()), None)
    if found is None:
        there = sorted(card.parent.name for card in project.models.glob("*/card.json"))
        raise ConfigError("train", f"--start {named}: there is no such model",
                          f"models: {', '.join([*(f'@{alias}' for alias in aliases), *there]) or 'none'}",
                          "name one of them, or leave it out")  # fmt: skip
    return found


def finding_rows(ds: Dataset, check: str | None = None) -> list[dict[str, Any]]:
    """Return findings as plain values, without the pairs that only link a group and without skipped checks."""
    from scarce.audit import says_skipped

    rows: list[dict[str, Any]] = ds.findings.to_pylist()
    return [row for row in rows if row["level"] != "pair" and check in (None, row["check"]) and not says_skipped(row)]


def read_warnings(ds: Dataset) -> list[str]:
    """Return what reading warned of as a whole: no label, a table beside the pictures that was not read."""
    from scarce.audit import severity
    from scarce.loop.heard import heard

    return [row["why"] for row in heard(ds, ("data",)) if severity(row) != "note"]


def named_by(members: Sequence[str] | None, places: Mapping[str, str], *, most: int = 3) -> str:
    """Return the files (or class names) that a finding is about, for people."""
    shown = [places.get(item, item) for item in (members or ())[:most]]
    return ", ".join(shown) + f" and {len(members or ()) - most} more" * (len(members or ()) > most)


def fit(
    project: Project,
    ds: Dataset,
    version: str,
    *,
    model: str | None,
    told: Mapping[str, Any],
    seed: int,
    foreign: Path | None = None,
) -> tuple[Any, list[str]]:
    """Train on the train split with the project's settings; return the model and sentences for people.

    Args:
        project: for its settings and its checkpoints.
        ds: the version, with features.
        version: its name.
        model: a trainer or a network; None = that of scarce.toml.
        told: settings from the command line, by the trainer's own names; None = not given.
        seed: of everything random.
        foreign: samples of nothing that is known; they choose the guard. None = made ones.

    Raises:
        ConfigError: the trainer has no such setting.
    """
    from scarce import train as stage
    from scarce.loop import boxes
    from scarce.loop.conclude import choose_trainer
    from scarce.loop.fitting import guarded, how_trained, thin_classes, training_view, unguarded
    from scarce.loop.judging import read_plain
    from scarce.loop.measure import with_features
    from scarce.loop.options import Options
    from scarce.loop.prepare import feature_cache

    others = None if foreign is None else read_plain(foreign, ds.schema.modality)
    notes: list[str] = []
    wanted, named = _named(project, ds.schema.modality, model)
    name = wanted if stage.draws_boxes(wanted) else choose_trainer(ds, Options(trainer=wanted), notes)
    kind, params = _settings(project, name, {**told, **named})
    drawn = kind.task == "boxes"
    if "embedding" not in params and not drawn and "embedding" in {field.name for field in fields(kind)}:
        params = {"embedding": embedding_of(ds)} | params
    if kind.encoder is not None:
        ds = with_features(project, ds, encoder=kind.encoder, size=params.get("size"), seed=seed)
    checkpoint = project.models / f"checkpoint-{version}-{kind.plugin_name()}-{seed}"
    view = boxes.training_view(ds) if drawn else training_view(ds)
    notes += [] if drawn else thin_classes(view)
    fitted = stage.fit(
        view, kind.from_params(params), seed=seed, checkpoint=checkpoint,
        tracking=stage.tracking_of(project.config.train.tracking),
    )  # fmt: skip
    fitted = fitted if drawn else (guarded(fitted, view, foreign=others, seed=seed, cache=feature_cache(project)))
    missing = None if drawn else unguarded(fitted, view)
    notes += [said for said in (stage.told_by_pool(fitted.card), missing) if said]
    stored = project.store.open(version)
    training = how_trained(stored, ds, command="train", foreign=foreign and str(foreign.absolute()))
    return fitted.stamped(data={**fitted.card["data"], "version": version}, training=training), notes


def check_names(
    project: Project, modality: str, classes: Sequence[str], *, model: str | None, told: Mapping[str, Any]
) -> None:
    """Refuse a model, a loss or a setting that does not exist, before any data is read for it.

    Args:
        project: for its settings.
        modality: the kind of data.
        classes: of the data.
        model: a trainer or a network; None = that of scarce.toml.
        told: settings from the command line, by the trainer's own names; None = not given.

    Raises:
        UnknownNameError: there is no such model, loss or sound class; the message names the closest ones.
        ConfigError: the trainer has no such setting, or not such a value.
    """
    from typing import get_args

    from scarce.errors import unknown_name
    from scarce.loop.fitting import refuse_settings
    from scarce.train._named_loss import LossName

    loss = told.get("loss")
    if loss is not None and loss not in get_args(LossName):
        raise unknown_name("train", "loss", loss, get_args(LossName))
    strange = sorted(set(project.config.project.normal_classes) - set(classes))
    if strange:
        raise unknown_name("scarce.toml", "class (in normal_classes)", strange[0], classes)
    wanted, named = _named(project, modality, model)
    refuse_settings(project.config.train, wanted)
    if wanted != "auto":  # which data chooses
        kind, params = _settings(project, wanted, {**told, **named})
        kind.from_params(params)


def _named(project: Project, modality: str, model: str | None) -> tuple[str, dict[str, Any]]:
    """Return the trainer, or ``auto``, and the settings that the name of a model stands for."""
    from scarce import train as stage

    wanted = model or project.config.train.trainer
    return ("auto", {}) if wanted == "auto" else stage.trainer_of(wanted, modality)


def _settings(project: Project, trainer: str, told: Mapping[str, Any]) -> tuple[type[AbstractTrainer], dict[str, Any]]:
    """Return the class of a trainer and its settings: those of scarce.toml, and above them what was told."""
    from scarce import registry
    from scarce import train as stage
    from scarce.loop.fitting import trainer_settings

    kind = registry.load("train", trainer, stage.AbstractTrainer)  # type: ignore[type-abstract]
    known = {field.name for field in fields(kind)}
    given = {key: value for key, value in told.items() if value is not None}
    strange = sorted(set(given) - known - {"minutes", "network", "checkpoint"})
    if strange:
        option = {"policy": "augment"}.get(strange[0], strange[0]).replace("_", "-")
        raise ConfigError("train", f"{trainer} takes no --{option}", f"its settings are {', '.join(sorted(known))}",
                          "leave it out, or take another --model")  # fmt: skip
    given = {key: value for key, value in given.items() if key in known}
    return kind, trainer_settings(project.config.train, trainer) | given


def weights_of(text: str | None) -> str | list[float] | None:
    """Return what ``--class-weights`` says: ``auto``, or one number for each class.

    Raises:
        ConfigError: neither.
    """
    if text is None or text.strip() == "auto":
        return None if text is None else "auto"
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise ConfigError(
            "train", f"--class-weights {text!r} is neither auto nor numbers", do="write them as 1,2.5,10"
        ) from error


def split_counts(ds: Dataset) -> dict[str, dict[str, int]]:
    """Return class to split to number of kept rows."""
    counts: dict[str, dict[str, int]] = {name: {} for name in ds.schema.classes}
    kept = ds.usable()
    for label, split in zip(kept.table["label"].to_pylist(), kept.table["split"].to_pylist(), strict=True):
        row = counts.setdefault(label or "(unlabelled)", {})
        row[split or "none"] = row.get(split or "none", 0) + 1
    return counts


def project_of(model: Path) -> Path:
    """Return the folder of the project that a model's folder lies in."""
    return model.absolute().parents[2]


def is_stale(folder: Path, model: Any) -> bool:
    """Return whether a model lies in a project whose classes are others now, or were changed since it was trained."""
    from scarce import classes
    from scarce._places import HIDDEN
    from scarce.errors import ScarceError
    from scarce.project import Project

    if folder.absolute().parent.parent.name != HIDDEN:
        return False
    try:
        with Project.open(project_of(folder)) as project:
            if project.head is None:
                return False
            now = project.dataset()
            if model.stale(now.schema):
                return True
            if now.schema.classes != model.classes and model.judged_on(now).schema.classes != now.schema.classes:
                return False  # it knows what is sound only, and that is as it was
            steps = project.store.open(model.card["data"]["version"]).steps
    except (ScarceError, KeyError):  # a model is of use without its project, and without the version it was made from
        return False
    last = steps[-1].step_id if steps else ""
    return last in {step.step_id for step in now.steps} and classes.is_stale(now, last)
