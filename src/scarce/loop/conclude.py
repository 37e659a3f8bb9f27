"""Commit what the ledger kept, train the final model and the baseline, look at the test set once."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scarce.ballot import vouched
from scarce.dataset import Array, Dataset, FoldView
from scarce.decision import Augment, Fold, Interpolate, TrainSet, describe, fold_of_view
from scarce.folds import groups_of
from scarce.ledger import HYBRID, Design, Ledger, paired_effect
from scarce.lineage import Step
from scarce.loop import sift
from scarce.loop.fitting import (
    PROBE,
    confirm,
    fit_after,
    fresh_place,
    guarded,
    how_trained,
    plain_step,
    trainer_settings,
    training_view,
    unguarded,
)
from scarce.loop.options import NETWORKS, Clock, Options
from scarce.loop.prepare import Ready, feature_cache
from scarce.loop.weigh import Weighed

if TYPE_CHECKING:
    from scarce.project import Project

SMALL_PIXELS = 64
"""Pictures up to this side are trained from scratch by default; larger ones get a head on pretrained features."""
SHARE_TO_TRAIN = 0.44
"""Share of the time left for each of the two networks: baseline and final plan get the same."""
LEAST_MINUTES = 1.0
"""A network gets this much even where the budget is used up."""
WORSE = 0.05
"""A network that much below the linear probe is not what the user wants."""
BETWEEN = ("linear_probe", "blend")
"""Trainers that learn from virtual rows between features."""
OWNERS = {"clean": ("clean",), "augment": ("augment",), "synthesize": ("synthesize",), "rebalance": ("rebalance",)}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The end of a run.

    Attributes:
        dataset: the final version, with features and the model's probabilities of the test rows.
        version: its name.
        ledger: its rows with the versions before and after, and with what was confirmed.
        model: the trained model; ``model_folder`` where it was saved; ``trainer`` its kind.
        test: the ``test`` object of the JSON.
        operating_point: its object, or None without a normal class.
        test_ids, test_probs: (n,) and (n, K) of the one look.
        notes: sentences for people.
        synthetic: what became of the synthetic candidates, plain values; empty without any.
    """

    dataset: Dataset
    version: str
    ledger: Ledger
    model: Any
    model_folder: Path
    trainer: str
    test: Mapping[str, Any]
    operating_point: Mapping[str, Any] | None
    test_ids: Array
    test_probs: Array
    notes: tuple[str, ...]
    synthetic: Mapping[str, Any]


def conclude(project: Project, ready: Ready, weighed: Weighed, options: Options, clock: Clock) -> Outcome:
    """Commit, train, evaluate."""
    notes: list[str] = []
    with clock.step("commit"):
        fold = whole_train_fold(weighed.dataset, ready.embedding)
        ds, version, rows = commit_kept(project, ready, weighed, fold)
    ledger = replace(weighed.ledger, rows=rows)
    trainer = choose_trainer(ds, options, notes)
    with clock.step("train"):
        view = training_view(weighed.dataset)
        plan = plan_for(trainer, weighed, notes)
        pooled = options.test == "cv" or not held_out(weighed.dataset).any()
        minutes = SHARE_TO_TRAIN * max(clock.left / 60, LEAST_MINUTES) / (1 + options.folds * pooled)
        more: dict[str, Any] = {"seed": options.seed, "minutes": minutes}
        more["settings"] = trainer_settings(project.config.train, trainer)
        begun = Path(project.models) / "begun"
        baseline = fit_after(
            view, trainer, ready.embedding, (), calibrate=False, checkpoint=begun / "baseline", **more
        )  # fmt: skip
        final = fit_after(view, trainer, ready.embedding, plan, checkpoint=begun / "final", **more)
        final = guarded(final, view, seed=options.seed, cache=feature_cache(project))
        notes += [*doubts(final, weighed), *filter(None, [unguarded(final, view)])]
    if trainer != "linear_probe":
        rows = tuple(replace(row, proxy=True) for row in ledger.rows)
        notes.append(f"The ledger measured with the linear probe; for {trainer} its rows are marked proxy.")
        if options.confirm and not weighed.decisions:
            notes.append("--confirm had nothing to confirm: the ledger kept no decision.")
        if options.confirm and weighed.decisions:
            with clock.step("confirm"):
                rows = (*rows, confirm(weighed.dataset, trainer, ready.embedding, weighed.decisions, weighed.design))
        ledger = replace(ledger, rows=rows)
    with clock.step("evaluate"):
        if pooled:
            sides = pooled_sides(project, ready, trainer, options, clock, more)
            notes.append(
                f"The test figures are of {options.folds} models like the final one ({trainer}), each with a plan of "
                "its own, on the samples that they never saw."
            )
        else:
            sides = test_sides(weighed.dataset, (baseline, final))
        judged = look(project, ready, sides, final, options)
    final = final.stamped(
        operating_point=judged["point"] or final.card["operating_point"],
        metrics={**final.card["metrics"], "test": judged["test"]["balanced_accuracy"]},
        data={**final.card["data"], "version": version},
        training=how_trained(
            ready.dataset, weighed.dataset, beside=tuple(ready.dataset.wide), command="run", embedding=ready.embedding,
            plan=[{**describe(decision), "kind": type(decision).__name__} for decision in plan],
        ),
    )  # fmt: skip
    folder = fresh_place(project, f"{version}-{trainer}", final.card)
    final.save(folder)
    shutil.rmtree(begun, ignore_errors=True)
    project.state.add_ledger_rows([row.to_json() for row in ledger.rows], run=version)
    return Outcome(
        dataset=ds, version=version, ledger=ledger, model=final, model_folder=folder, trainer=trainer,
        test=judged["test"], operating_point=judged["point"], test_ids=sides[0].eval.ids, test_probs=sides[2],
        notes=tuple(notes),
        synthetic=sift.told(weighed.dataset, ready.embedding, weighed.decisions, fold, project.config),
    )  # fmt: skip


