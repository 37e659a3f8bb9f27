"""Fit a model after decisions; the same way for the baseline, the final plan and the ledger's confirmation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scarce import registry
from scarce.dataset import Array, Dataset, FoldView
from scarce.decision import fold_of_view, train_set
from scarce.errors import ConfigError, closest
from scarce.folds import Folds, views_of
from scarce.ledger import Design, Row, out_of_fold, paired_effect
from scarce.lineage import Step
from scarce.probe import LinearProbe
from scarce.train import originals

if TYPE_CHECKING:
    from scarce.config import Train
    from scarce.encode import FeatureCache
    from scarce.project import Project

PROBE = LinearProbe()
CONFIRM_SEEDS = 3
CONFIRM_FOLDS = 3


def fresh_place(project: Project, name: str, card: Mapping[str, Any] | None = None) -> Path:
    """Return the folder of a new model; it gets a number where another model is in the way.

    Only the same training (data, trainer, parameters, seed) done again is written over, and never what had an alias.

    Args:
        project: that the model belongs to.
        name: version and trainer.
        card: of the new model; None = whatever never had an alias may be written over.
    """
    served = {row["target"] for alias in ("champion", "challenger") for row in project.state.alias_history(alias)}
    number, place = 1, name
    while place in served or (card is not None and _another(project.models / place, card)):
        number += 1
        place = f"{name}-{number}"
    return project.models / place


def _another(folder: Path, card: Mapping[str, Any]) -> bool:
    """Return whether the model in a folder was trained in another way."""
    try:
        there = json.loads((folder / "card.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    sides = [
        [
            side.get("trainer"),
            side.get("params"),
            side.get("seed"),
            (side.get("data") or {}).get("content_id"),
            (side.get("training") or {}).get("plan"),
        ]
        for side in (there, json.loads(json.dumps(card, default=str)))
    ]
    return bool(sides[0] != sides[1])


def training_view(ds: Dataset) -> FoldView:
    """Return train and val as the training side; a trainer holds val back by itself where it needs it."""
    usable = ds["keep"].astype(bool) & (ds["origin"] == "real") & (ds["label"] >= 0)
    return ds.fold(ds.ids[usable & np.isin(ds["split"], ("train", "val"))], ())


def thin_classes(view: FoldView) -> list[str]:
    """Return sentences that name the classes with no training sample, and those with one."""
    names = view.train.schema.classes
    counts = np.bincount(view.train["label"][view.train["label"] >= 0], minlength=len(names))
    thin = {size: [name for name, count in zip(names, counts, strict=True) if count == size] for size in (0, 1)}
    ends = {0: "No training sample: {}; the model never answers so.",
            1: "One training sample: {}; none can be held back to calibrate on."}  # fmt: skip
    return [end.format(", ".join(thin[size])) for size, end in ends.items() if thin[size]]


def fit_after(  # noqa: PLR0913  one knob each
    view: FoldView, trainer: str, embedding: str, decisions: Sequence[Any], *, seed: int, minutes: float | None = None,
    calibrate: bool = True, settings: Mapping[str, Any] | None = None, checkpoint: Path | None = None,
) -> Any:  # fmt: skip
    """Fit on the training side after the decisions.

    A network makes its augmented copies anew in every epoch, so stored copies are replaced by their originals.
    ``minutes`` bounds the training of a network. Without ``calibrate`` what is quick to fit saves its cross-validation.
    ``settings`` are the user's own parameters of the trainer; a network goes on from ``checkpoint`` if there is one.
    """
    from scarce import train
    from scarce.augment.policy import policy

    fold, _ = fold_of_view(view, embedding, seed, PROBE.components)
    given = train_set(fold, decisions)
    kind = registry.load("train", trainer, train.AbstractTrainer)  # type: ignore[type-abstract]
    known = {field.name for field in fields(kind)}
    told = {"embedding": embedding, "minutes": minutes}
    told |= {"l2": PROBE.l2, "components": PROBE.components} if "embedding" in known else {}
    told |= {} if calibrate else {"folds": 0}
    told |= {} if given.online else {"augment": "none"}
    plugin = kind.from_params({**{name: value for name, value in told.items() if name in known}, **(settings or {})})
    ids = fold.train.ids[given.rows]
    rows = originals(view.train, ids) if trainer == "finetune" else view.train.rows_of(ids)
    online = policy(given.online) if given.online and "augment" in known else None
    loss = given.loss if "embedding" in known else given.loss.folded
    between = given.between.renumbered(view.train.rows_of(fold.train.ids)) if len(given.between) else given.between
    given = replace(given, rows=rows, loss=loss, between=between)
    return train.fit(view, plugin, seed=seed, given=given, online=online, checkpoint=checkpoint)


def plain_step(step: Step) -> dict[str, Any]:
    """Return what a step was asked to do: how a decision's candidates were made."""
    return {"stage": step.stage, "name": step.name, "params": dict(step.params), "seed": step.seed}


def guarded(
    model: Any, view: FoldView, *, foreign: Dataset | None = None, seed: int = 0, cache: FeatureCache | None = None
) -> Any:
    """Return the model with what it needs to say ``unknown`` and ``ambiguous``, chosen without any test sample.

    Args:
        model: fresh from training.
        view: what it was trained on.
        foreign: samples of none of the classes to choose the detector by; None = made from held-back pictures.
        seed: of what is made.
        cache: the project's features; those of foreign samples are kept there, too, so that the next training on the
            same data encodes none of them.
    """
    from scarce.evaluate.guard import guard
    from scarce.train.linear_probe import with_own_features

    ready = None if cache is None else partial(with_own_features, model, cache=cache)
    found = guard(model, view, foreign=foreign, seed=seed, ready=ready)
    return replace(model.stamped(unknown=found.unknown, ambiguous=found.ambiguous), guard=found.arrays)


