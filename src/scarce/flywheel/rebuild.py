"""A promoted model and its data, made again from the ledger's row alone, and compared by their hashes.

The row of a promotion holds the steps that led to the data, where the sources lie, how the model was trained (trainer,
all parameters, seed, what was measured beside the data, decisions), the versions of the libraries and the hash of the
weights. The same machine and versions give the same bytes; others are compared by what the models answer.
"""

from __future__ import annotations

import platform
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from scarce import lineage
from scarce.dataset import Dataset
from scarce.errors import DataError, ReadError, ScarceError
from scarce.lineage import Step
from scarce.provenance._again import REFUSALS, Scene, again, beside
from scarce.provenance.reproduce import PARTED, Past, ends_of, redo
from scarce.state import PROMOTIONS

if TYPE_CHECKING:
    from scarce.project import Project

WHO: Final = "flywheel.rebuild"
SHOWN: Final = 5
"""Sources that are named before the others are counted."""


@dataclass(frozen=True, kw_only=True)
class Rebuilt:
    """What came of it.

    Attributes:
        model, version: what was to be made again.
        data: ``same``, ``store`` (the steps part, the version in the store was taken), or ``parted``.
        content_id: hash of the data at the promotion, and of what was made now ("" = nothing was).
        weights: hash of the weights, likewise.
        held_out: figures on the samples that training held back, then and now.
        differs: what is otherwise, one sentence each.
        folder: where the model was written; None = nothing was.
    """

    model: str
    version: str | None
    data: str
    content_id: tuple[str, str]
    weights: tuple[str, str]
    held_out: tuple[Mapping[str, float], Mapping[str, float]]
    differs: tuple[str, ...]
    folder: str | None

    @property
    def same(self) -> bool:
        """Return whether the weights are the same bytes, from the same data."""
        return self.weights[0] == self.weights[1] and self.content_id[0] == self.content_id[1]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "model": self.model, "version": self.version, "same": self.same, "data": self.data,
            "content_id": list(self.content_id), "weights": list(self.weights),
            "held_out": [dict(part) for part in self.held_out], "differs": list(self.differs), "folder": self.folder,
        }  # fmt: skip


def record(project: Project, model: Any, version: str | None) -> dict[str, Any]:
    """Return what the ledger's row of a promotion must hold so that the model can be made again.

    Args:
        project: whose store still has the version.
        model: that is promoted.
        version: the data that it stands on.
    """
    here: dict[str, Any] = {"machine": _machine(), "held_out": held_out(model)}
    try:
        found = project.store.version(version) if version else None
        ds = project.store.open(version) if version else None
    except ScarceError:  # pruned: the model goes on without it
        found = ds = None
    if found is None or ds is None:
        return here
    return here | {
        "content_id": found.content_id, "sources": dict(ds.sources), "steps": [step.to_json() for step in ds.steps],
        "ends": sorted(ends_of(project, ds.steps)),
    }  # fmt: skip


def held_out(model: Any) -> dict[str, float]:
    """Return how good a model is on the samples that its training held back: n, accuracy, balanced accuracy, log loss.

    Args:
        model: with ``held_out`` = (labels (M,), probabilities (M, K)); without, the answer is empty.
    """
    if model.held_out is None or not len(model.held_out[0]):
        return {}
    labels, probs = np.asarray(model.held_out[0]), np.asarray(model.held_out[1])
    right = probs.argmax(1) == labels
    own = np.maximum(probs[np.arange(len(labels)), labels], np.finfo(np.float64).tiny)
    recalls = [right[labels == code].mean() for code in np.unique(labels)]
    return {"n": float(len(labels)), "accuracy": float(right.mean()), "balanced_accuracy": float(np.mean(recalls)),
            "log_loss": float(-np.log(own).mean())}  # fmt: skip