def commit_kept(project: Project, ready: Ready, weighed: Weighed, fold: Fold) -> tuple[Dataset, str, tuple[Any, ...]]:
    """Commit each kept decision as a version of its own; fill in the versions of its ledger row."""
    ds, version = ready.dataset, ready.version
    rows = {row.decision: row for row in weighed.ledger.rows}
    for decision in weighed.decisions:
        stage = decision.name.partition(".")[0]
        grown = [plain_step(step) for step in weighed.dataset.steps[len(ready.dataset.steps) :]]
        params = {**describe(decision), "kind": type(decision).__name__, "embedding": ready.embedding, "grown": grown}
        step = Step(stage=stage, name=decision.name, params=params)
        ds = materialize(ds, weighed.dataset, decision, fold).with_step(step)
        after = project.commit(ds, message=decision.name, owner=OWNERS[stage])
        rows[decision.name] = replace(rows[decision.name], version_before=version, version_after=after)
        version = after
    if HYBRID in rows and rows[HYBRID].kept:
        rows[HYBRID] = replace(rows[HYBRID], version_before=ready.version, version_after=version)
    return ds, version, tuple(rows.values())


def whole_train_fold(ds: Dataset, embedding: str) -> Fold:
    """Return the training split as one fold, its projection fitted on its real rows."""
    mask = ds["keep"].astype(bool) & (ds["origin"] == "real") & (ds["label"] >= 0) & (ds["split"] == "train")
    view = ds.fold(ds.ids[mask], ())
    return fold_of_view(view, embedding, 0, PROBE.components)[0]


def materialize(ds: Dataset, candidates: Dataset, decision: Any, fold: Fold) -> Dataset:
    """Return the dataset with one decision written into its columns."""
    given = fold.start()
    done: TrainSet = decision.apply(given, fold)
    before, after = set(fold.train.ids[given.rows]), fold.train.ids[done.rows]
    lost = before - set(after)
    fresh = [name for name in dict.fromkeys(after) if name not in before and name not in set(ds.ids)]
    if lost:
        rows = ds.rows_of(sorted(lost))
        keep, reason = ds["keep"].astype(bool).copy(), ds["drop_reason"].copy()
        keep[rows], reason[rows] = False, f"{decision.name}: left out of training"
        ds = ds.with_columns({"keep": keep, "drop_reason": reason})
    if fresh:
        chosen = candidates.table.take(candidates.rows_of(fresh))
        ds = ds.append({name: chosen[name] for name in chosen.column_names})
        known = [name for name in ds.wide if name in candidates.wide]
        ds = ds.with_columns({name: candidates.wide[name][candidates.rows_of(ds.ids)] for name in known})
    if isinstance(decision, Augment) or decision.name == "rebalance.oversample":
        total = np.bincount(done.rows, done.weights, len(fold.train))
        weight = ds["weight"].astype(np.float32).copy()
        present = [name for name in fold.train.ids if name in set(ds.ids)]
        weight[ds.rows_of(present)] = total[fold.train.rows_of(present)]
        ds = ds.with_columns({"weight": weight})
    return ds


def choose_trainer(ds: Dataset, options: Options, notes: list[str]) -> str:
    """Return what suits the data: ``blend`` for small pictures, trees for tables; the user's choice comes first."""
    from scarce.train import usual

    if options.trainer != "auto":
        options.refuse_trainer(ds.schema.modality)
        return options.trainer
    sides = ds.wide.get("scan.width")
    name = usual(ds.schema.modality, small=sides is not None and float(np.median(sides)) <= SMALL_PIXELS)
    if name == "linear_probe":
        more = "; --trainer finetune trains a network" if ds.schema.modality == "image" else ""
        notes.append(f"The model is a linear head on the features, fitted in seconds{more}.")
    return name


