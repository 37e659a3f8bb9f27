"""Fix the plan, make what it needs, and let the ledger judge it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc

from scarce import progress
from scarce.ballot import vouched
from scarce.dataset import Array, Dataset
from scarce.decision import (
    Augment,
    DropRows,
    Interpolate,
    Oversample,
    ProbeInstrument,
    Reweight,
    SetAsideLabelErrors,
    combine,
)
from scarce.errors import ScarceError
from scarce.execute.local import cores
from scarce.folds import Folds, development
from scarce.ledger import HYBRID, Design, Ledger, Row, judge
from scarce.loop import sift
from scarce.loop.options import Clock, Options
from scarce.loop.prepare import Ready, feature_cache
from scarce.metric import Setting, rare_codes

if TYPE_CHECKING:
    from scarce.config import Config
    from scarce.project import Project
    from scarce.rebalance.strategy import Plan

SHARE_TO_JUDGE = 0.35
"""Share of the time budget that the ledger may use."""
SHARE_IN_NEED = 0.8
"""And of what is left of it where that is less."""
COPIES = 4
"""Augmented copies of one original, at most, among the candidates that the ledger judges."""
MOST_CANDIDATES = 1500
PROJECT_SECONDS, FIT_SECONDS = 5e-11, 3e-8
"""One core, a multiply of the projection, and a cell of a fit with all its steps."""
DEFERRED = (
    "class weights that begin late are for networks: a linear probe ends at the same place whenever they begin; "
    "scarce study losses measures them"
)
LEAST_FOLDS = 3
"""Folds of the ledger where the time is short."""


@dataclass(frozen=True)
class Weighed:
    """The judged plan.

    Attributes:
        ledger: its rows.
        dataset: real rows and all grown candidates, with features.
        decisions: the kept decisions in plan order.
        probs: (R, N, K) out-of-fold probabilities of the final plan; ``folds`` names the rows.
        plan: what the chooser proposed and why.
        policy: the augmentation policy that was used; ``policy_named``: the user chose it.
        error_rate: estimated share of wrong labels, NaN if not estimated.
    """

    ledger: Ledger
    dataset: Dataset
    decisions: tuple[Any, ...]
    probs: Array
    folds: Folds
    plan: Plan
    policy: str
    policy_named: bool
    error_rate: float
    instrument: ProbeInstrument
    design: Design


def weigh(project: Project, ready: Ready, options: Options, clock: Clock) -> Weighed:
    """Choose a plan from the counts, make the candidates in memory, judge every decision."""
    from scarce.augment.policy import guess_domain
    from scarce.rebalance import strategy

    ds = ready.dataset
    error_rate = label_error_rate(ds)
    counts = train_counts(ds)
    plan = strategy.choose(
        counts, label_error_rate=None if np.isnan(error_rate) else error_rate, modality=ds.schema.modality,
        normal_classes=ds.schema.normal_classes, thresholds=thresholds_of(project.config),
    )  # fmt: skip
    policy = options.policy or (guess_domain(ds)[0] if ds.schema.modality in GROWN else "")
    with clock.step("grow"):
        grown, seconds, missing = grow(project, ds, ready.embedding, policy, options)
    with clock.step("judge"):
        decisions = decisions_for(grown, policy, project.config)
        instrument = ProbeInstrument(ready.embedding, workers=options.workers)
        design = design_for(grown, decisions, instrument, options, clock)
        design = replace(design, alpha=project.config.ledger.alpha)
        ledger, probs, folds = judge(grown, decisions, instrument, design, prepared_seconds=seconds, combine=combine)
    missing.append(Row(decision="rebalance.deferred", why=DEFERRED))
    ledger = replace(ledger, rows=(*with_reasons(ledger), *missing))
    kept = tuple(decision for decision in decisions if decision.name in ledger.kept)
    return Weighed(
        ledger, grown, kept, probs, folds, plan, policy, options.policy is not None, error_rate, instrument, design
    )


def with_reasons(ledger: Ledger) -> list[Row]:
    """Return the rows; those that helped and are left out all the same say why."""
    kept = ", ".join(ledger.kept) or "nothing"
    joint = next((row for row in ledger.rows if row.decision == HYBRID), None)
    tried = joint.why.removeprefix("together: ").split(", ") if joint else []
    out = []
    for row in ledger.rows:
        if row.verdict == "helped" and not row.kept and row.decision != HYBRID:
            why = "with the others it did not beat the best alone" if row.decision in tried else "it excludes what is"
            row = replace(row, why=f"{why}, kept: {kept}" if row.decision in tried else f"{why} kept: {kept}")
        out.append(row)
    return out


def thresholds_of(config: Any) -> Any:
    """Return the chooser's thresholds from the section [rebalance.strategy]."""
    from scarce.rebalance.strategy import StrategyThresholds

    given = config.rebalance.strategy
    return StrategyThresholds(
        mild=given.ratio_augment, moderate=given.ratio_weight, severe=given.ratio_focal,
        oversample_total=given.oversample_total, hybrid_total=given.small_total,
        label_error_rate=given.clean_first_error_rate, clean_total=given.clean_first_total,
    )  # fmt: skip