def rebuild(
    project: Project, *, promotion: int | None = None, model: str | None = None, dry_run: bool = False,
    workers: int | None = None,
) -> Rebuilt:  # fmt: skip
    """Make a promoted model and its data again from the ledger's row, and compare both with what they were.

    A model whose folder is gone, or damaged, gets it back if the weights are the same; otherwise the new one is written
    beside it, as ``<model>-rebuilt``. The data is compared, and nothing is committed.

    Args:
        project: an opened project.
        promotion: its number, counted from 1 over the promotions that were carried out.
        model: name of the model; the last promotion of it is taken. Neither = the present champion's.
        dry_run: compare only, write no model.
        workers: threads at most.

    Raises:
        DataError: there is no such promotion, or it was recorded before all of this was.
        ReadError: the data cannot be made again, and the store does not hold it either.
    """
    row = _row(project, promotion, model)
    card, kept = row["card"], row["rebuild"]
    scene = Scene(project.features, dict(kept["sources"]), workers=workers)
    final, base, differs = _data(project, row, scene)
    made = lineage.content_id(final.table, asdict(final.schema)) if final is not None else ""
    data = "same" if made == kept["content_id"] else "parted"
    if base is None or final is None or data == "parted":
        base, stored = _from_store(project, row)
        if base is None:
            raise ReadError(WHO, f"the data of {row['challenger']} ({row['version']}) cannot be made again", " ".join(
                differs), "bring the sources back to where they lay, or restore a backup of the store")  # fmt: skip
        data, made = "store", stored
    fresh = _train(base, card, scene, workers)
    with tempfile.TemporaryDirectory(prefix="scarce-rebuild-") as place:
        from scarce.train import load

        written = load(fresh.save(Path(place) / "model"))
        now = str(written.card["weights"])
        same = now == card["weights"] and made == kept["content_id"]
        folder = None if dry_run else _place(project, row, written, same=same)
    figures = (dict(kept["held_out"]), held_out(written))
    if now != card["weights"]:
        differs += _differences(project, row, written, figures)
    return Rebuilt(
        model=row["challenger"], version=row["version"], data=data, content_id=(kept["content_id"], made),
        weights=(str(card["weights"]), now), held_out=figures, differs=tuple(differs), folder=folder,
    )  # fmt: skip


def _row(project: Project, promotion: int | None, model: str | None) -> dict[str, Any]:
    """Return the ledger's row of a promotion.

    Raises:
        DataError: there is none, or it does not hold enough.
    """
    rows = [row for row in project.state.ledger(PROMOTIONS) if row.get("promoted")]
    if not rows:
        raise DataError(WHO, "no model was ever promoted", do="scarce promote")
    if promotion is not None:
        if not 1 <= promotion <= len(rows):
            raise DataError(WHO, f"there is no promotion {promotion}", f"there were {len(rows)}", "name one of them")
        row = rows[promotion - 1]
    else:
        wanted = model or project.state.aliases().get("champion") or rows[-1]["challenger"]
        own = [row for row in rows if row["challenger"] == wanted.rstrip("/").rpartition("/")[2]]
        if not own:
            names = dict.fromkeys(str(row["challenger"]) for row in rows)
            raise DataError(
                WHO, f"{wanted} was never promoted", f"promoted were {', '.join(names)}", "name one of them"
            )
        row = own[-1]
    kept = row.get("rebuild") or {}
    lost = "its data was pruned already" if kept else "an older scarce did not record how the model was made"
    if "steps" not in kept or "training" not in row["card"]:
        lost = lost if "steps" not in kept else "the model was not made by scarce train or scarce run"
        raise DataError(WHO, f"the row of {row['challenger']} does not hold enough: {lost}",
                        do="train again with scarce train, and promote that")  # fmt: skip
    return row


