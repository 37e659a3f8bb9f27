"""Challengers: rare classes grown from the new samples, one network that goes on from the champion, one from scratch.

Which of the two challenges the champion is told by held-back samples of the training side, never by the test set.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from scarce.dataset import Array, Dataset, Floats, Ints
from scarce.errors import DataError, ScarceError, TrainError

if TYPE_CHECKING:
    from pathlib import Path

    from scarce.flywheel._journal import Journal
    from scarce.loop.options import Options
    from scarce.loop.weigh import Weighed
    from scarce.project import Project
    from scarce.train.model import Model

WHO: Final = "flywheel.round"
TUNED, SCRATCH = "tuned", "scratch"
OWN_START: Final = ("finetune", "blend")
"""Trainers that can go on from the network of another model."""
NOT_ITS_OWN: Final = ("start", "minutes", "embedding")
"""Parameters of a champion that its challenger does not take over."""
TIME: Final = 1e6
"""Minutes that the ledger may believe to have: what it decides must not depend on the clock."""


@dataclass(frozen=True, kw_only=True)
class Winner:
    """Which of two models is the better one on held-back samples.

    Attributes:
        model: ``tuned`` or ``scratch``.
        n: samples that both were judged on and that the champion had not learned from.
        scores: model to balanced accuracy on them, in [0, 1].
        why: one sentence.
    """

    model: str
    n: int
    scores: Mapping[str, float]
    why: str

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"model": self.model, "n": self.n, "scores": dict(self.scores), "why": self.why}


def better(labels: Ints, answers: Mapping[str, Floats]) -> Winner:
    """Return the better of two models: by balanced accuracy, where that is equal by log loss.

    Args:
        labels: (N,) codes of samples that neither learned from.
        answers: ``tuned`` and ``scratch`` to (N, K) probabilities.

    Example:
        >>> right, wrong = np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([[0.4, 0.6], [0.2, 0.8]])
        >>> better(np.array([0, 1]), {"tuned": right, "scratch": wrong}).model
        'tuned'
    """
    if not len(labels):
        why = "no held-back sample is left that the champion had not learned from: from scratch"
        return Winner(model=SCRATCH, n=0, scores={}, why=why)
    own = np.arange(len(labels)), labels
    scores = {name: _balanced(labels, probs) for name, probs in answers.items()}
    losses = {name: -float(np.log(np.maximum(probs[own], 1e-12)).mean()) for name, probs in answers.items()}
    model = min((TUNED, SCRATCH), key=lambda name: (-round(scores[name], 9), losses[name]))
    told = ", ".join(f"{name} {scores[name]:.3f}" for name in (TUNED, SCRATCH))
    return Winner(model=model, n=len(labels), scores=scores,
                  why=f"balanced accuracy on {len(labels):,} held-back samples: {told}")  # fmt: skip


@dataclass(eq=False)
class Challenge:
    """The training of one round.

    Args:
        project: whose champion is challenged.
        journal: of the round; its head is audited, split and holds no grown rows.
        champion: name of the model that answers now; None = none does.
        options: how decisions are judged.
        minutes: for each network; None = as long as its epochs take.
    """

    project: Project
    journal: Journal
    champion: str | None
    options: Options
    minutes: float | None = None

    def grow(self) -> dict[str, Any]:
        """Judge the plan on the development data, and commit what is kept: the rare classes grown from what is new."""
        from scarce.decision import describe
        from scarce.lineage import Step
        from scarce.loop.conclude import OWNERS, materialize, whole_train_fold
        from scarce.loop.fitting import plain_step

        weighed, ds = self.weighed, self.ready.dataset
        fold = whole_train_fold(weighed.dataset, self.ready.embedding)
        grown = [plain_step(step) for step in weighed.dataset.steps[len(ds.steps) :]]
        rows = {row.decision: row for row in weighed.ledger.rows}
        for decision in weighed.decisions:
            stage = decision.name.partition(".")[0]
            told = {"kind": type(decision).__name__, "embedding": self.ready.embedding, "grown": grown}
            step = Step(stage=stage, name=decision.name, params={**describe(decision), **told})
            ds = materialize(ds, weighed.dataset, decision, fold).with_step(step)
        version = self.journal.head
        if weighed.decisions:
            owners = tuple(dict.fromkeys(name for decision in weighed.decisions
                                         for name in OWNERS[decision.name.partition(".")[0]]))  # fmt: skip
            version = self.journal.commit(ds, "grow", owners)
        if not self.project.state.ledger(version):
            kept = [replace(row, version_before=self.journal.head, version_after=version)
                    if name in {decision.name for decision in weighed.decisions} else row
                    for name, row in rows.items()]  # fmt: skip
            self.project.state.add_ledger_rows([row.to_json() for row in kept], run=version)
        return {
            "version": version,
            "from": self.journal.head,
            "kept": [decision.name for decision in weighed.decisions],
            "added": {origin: int((ds["origin"] == origin).sum()) for origin in ("augmented", "synthetic")},
        }

    @cached_property
    def ready(self) -> Any:
        """The data before anything was grown, with its features."""
        from scarce.loop.measure import with_features, with_scan
        from scarce.loop.prepare import Ready

        name = self.journal.steps["admit"]["version"]
        ds = with_scan(self.project, self.project.dataset(name), workers=self.options.workers)
        ds = with_features(self.project, ds, workers=self.options.workers, seed=self.options.seed)
        embedding = next(column for column in reversed(list(ds.wide)) if column.startswith("embedding."))
        return Ready(ds, embedding, name, (), {})

    @cached_property
    def weighed(self) -> Weighed:
        """The judged plan; the same for the same data and seed, so that a round that goes on has the same one."""
        from scarce.loop.options import Clock
        from scarce.loop.weigh import weigh

        repeats = self.options.repeats or 2
        return weigh(self.project, self.ready, replace(self.options, repeats=repeats, minutes=TIME), Clock(TIME))

    @cached_property
    def old(self) -> Model | None:
        """The champion."""
        from scarce.train import load

        return None if self.champion is None else load(self.project.models / self.champion)

    def train(self, kind: str) -> dict[str, Any]:
        """Train one challenger and save it; one that was saved by a killed process is taken as it is.

        Args:
            kind: ``tuned`` (goes on from the champion) or ``scratch``.
        """
        from scarce.decision import describe
        from scarce.loop.conclude import plan_for
        from scarce.loop.fitting import fit_after, guarded, how_trained, training_view
        from scarce.loop.prepare import feature_cache

        trainer, settings = self.recipe
        if kind == TUNED:
            why = self._no_start(trainer)
            if why:
                return {"model": None, "why": why}
            settings = {**settings, "start": str(self.project.models / str(self.champion))}
        grown = self.journal.steps["grow"]["version"]
        place = self._place(f"{grown}-{trainer}" + "-tuned" * (kind == TUNED))
        if (done := self._saved(place)) is not None:
            return done
        view, plan = training_view(self.weighed.dataset), plan_for(trainer, self.weighed, [])
        begun = self.project.models / "begun" / f"round-{kind}"
        try:
            model = fit_after(view, trainer, self.ready.embedding, plan, seed=self.options.seed, minutes=self.minutes,
                              settings=settings, checkpoint=begun)  # fmt: skip
        except TrainError as error:
            if kind != TUNED:
                raise
            return {"model": None, "why": str(error)}
        committed = self.project.dataset(self.ready.version)
        training = how_trained(
            committed, self.weighed.dataset, beside=tuple(committed.wide), command="run",
            embedding=self.ready.embedding,
            plan=[{**describe(decision), "kind": type(decision).__name__} for decision in plan],
        )  # fmt: skip
        model = guarded(model, view, seed=self.options.seed, cache=feature_cache(self.project))
        model.stamped(data={**model.card["data"], "version": grown}, round=self.journal.number, training=training).save(
            place
        )
        shutil.rmtree(begun, ignore_errors=True)
        return self._saved(place) or {}

    @cached_property
    def recipe(self) -> tuple[str, dict[str, Any]]:
        """Trainer and settings: those of ``scarce.toml``, and where it says nothing those of the champion."""
        from scarce import registry
        from scarce.loop.conclude import choose_trainer
        from scarce.loop.fitting import trainer_settings

        card: Mapping[str, Any] = {} if self.old is None else self.old.card
        if card.get("task") == "boxes":
            raise DataError(WHO, "rounds train classifiers, and this data has boxes", do="use scarce train")
        wanted, own = registry.canonical(self.project.config.train.trainer), str(card.get("trainer", ""))
        if wanted == "auto" and own in registry.names("train"):
            wanted = own
        trainer = choose_trainer(self.ready.dataset, replace(self.options, trainer=wanted), [])
        taken = {name: value for name, value in dict(card.get("params", {})).items() if name not in NOT_ITS_OWN}
        settings = taken if trainer == own else {}
        return trainer, {**settings, **trainer_settings(self.project.config.train, trainer)}

    def choose(self) -> Winner:
        """Return which of the two challenges the champion."""
        from scarce.train import load

        names = {kind: self.journal.steps[kind]["model"] for kind in (TUNED, SCRATCH)}
        if names[TUNED] is None:
            return Winner(model=SCRATCH, n=0, scores={}, why=str(self.journal.steps[TUNED]["why"]))
        models = {kind: load(self.project.models / name) for kind, name in names.items()}
        held = {kind: _held(model) for kind, model in models.items()}
        learned = self._learned()
        both = sorted((set(held[TUNED]) & set(held[SCRATCH])) - learned)
        answers = {
            kind: np.array([held[kind][name][1] for name in both]).reshape(len(both), len(models[kind].classes))
            for kind in models
        }
        return better(np.array([held[SCRATCH][name][0] for name in both], np.int64), answers)

    def _no_start(self, trainer: str) -> str:
        """Return why no challenger can go on from the champion; empty = one can."""
        if self.old is None:
            return "there is no champion to go on from"
        own = str(self.old.card["trainer"])
        if trainer not in OWN_START or own not in OWN_START:
            odd = trainer if trainer not in OWN_START else own
            return f"{odd} has no network that training could go on from"
        return ""

    def _place(self, name: str) -> Path:
        """Return the folder of a new model; only one that this round itself wrote may lie there."""
        state, number, place = self.project.state, 1, self.project.models / name
        served = {row["target"] for alias in ("champion", "challenger") for row in state.alias_history(alias)}
        while (place.name in served or (place / "card.json").is_file()) and self._saved(place) is None:
            number += 1
            place = self.project.models / f"{name}-{number}"
        return place

    def _saved(self, place: Path) -> dict[str, Any] | None:
        """Return what a step of training gives, if this round has written the model in a folder."""
        from scarce.train import load

        try:
            model = load(place)
        except ScarceError:  # none there, or a damaged one
            return None
        if model.card.get("round") != self.journal.number:
            return None
        held = (model.card["metrics"].get("held_out") or {}).get("balanced_accuracy")
        return {"model": place.name, "weights": model.card["weights"], "seconds": model.card.get("seconds"),
                "held_out": held}  # fmt: skip

    def _learned(self) -> set[str]:
        """Return the samples that the champion, or one that it goes on from, was fitted on."""
        old = self.old
        if old is None:
            return set()
        own = (old.card.get("data") or {}).get("version")
        seen: set[str] = set()
        for name in dict.fromkeys([*(old.card.get("started_from") or {}).get("versions", []), own]):
            try:
                ds: Dataset = self.project.dataset(name)
            except ScarceError:  # pruned: nothing is known of it any more
                continue
            split = ds["split"].astype(str)
            inside = np.isin(split, ("train", "val") if not (split == "val").any() else ("train",))
            seen |= set(ds.ids[inside & (ds["label"] >= 0)].tolist())
        aside: Array = np.zeros(0, object) if old.held_ids is None else old.held_ids
        return seen - set(aside.tolist()) if not (old.card.get("started_from") or {}) else seen


def _held(model: Model) -> dict[str, tuple[int, Floats]]:
    """Return the held-back samples of a model with label and probabilities."""
    if model.held_ids is None or model.held_out is None:
        return {}
    return dict(zip(model.held_ids.tolist(), zip(model.held_out[0].tolist(), model.held_out[1], strict=True),
                    strict=True))  # fmt: skip


def _balanced(labels: Ints, probs: Floats) -> float:
    from scarce.metric import balanced_accuracy

    return float(balanced_accuracy(labels, probs.argmax(1), probs.shape[1]))
