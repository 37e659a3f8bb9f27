"""What the stage commands share: reading, and the arrays that live beside a version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scarce.errors import ConfigError, ReadError

if TYPE_CHECKING:
    from scarce.cli._findings import Names
    from scarce.dataset import Dataset
    from scarce.project import Project


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
    project: Project, ds: Dataset, version: str, *, trainer: str | None, minutes: float | None, seed: int
) -> tuple[Any, list[str]]:
    """Train on the train split with the project's settings; return the model and sentences for people."""
    from dataclasses import fields

    from scarce import registry
    from scarce import train as stage
    from scarce.loop.conclude import choose_trainer
    from scarce.loop.fitting import trainer_settings, training_view
    from scarce.loop.options import Options

    notes: list[str] = []
    name = choose_trainer(ds, Options(trainer=trainer or project.config.train.trainer), notes)
    kind = registry.load("train", name, stage.AbstractTrainer)  # type: ignore[type-abstract]
    known = {field.name for field in fields(kind)}
    chosen = {"embedding": embedding_of(ds), "minutes": minutes}
    params = {key: value for key, value in chosen.items() if key in known and value is not None}
    params |= trainer_settings(project.config.train, name)
    checkpoint = project.models / f"checkpoint-{version}-{kind.plugin_name()}-{seed}"
    model = stage.fit(training_view(ds), kind.from_params(params), seed=seed, checkpoint=checkpoint)
    return model.stamped(data={**model.card["data"], "version": version}), notes


def judge(
    project: Project, folder: Path, version: str | None, *, seed: int, workers: int | None, false_positive_rate: float
) -> dict[str, Any]:
    """Look at the test set with a saved model; the look is counted."""
    import numpy as np

    from scarce import evaluate, train
    from scarce.loop.conclude import held_out
    from scarce.loop.measure import with_scan

    model = train.load(folder)
    name = project.store.version(version).name
    ds = with_scan(project, project.dataset(name), workers=workers)
    real = ds["keep"].astype(bool) & (ds["origin"] == "real") & (ds["label"] >= 0)
    test, others = held_out(ds), real & np.isin(ds["split"], ("train", "val"))
    view = ds.fold(ds.ids[others], ds.ids[test])
    probs = model.predict_proba(view.eval)
    report = evaluate.run(view, probs, seed=seed, false_positive_rate=false_positive_rate)
    body = report.to_json()
    looks = project.state.count_test_look(version=name, metric="balanced_accuracy")
    return {"version": name, "model": str(folder), "looks": looks, **body, **_frozen(model, view.eval, probs)}


def _frozen(model: Any, ds: Dataset, probs: Any) -> dict[str, Any]:
    """Return the operating point at the threshold that the model was given before anybody looked."""
    from scarce.evaluate.operating_point import defect_score, operating_point
    from scarce.folds import groups_of

    point, normal = (
        model.card.get("operating_point") or {},
        [ds.schema.classes.index(x) for x in ds.schema.normal_classes],
    )
    defects = ~(ds["label"][:, None] == normal).any(1) if normal else None
    if defects is None or point.get("threshold") is None or defects.all() or not defects.any():
        return {}
    found = operating_point(
        defects, defect_score(probs, tuple(normal)), threshold=point["threshold"],
        false_positive_rate=point.get("false_positive_rate", 0.01), groups=groups_of(ds),
    )  # fmt: skip
    return {"operating_point": found.to_json()}


def split_counts(ds: Dataset) -> dict[str, dict[str, int]]:
    """Return class to split to number of kept rows."""
    counts: dict[str, dict[str, int]] = {name: {} for name in ds.schema.classes}
    kept = ds.usable()
    for label, split in zip(kept.table["label"].to_pylist(), kept.table["split"].to_pylist(), strict=True):
        row = counts.setdefault(label or "(unlabelled)", {})
        row[split or "none"] = row.get(split or "none", 0) + 1
    return counts
