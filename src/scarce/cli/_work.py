"""What the stage commands share: reading, and the arrays that live beside a version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scarce.errors import ConfigError, ReadError

if TYPE_CHECKING:
    from scarce.dataset import Dataset
    from scarce.project import Project


def needs_features(only: Sequence[str] | None) -> bool:
    """Return whether one of the checks (None = all) looks at features."""
    from scarce.audit._run import ordered

    return any("embedding" in need for check in ordered(only) for need in check.needs)


def judged_project(folder: Path, only: Sequence[str] | None, workers: int | None, seed: int) -> tuple[Dataset, str]:
    """Audit the head of a project and commit the scores; return the dataset and the new version."""
    from scarce import audit as stage
    from scarce.loop.measure import with_features, with_scan
    from scarce.project import Project

    with Project.open(folder) as opened:
        settings = opened.config.audit
        ds = with_scan(opened, opened.dataset(), workers=workers)
        chosen = only or settings.only or None
        if needs_features(chosen):
            ds = with_features(opened, ds, workers=workers, seed=seed)
        ds = stage.run(ds, chosen, seed=seed, workers=workers, settings=settings.plugins)
        return ds, opened.commit(ds, "audit", owner=("audit",))


def listed(rows: Sequence[Mapping[str, Any]], places: Mapping[str, str | None]) -> list[dict[str, Any]]:
    """Return one check's findings for other programs.

    Returns:
        ``check``, ``level``, ``samples`` (paths, or file#row), ``ids``, ``classes``, ``score`` in [0, 1] (1 = worst),
        ``group`` (a number from 1 on for findings about several samples, else null) and ``why``.
    """
    out: list[dict[str, Any]] = []
    groups = 0
    for row in rows:
        members = list(row["members"] or ())
        ids = [] if row["level"] == "class" else [item for item in members if item in places]
        groups += len(ids) > 1
        out.append({
            "check": row["check"], "level": row["level"], "samples": [places[item] or item for item in ids], "ids": ids,
            "classes": [item for item in members if item not in places], "score": row["score"] or 0.0,
            "group": groups if len(ids) > 1 else None, "why": row["why"],
        })  # fmt: skip
    return out


def holds_data(path: Path) -> bool:
    """Return whether a path is data to be read (or nothing at all) rather than the folder of a project."""
    from scarce.project import HIDDEN, SETTINGS

    if (path / HIDDEN).is_dir() or (path / SETTINGS).exists():
        return False
    return not path.is_dir() or any(path.iterdir())


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
    rows: list[dict[str, Any]] = ds.findings.to_pylist()
    return [
        row for row in rows
        if row["level"] != "pair" and check in (None, row["check"]) and not (row["why"] or "").startswith("skipped:")
    ]  # fmt: skip


def named_by(members: Sequence[str] | None, places: Mapping[str, str | None], *, most: int = 3) -> str:
    """Return the files (or class names) that a finding is about, for people."""
    shown = [str(places.get(item) or item) for item in (members or ())[:most]]
    return ", ".join(shown) + f" and {len(members or ()) - most} more" * (len(members or ()) > most)


def skipped(ds: Dataset) -> dict[str, str]:
    """Return check to reason, for checks that could not run."""
    rows = ds.findings.to_pylist()
    return {row["check"]: row["why"] for row in rows if (row["why"] or "").startswith("skipped:")}


def by_reason(left_out: Mapping[str, str]) -> list[str]:
    """Return one line for each reason why checks could not run, with their names."""
    reasons: dict[str, list[str]] = {}
    for name, why in left_out.items():
        reasons.setdefault(why.removeprefix("skipped: "), []).append(name)
    return [f"Not run, {why}: {', '.join(names)}" for why, names in reasons.items()]


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
    from scarce.loop.measure import with_scan

    model = train.load(folder)
    name = project.store.version(version).name
    ds = with_scan(project, project.dataset(name), workers=workers)
    real = ds["keep"].astype(bool) & (ds["origin"] == "real") & (ds["label"] >= 0)
    test, others = real & (ds["split"] == "test"), real & np.isin(ds["split"], ("train", "val"))
    view = ds.fold(ds.ids[others], ds.ids[test])
    probs = model.predict_proba(view.eval)
    report = evaluate.run(view, probs, seed=seed, false_positive_rate=false_positive_rate)
    body = report.to_json()
    looks = project.state.count_test_look(version=name, metric="balanced_accuracy")
    return {"version": name, "model": str(folder), "looks": looks, **body, **_frozen(model, view.eval, probs)}


def _frozen(model: Any, ds: Dataset, probs: Any) -> dict[str, Any]:
    """Return the operating point at the threshold that the model was given before anybody looked."""
    from scarce.evaluate.operating_point import defect_score, operating_point
    from scarce.ledger import groups_of

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