def _data(project: Project, row: Mapping[str, Any], scene: Scene) -> tuple[Dataset | None, Dataset | None, list[str]]:
    """Do the steps of the data again; return the version, what was trained on, and what went otherwise."""
    kept, after = row["rebuild"], row["card"]["training"]["after"]
    steps = [Step.from_json(body) for body in kept["steps"]]
    bases: list[Dataset] = []

    def seen(step: Step, made: Dataset) -> None:
        if step.step_id == after:
            bases.append(made)

    there = ends_of(project, steps)
    ends: dict[int, str] = {**dict.fromkeys(kept["ends"], ""), **there}
    past = Past(ends, project.store.open if set(there) == set(ends) else None)
    made, done, inputs = redo(steps, scene, past, str(row["version"]), seen)
    differs = [f"{name} had the hash {then}, has {now or 'none'}." for name, (then, now) in inputs.items()]
    parted = next((step for step in done if step.state == PARTED), None)
    if parted is None:
        return made, bases[-1] if bases else None, differs
    differs.append(f"The data parts at {parted.name}: {parted.why}.")
    return None, None, differs + _gone(project, row)


def _gone(project: Project, row: Mapping[str, Any]) -> list[str]:
    """Say which sources are gone or are others now, as far as the store still knows them."""
    try:
        found = project.verify(row["version"])
        places = dict(zip(*(project.store.open(row["version"]).table[name].to_pylist() for name in ("id", "uri")),
                          strict=True))  # fmt: skip
    except ScarceError:
        counts = {name: sum(own.values()) for name, own in row["card"]["data"]["counts"].items()}
        lay = ", ".join(row["rebuild"]["sources"].values())
        said = f"The store does not hold {row['version']} any more; its sources lay in {lay}"
        return [f"{said}, and the model was trained on {counts}."]
    told = []
    for what, ids in (("are gone", tuple(found.missing)), ("are other ones now", found.changed)):
        if ids:
            named = ", ".join(places[name] for name in ids[:SHOWN])
            more = f" and {len(ids) - SHOWN:,} more" if len(ids) > SHOWN else ""
            told.append(f"{len(ids):,} of {found.checked:,} sources {what}: {named}{more}.")
    return told


def _from_store(project: Project, row: Mapping[str, Any]) -> tuple[Dataset | None, str]:
    """Return what was trained on as the store holds it, with the hash of the whole version."""
    kept, after = row["rebuild"], row["card"]["training"]["after"]
    steps = [Step.from_json(body) for body in kept["steps"]]
    try:
        whole = project.store.version(row["version"])
        if whole.content_id != kept["content_id"]:
            return None, ""
        count = next((place for place, step in enumerate(steps, 1) if step.step_id == after), 0)
        name = ends_of(project, steps).get(count)
        return (project.store.open(name), str(whole.content_id)) if name else (None, "")
    except ScarceError:
        return None, ""


def _train(base: Dataset, card: Mapping[str, Any], scene: Scene, workers: int | None) -> Any:
    """Train as the card says, on what the version was when it was trained on.

    Raises:
        ReadError: something that it needs is not there.
    """
    from scarce import registry, train
    from scarce.loop import boxes
    from scarce.loop.fitting import fit_after, guarded, training_view
    from scarce.loop.judging import read_plain

    training = card["training"]
    scene.workers = workers
    try:
        ds = beside(base, training["beside"], scene)
        for body in training["then"]:
            ds = again(ds, Step(**body), scene)
    except REFUSALS as error:
        raise ReadError(WHO, f"what {card['trainer']} was trained with cannot be made again: {error}",
                        do="bring the sources back to where they lay") from error  # fmt: skip
    kind = registry.load("train", card["trainer"], train.AbstractTrainer)  # type: ignore[type-abstract]
    seed = int(card["seed"])
    if kind.task == "boxes":
        return train.fit(boxes.training_view(ds), kind.from_params(card["params"]), seed=seed)
    view = training_view(ds)
    if training["command"] == "run":
        plan = [_decision(body) for body in training["plan"]]
        fitted = fit_after(view, card["trainer"], training["embedding"], plan, seed=seed, settings=card["params"])
    else:
        fitted = train.fit(view, kind.from_params(card["params"]), seed=seed)
    foreign = training.get("foreign")
    others = read_plain(Path(foreign), ds.schema.modality) if foreign else None
    return guarded(fitted, view, foreign=others, seed=seed)