def unguarded(model: Any, view: FoldView) -> str | None:
    """Return why the model never says ``unknown``; None where it has a threshold for that.

    Args:
        model: from :func:`guarded`.
        view: what it was trained on.
    """
    from scarce.evaluate.guard import FEWEST

    if model.card.get("unknown"):
        return None
    said = "No sample will be called unknown: "
    held = 0 if model.held_ids is None or model.held_logits is None else len(model.held_ids)
    if not held:
        return f"{said}{model.card['trainer']} keeps no answers about held-back samples to choose a threshold on."
    free = held if held <= len(view.train) / 2 else held // 5  # of nearly all, a fifth is kept for choosing
    if free < FEWEST:
        return f"{said}a threshold is chosen on {FEWEST} held-back samples or more, and there are {free}."
    return f"{said}too few samples are left for a detector to learn from, {FEWEST} are needed."


def held_told(card: Mapping[str, Any]) -> str | None:
    """Return how good a model was on what it held back, marked as such; None where that is not known."""
    found = (card.get("metrics") or {}).get("held_out") or {}
    names = {
        "balanced_accuracy": "balanced accuracy", "macro_f1": "macro-F1",
        "mean_average_precision": "mAP .50 to .95", "at_50": "AP at .50",
    }  # fmt: skip
    said = [f"{title} {100 * value:.1f} %" for name, title in names.items()
            if (value := found.get(name)) is not None]  # fmt: skip
    if not said:
        return None
    many = found.get("n") or found.get("pictures")
    of = f" ({many:,} samples)" if many else ""
    return f"On what was held back{of}, which also tuned it: {', '.join(said)}. That is no test."


def how_trained(version: Dataset, trained: Dataset, *, beside: Sequence[str] = (), **more: Any) -> dict[str, Any]:
    """Return what a model's card says beside its parameters, so that it can be trained again from the record alone.

    Args:
        version: the data as it was committed, by whose last step it is known.
        trained: what was trained on: the same and steps that were not committed.
        beside: names of the arrays beside the version that were there already.
        more: plain values.
    """
    then = [plain_step(step) for step in trained.steps[len(version.steps) :]]
    after = version.steps[-1].step_id if version.steps else ""
    return {"after": after, "beside": sorted(beside), "then": then, **more}


def trainer_settings(config: Train, trainer: str) -> dict[str, Any]:
    """Return the parameters of a trainer that the section [train] of ``scarce.toml`` sets.

    Raises:
        ConfigError: the section of the trainer has a key that it does not know.
    """
    from scarce import train

    kind = registry.load("train", trainer, train.AbstractTrainer)  # type: ignore[type-abstract]
    known, own = {field.name for field in fields(kind)}, kind.plugin_name()
    shared = {"network": "" if config.model == "auto" else config.model, "epochs": config.epochs}
    named = next((values for name, values in config.plugins.items() if registry.canonical(name) == own), {})
    told = {name.replace("-", "_"): value for name, value in named.items()}
    for name in told:
        if name not in known:
            raise ConfigError(f"scarce.toml [train.{own}]", f"unknown key {name!r}", closest(name, known))
    return {**{name: value for name, value in shared.items() if value and name in known}, **told}


def refuse_settings(config: Train, trainer: str) -> None:
    """Refuse what a trainer's section of ``scarce.toml`` says and the trainer does not know, before data is read.

    Args:
        config: the section [train].
        trainer: whose section counts; ``auto`` = all that are there, since the data chooses.

    Raises:
        ConfigError: an unknown key, with the closest one, or a value of a wrong type.
    """
    from scarce import train

    for name in config.plugins if trainer == "auto" else (trainer,):
        kind = registry.load("train", name, train.AbstractTrainer)  # type: ignore[type-abstract]
        kind.from_params(trainer_settings(config, name))


@dataclass(eq=False)
class NetworkInstrument:
    """Judges decisions with the final trainer itself."""

    trainer: str
    embedding: str
    workers: int | None = 1

    @property
    def name(self) -> str:
        """The trainer's name."""
        return self.trainer

    def probabilities(self, view: FoldView, decisions: Sequence[Any], *, seed: int) -> Array:
        """Return (n, K) probabilities of the evaluation rows."""
        out: Array = fit_after(view, self.trainer, self.embedding, decisions, seed=seed).predict_proba(view.eval)
        return out


def confirm(ds: Dataset, trainer: str, embedding: str, decisions: Sequence[Any], design: Design) -> Row:
    """Judge the kept plan on the final trainer: the same folds with and without it, paired seeds."""
    design = replace(design, folds=CONFIRM_FOLDS, repeats=CONFIRM_SEEDS)
    folds = Folds.of(ds, design)
    views = views_of(ds, folds)
    instrument = NetworkInstrument(trainer, embedding)
    sides = [out_of_fold(views, instrument, plan, design) for plan in ((), tuple(decisions))]
    effect = paired_effect(folds.labels, sides[0], sides[1], folds.groups, design)
    verdict = "no evidence" if effect.p > design.alpha else "helped" if effect.gain > 0 else "hurt"
    named = ", ".join(decision.name for decision in decisions)
    return Row(
        decision=f"confirm_on_{trainer}", gain=effect.gain, low=effect.low, high=effect.high, p=effect.p,
        p_holm=effect.p, verdict=verdict, kept=True, instrument=trainer,
        why=f"the kept plan on the final model itself, {CONFIRM_SEEDS} paired seeds: {named}",
    )  # fmt: skip