def plan_for(trainer: str, weighed: Weighed, notes: list[str]) -> tuple[Any, ...]:
    """Return the kept decisions; a network on pictures augments too, unless the ledger says that it hurts."""
    plan = weighed.decisions
    if trainer not in BETWEEN and any(isinstance(decision, Interpolate) for decision in plan):
        notes.append(f"SMOTE puts rows between features, and {trainer} learns from the samples themselves: it trains "
                     "without them.")  # fmt: skip
        plan = tuple(decision for decision in plan if not isinstance(decision, Interpolate))
    row = next((row for row in weighed.ledger.rows if row.decision == "augment"), None)
    named = any(isinstance(decision, Augment) or decision.name == "rebalance.oversample" for decision in plan)
    if trainer not in NETWORKS or named or not weighed.policy or (row is not None and row.verdict == "hurt"):
        return plan
    measured = "was not measured" if row is None or np.isnan(row.gain) else f"was {row.verdict!r} on the probe"
    notes.append(
        f"Augmentation {measured}; the network augments all the same (policy {weighed.policy}), since it draws new "
        "copies in every epoch, which the probe cannot do. The paired difference on the test set includes it."
    )
    return (Augment(policy=weighed.policy), *plan)


def doubts(final: Any, weighed: Weighed) -> list[str]:
    """Return what a user should know of a network that had too little time, or does worse than the linear probe."""
    card = final.card
    if card["trainer"] == "linear_probe":
        return []
    notes = []
    network = card.get("members", {}).get("finetune", card)
    epochs, wanted = network.get("epochs", 0), network.get("schedule", {}).get("epochs", 0)
    if epochs < wanted / 2 and network["schedule"]["seconds"] is not None:
        notes.append(f"The network had time for {epochs} of {wanted} epochs: more --minutes will make it better.")
    held = (card["metrics"].get("held_out") or {}).get("balanced_accuracy")
    probe = weighed.ledger.planned
    if held is not None and weighed.ledger.metric == "balanced_accuracy" and held < probe - WORSE:
        notes.append(
            f"{card['trainer']} reaches {held:.1%} balanced accuracy on held-back training samples, the linear probe "
            f"{probe:.1%} on the development folds: take --trainer linear_probe, or give more --minutes."
        )
    return notes


def look(
    project: Project, ready: Ready, sides: tuple[FoldView, Array, Array], final: Any, options: Options
) -> dict[str, Any]:
    """Look at the test set once: baseline and final plan on the same real samples.

    ``sides`` are the view, and the (n, K) probabilities of the evaluation rows without and with the plan.
    """
    from scarce import evaluate

    view, before, after = sides
    rate = options.false_positive_rate
    seen = len(view.train) == 0  # pooled outer folds: the final model was fitted on these samples
    oof = None if seen else final.held_out
    looks = project.state.count_test_look(version=ready.version, why="run", metric=options.metric)
    fitted = None if seen else final.card.get("fitted")
    body = evaluate.run(view, after, seed=options.seed, false_positive_rate=rate, oof=oof, fitted=fitted).to_json()
    earlier = evaluate.run(view, before, seed=options.seed, false_positive_rate=rate).to_json()
    design = Design(metric="balanced_accuracy", seed=options.seed)
    paired = paired_effect(view.eval["label"], before[None], after[None], groups_of(view.eval), design)
    test = {
        **{name: body[name] for name in ("n", "balanced_accuracy", "macro_f1", "per_class", "calibration")},
        "confusion": body["confusion"]["matrix"], "mistakes": body["mistakes"],
        "rare_average_precision": body["rare_average_precision"],
        "baseline": earlier["balanced_accuracy"], "baseline_macro_f1": earlier["macro_f1"],
        "difference": {"value": paired.gain, "low": paired.low, "high": paired.high, "p": paired.p},
        "majority": body["baseline"], "looks": looks,
    }  # fmt: skip
    return {"test": test, "point": body["operating_point"]}


def held_out(ds: Dataset) -> Array:
    """Return (N,) bool: the kept, real rows of the test split that people labelled."""
    mask = ds["keep"].astype(bool) & (ds["origin"] == "real") & vouched(ds)
    return np.asarray(mask & (ds["split"] == "test"))


def test_sides(ds: Dataset, models: tuple[Any, Any]) -> tuple[FoldView, Array, Array]:
    """Return the test rows with the answers of baseline and final model."""
    view = ds.fold(training_view(ds).train.ids, ds.ids[held_out(ds)])
    return view, models[0].predict_proba(view.eval), models[1].predict_proba(view.eval)


def pooled_sides(  # noqa: PLR0917  the run's parts
    project: Project, ready: Ready, trainer: str, options: Options, clock: Clock, more: Mapping[str, Any]
) -> tuple[FoldView, Array, Array]:
    """Return all rows with the answers of models of the final kind that never saw them: pooled outer folds."""
    from scarce.loop.outer import pooled_folds

    pooled = pooled_folds(project, ready, trainer, options, clock, more)
    return ready.dataset.fold((), pooled.ids), pooled.before, pooled.after