def _decision(body: Mapping[str, Any]) -> Any:
    """Return a decision of the ledger from its record."""
    from scarce import decision
    from scarce.loop.weigh import reweights

    if body["kind"] == "Reweight":
        return next(one for one in reweights() if one.name == body["name"])
    kept = {"ids": frozenset, "screens": tuple}
    values = {name: kept.get(name, lambda same: same)(value) for name, value in body.items() if name != "kind"}
    return getattr(decision, body["kind"])(**values)


def _place(project: Project, row: Mapping[str, Any], written: Any, *, same: bool) -> str | None:
    """Write the model where it was, with the card that it had, if that place is empty or damaged; else beside it."""
    from scarce.train import load

    place = project.models / row["challenger"]
    if not same:
        return str(written.save(project.models / f"{row['challenger']}-rebuilt"))
    try:
        if load(place).card["weights"] == row["card"]["weights"]:
            return None
        shutil.rmtree(place)
    except ScarceError:
        shutil.rmtree(place, ignore_errors=True)
    own = {key: value for key, value in row["card"].items() if key not in {"weights", "format"}}
    return str(replace(written, card=own).save(place))


def _differences(
    project: Project, row: Mapping[str, Any], written: Any, figures: tuple[Mapping[str, float], Mapping[str, float]]
) -> list[str]:
    """Say what may have made the weights others, and how much that matters."""
    then, now = row["card"], written.card
    told = [f"{name} was {then['versions'].get(name, 'absent')}, is {now['versions'].get(name, 'absent')}."
            for name in {**then["versions"], **now["versions"]}
            if then["versions"].get(name) != now["versions"].get(name)]  # fmt: skip
    machine, here = row["rebuild"]["machine"], _machine()
    told += [f"The {name} was {machine[name]}, is {here[name]}." for name in here if machine.get(name) != here[name]]
    told += [f"{name} was {then[name]}, is {now[name]}." for name in ("temperature", "classes", "params")
             if then.get(name) != now.get(name)]  # fmt: skip
    if then["params"].get("minutes") or (then.get("schedule") or {}).get("seconds"):
        told.append("Its training had a time budget, so that the number of epochs depends on how fast the machine is.")
    told += _apart(project.models / row["challenger"], written)
    told += [f"{name.replace('_', ' ')} on held-back training samples was {value:.4f}, is {figures[1][name]:.4f}."
             for name, value in figures[0].items() if name in figures[1] and name != "n"]  # fmt: skip
    return told or ["The weights differ, although libraries and machine are the same."]


def _apart(folder: Path, written: Any) -> list[str]:
    """Say how far the weights are from those that still lie in the model's folder."""
    from scarce.train import load

    try:
        old = load(folder).tensors()
    except ScarceError:
        return []
    new = written.tensors()
    other = sorted(name for name in {*old, *new} if name not in old or name not in new
                   or np.shape(old[name]) != np.shape(new[name]))  # fmt: skip
    if other:
        return [f"Other tensors: {', '.join(other[:SHOWN])}."]
    far = {name: _farthest(old[name], new[name]) for name in old}
    worst = max(far, key=lambda name: far[name], default="")
    return [f"Weights differ by {far[worst]:.3g} at most, in {worst}."] if worst else []


def _farthest(old: Any, new: Any) -> float:
    """Return the largest difference of two arrays of numbers; 0 where they are no numbers."""
    old, new = np.asarray(old), np.asarray(new)
    other = np.flatnonzero((old != new).ravel()) if old.dtype.kind in "fiub" else np.empty(0, int)
    if not len(other):
        return 0.0
    return float(np.abs(old.ravel()[other].astype(np.float64) - new.ravel()[other].astype(np.float64)).max())


def _machine() -> dict[str, str]:
    """Return what else numbers depend on."""
    return {"system": platform.platform(terse=True), "processor": platform.machine()}