def train_counts(ds: Dataset) -> dict[str, int]:
    """Return class to number of kept real training samples."""
    mask = ds["keep"].astype(bool) & (ds["split"] == "train") & (ds["origin"] == "real") & (ds["label"] >= 0)
    found = np.bincount(ds["label"][mask], minlength=len(ds.schema.classes))
    return {name: int(n) for name, n in zip(ds.schema.classes, found, strict=True)}


def label_error_rate(ds: Dataset) -> float:
    """Return the share of development labels that the audit flagged, NaN if it did not run."""
    if "audit.label_error.score" not in ds:
        return float("nan")
    checks = ds.findings.filter(pc.equal(ds.findings["check"], "label_error"))
    named = checks.filter(pc.equal(checks["level"], "sample"))["members"].to_pylist()
    inside = development(ds) & np.isfinite(ds["audit.label_error.score"].astype(float))
    flagged = np.isin(ds.ids[inside], [name for members in named for name in members])
    return float(flagged.mean()) if inside.any() else float("nan")


def grow(
    project: Project, ds: Dataset, embedding: str, policy: str, options: Options
) -> tuple[Dataset, dict[str, float], list[Row]]:
    """Make augmented and synthetic candidates of the rare classes and encode them.

    Returns:
        The dataset with candidates, the seconds each kind cost, and ledger rows for what does not apply.
    """
    seconds: dict[str, float] = {}
    missing: list[Row] = []
    makers = {name: make for name, make in MAKERS.items() if name in GROWN.get(ds.schema.modality, ())}
    missing += [
        Row(decision=name, why=f"there is none for {ds.schema.modality}") for name in MAKERS if name not in makers
    ]
    for name, make in makers.items():
        progress.say(f"{name}: making candidates for the rare classes")
        started = time.perf_counter()
        try:
            with_rows = make(project, ds, policy, options)
        except ScarceError as error:
            missing.append(Row(decision=name, why=error.what))
            continue
        if len(with_rows) == len(ds):
            missing.append(Row(decision=name, why="there is nothing to grow: no class is rare"))
            continue
        ds = _encoded(project, with_rows, embedding, options)
        if name == "synthesize":
            ds = sift.without_broken(ds, embedding, project.config, seed=options.seed)
        seconds[name] = time.perf_counter() - started
    return ds, seconds, missing


def _augmented(project: Project, ds: Dataset, policy: str, options: Options) -> Dataset:  # noqa: ARG001  one shape
    from scarce import augment
    from scarce.rebalance.target import target_counts

    counts = train_counts(ds)
    present = {name: n for name, n in counts.items() if n}
    names = list(present)
    wanted = np.asarray(target_counts([present[name] for name in names], ratio=3.0, cap=COPIES))
    extra = {
        name: int(min(goal - present[name], COPIES * present[name])) for name, goal in zip(names, wanted, strict=True)
    }
    extra = {name: n for name, n in extra.items() if n > 0}
    scale = min(1.0, MOST_CANDIDATES / max(1, sum(extra.values())))
    rarest = sorted(extra, key=lambda name: present[name])
    chosen: dict[str, int] = {}
    room = MOST_CANDIDATES
    for name in rarest:
        share = extra[name] if scale == 1.0 else min(extra[name], max(1, room // max(1, len(rarest) - len(chosen))))
        chosen[name] = share
        room -= share
    return augment.run(ds, policy, counts=chosen, seed=options.seed) if chosen else ds


def _synthetic(project: Project, ds: Dataset, policy: str, options: Options) -> Dataset:  # noqa: ARG001  one shape
    return sift.make(ds, project.config, seed=options.seed)


MAKERS = {"augment": _augmented, "synthesize": _synthetic}
GROWN = {"image": ("augment", "synthesize"), **dict.fromkeys(("text", "audio", "time_series"), ("augment",))}
"""Kind of data to what grows it."""


def _encoded(project: Project, ds: Dataset, embedding: str, options: Options) -> Dataset:
    from scarce import encode

    return encode.again(ds, embedding, cache=feature_cache(project), workers=options.workers, seed=options.seed)


def decisions_for(ds: Dataset, policy: str, config: Config) -> list[Any]:
    """Return the plan: clean -> augment -> synthesize -> oversample -> reweight, without what does not apply."""
    from scarce import clean

    plan: list[Any] = []
    merges = clean.plan(ds, only=("merge_duplicates",))
    extra = frozenset(name for action in merges if action.kind != "ask" for name in action.samples)
    if extra:
        plan.append(DropRows(name="clean.merge_duplicates", ids=extra))
    guessed = frozenset(ds.ids[development(ds) & ~vouched(ds)].tolist())
    if guessed:
        plan.append(DropRows(name="clean.machine_labels", ids=guessed))
    plan.append(SetAsideLabelErrors())
    origins = set(ds["origin"])
    if "augmented" in origins:
        plan += [Augment(policy=policy)]
    if "synthetic" in origins:
        plan += [sift.decision(config)]
    plan += [
        Oversample(policy=policy),
        Interpolate(),
        *reweights(),
    ]
    return plan


def reweights() -> list[Reweight]:
    """Return the losses that are tried, in plan order; each is known by its name."""
    from scarce.loss_spec import LossSpec
    from scarce.rebalance import balanced_softmax, class_weight, effective_number

    return [
        Reweight(name="rebalance.class_weight", spec=lambda n: _weighted(class_weight.class_weights, n)),
        Reweight(
            name="rebalance.effective_number", spec=lambda n: _weighted(effective_number.effective_number_weights, n)
        ),
        Reweight(
            name="rebalance.balanced_softmax",
            spec=lambda n: LossSpec(prior=tuple(map(float, balanced_softmax.logit_prior(n)))),
        ),
        Reweight(
            name="rebalance.threshold",
            spec=lambda n: LossSpec(moved=tuple(map(float, balanced_softmax.logit_prior(n)))),
        ),
        Reweight(name="rebalance.focal", spec=lambda _: LossSpec(kind="focal", gamma=2.0, alpha=0.25)),
    ]


def _weighted(weights_of: Any, counts: Array) -> Any:
    from scarce.loss_spec import LossSpec

    return LossSpec(class_weights=tuple(map(float, weights_of(counts))))


def design_for(
    ds: Dataset, decisions: Sequence[Any], instrument: ProbeInstrument, options: Options, clock: Clock
) -> Design:
    """Return metric, folds and as many repeats as the budget allows, 2 to 5.

    The cost is counted and not timed, so that the same data, options and machine give the same design, unless the time
    runs out.
    """
    counts = np.array(list(train_counts(ds).values()))
    normal = tuple(ds.schema.classes.index(name) for name in ds.schema.normal_classes)
    setting = Setting(normal=normal, rare=rare_codes(counts, normal), false_positive_rate=options.false_positive_rate)
    design = Design(metric=options.metric, folds=options.folds, repeats=2, seed=options.seed, setting=setting)
    if options.repeats is not None:
        return replace(design, repeats=options.repeats)
    seconds = seconds_of(ds, design, instrument, plans=len(decisions) + 2)
    allowed = SHARE_TO_JUDGE * 60 * options.minutes
    if allowed > SHARE_IN_NEED * clock.left:
        progress.say("the time is short: the ledger judges with fewer repeats, and another run may judge with more")
        allowed = SHARE_IN_NEED * clock.left
    if 2 * seconds > allowed and design.folds > LEAST_FOLDS:
        seconds *= LEAST_FOLDS / design.folds
        design = replace(design, folds=LEAST_FOLDS)
    repeats = int(np.clip(allowed / max(seconds, 1e-3), 2, 5))
    expected = f"about {max(seconds * repeats, 1):.0f} s"
    progress.say(f"ledger: {len(decisions)} decisions, {design.folds} folds, {repeats} repeats, {expected}")
    return replace(design, repeats=repeats)


def seconds_of(ds: Dataset, design: Design, instrument: ProbeInstrument, *, plans: int) -> float:
    """Return about how long one repeat takes: each fold is projected once and fitted for each plan.

    Counted in operations, with the constants of one core that were measured on two machines within a factor of two.
    """
    n, width = int(development(ds).sum()), ds[instrument.embedding].shape[1]
    kept = min(instrument.probe.components, width, n)
    fold = PROJECT_SECONDS * n * width * min(n, width) + FIT_SECONDS * n * kept * len(ds.schema.classes) * plans
    return float(design.folds * fold / min(instrument.workers or cores(), design.folds))
