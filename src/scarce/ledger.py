"""The ledger: what each data decision gained on real held-out data, with its interval.

Every decision is judged with the same folds and the same seeds with and without it. The difference of the metric gets
a two-way bootstrap: whole split groups are drawn anew within their class, and so are the repeats of the
cross-validation. (Drawing single samples alone claims about 10 % of decisions that do nothing as gains.) Holm's
procedure holds the chance of any false claim over the plan at ``alpha``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import numpy as np

from scarce import progress
from scarce.dataset import Array, Dataset, Floats, FoldView
from scarce.execute.local import spread
from scarce.folds import Folds, Views, views_of
from scarce.metric import Setting, weighted

VERDICTS = ("helped", "hurt", "no evidence", "not applicable")
BLOCK_BYTES = 64 * 2**20


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the ledger.

    Attributes:
        decision: what was done, for example ``rebalance.balanced_softmax``.
        against: what it is compared with, ``baseline`` or the best single decision.
        gain: difference of the metric, positive = better; NaN if not applicable.
        low, high: interval of the gain at the ledger's confidence, before Holm.
        p: two-sided p value before Holm; ``p_holm`` after it.
        detectable: smallest gain that this data would have shown with 80 % power after Holm.
        seconds: what it cost to judge and prepare.
        verdict: ``helped``, ``hurt``, ``no evidence`` or ``not applicable``.
        kept: whether the final plan holds it.
        instrument: the model that measured it; ``proxy`` is True if the final model is another one.
        why: one sentence for people.
    """

    decision: str
    against: str = "baseline"
    gain: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    p_holm: float = math.nan
    detectable: float = math.nan
    seconds: float = 0.0
    verdict: str = "not applicable"
    kept: bool = False
    instrument: str = "linear_probe"
    proxy: bool = False
    why: str = ""
    version_before: str = ""
    version_after: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain values; NaN becomes None."""
        return {
            key: None if isinstance(value, float) and math.isnan(value) else value
            for key, value in asdict(self).items()
        }


@dataclass(frozen=True)
class Effect:
    """A paired difference: gain, interval, two-sided p, standard error and degrees of freedom."""

    gain: float
    low: float
    high: float
    p: float
    se: float
    freedom: float


class Decision(Protocol):
    """A change of what a fold trains on; it sees the training side only."""

    name: str


class Instrument(Protocol):
    """A model that can be fitted on the training side of a fold with some decisions applied."""

    @property
    def name(self) -> str:
        """What rows call it."""

    @property
    def workers(self) -> int | None:
        """How many folds it may fit at once; None = one for each core."""

    def probabilities(self, view: FoldView, decisions: Sequence[Decision], *, seed: int) -> Array:
        """Return (len(view.eval_ids), K) probabilities of the evaluation rows, in their order."""


@dataclass(frozen=True, kw_only=True)
class Design:
    """How the ledger judges.

    Args:
        metric: name in :mod:`scarce.metric`; higher is better.
        folds, repeats: grouped stratified cross-validation.
        alpha: chance of any false claim over the whole plan.
        draws: bootstrap draws.
        seed: of folds, models and bootstrap.
        setting: what the metric must know: normal and rare classes, false-alarm rate.
    """

    metric: str = "balanced_accuracy"
    setting: Setting | None = None
    folds: int = 5
    repeats: int = 3
    alpha: float = 0.05
    draws: int = 2000
    seed: int = 0

    def scores(self, labels: Array, probs: Array, weights: Array | None = None) -> Floats:
        """Return the metric per row of bootstrap weights (B, N); one value without weights."""
        weights = np.ones((1, len(labels)), np.float32) if weights is None else weights
        return weighted(self.metric)(labels, probs, weights, self.setting)


@dataclass(frozen=True)
class Ledger:
    """The rows, and which decisions the final plan keeps."""

    rows: tuple[Row, ...]
    metric: str
    baseline: float
    planned: float
    notes: tuple[str, ...] = ()

    @property
    def kept(self) -> tuple[str, ...]:
        """Names of the kept decisions, in plan order."""
        return tuple(row.decision for row in self.rows if row.kept and row.decision != HYBRID)

    def to_json(self) -> list[dict[str, Any]]:
        """Return the rows as plain values."""
        return [row.to_json() for row in self.rows]


HYBRID = "full_hybrid"


def strata_of(labels: Array, groups: Array) -> tuple[Array, Array]:
    """Return (N,) group numbers and (G,) the class of each group: the rarest one it holds."""
    _, member = np.unique(groups.astype(str), return_inverse=True)
    counts = np.bincount(labels, minlength=int(labels.max(initial=0)) + 1)
    order = np.argsort(-counts[labels], kind="stable")
    stratum = np.zeros(int(member.max(initial=-1)) + 1, np.int64)
    stratum[member[order]] = labels[order]
    return member, stratum


def group_weights(member: Array, stratum: Array, draws: int, rng: np.random.Generator) -> Array:
    """Return (draws, N) float32: how often each sample's group was drawn, within its class."""
    counts = np.zeros((draws, len(stratum)), np.float32)
    for value in np.unique(stratum):
        inside = np.flatnonzero(stratum == value)
        picked = rng.integers(0, len(inside), (draws, len(inside))) + np.arange(draws)[:, None] * len(inside)
        counts[:, inside] = np.bincount(picked.ravel(), minlength=picked.size).reshape(picked.shape)
    return counts[:, member]


def paired_effect(
    labels: Array, without: Array, with_it: Array, groups: Array, design: Design, *, confidence: float | None = None
) -> Effect:
    """Judge one decision from out-of-fold probabilities.

    Args:
        labels: (N,) codes of the real held-out samples.
        without: (R, N, K) probabilities per repeat.
        with_it: the same with the decision, same folds and seeds.
        groups: (N,) names; whole groups are drawn.
        design: metric, draws, alpha, seed.
        confidence: of the interval; 1 - alpha by default.

    The variance between repeats is scaled by R / (R - 1); intervals and p are the wider of the percentile and the
    Student form with (groups of the rarest class - 1) degrees of freedom. With one repeat its share is unknown.
    """
    from scipy import stats

    confidence = confidence if confidence is not None else 1 - design.alpha
    rng = np.random.default_rng([design.seed, 77])
    score = design.scores
    repeats = len(without)
    point = np.array([score(labels, with_it[r])[0] - score(labels, without[r])[0] for r in range(repeats)])
    gain = float(point.mean())
    member, stratum = strata_of(labels, groups)
    block = max(1, min(design.draws, BLOCK_BYTES // (4 * max(1, len(labels)))))
    drawn = []
    for start in range(0, design.draws, block):
        size = min(block, design.draws - start)
        weights = group_weights(member, stratum, size, rng)
        each = np.stack(
            [score(labels, with_it[r], weights) - score(labels, without[r], weights) for r in range(repeats)], 1
        )
        mean = each.mean(1)
        times = rng.multinomial(repeats, np.full(repeats, 1 / repeats), size=size)
        spread = math.sqrt(repeats / (repeats - 1)) if repeats > 1 else 1.0
        drawn.append(mean + spread * ((times * each).mean(1) - mean))
    draws = np.concatenate(drawn)
    se = float(draws.std(ddof=1)) if len(draws) > 1 else 0.0
    freedom = float(max(1, np.bincount(stratum)[np.unique(stratum)].min() - 1)) if len(stratum) > 1 else 1.0
    if se < 1e-12:
        return Effect(gain, gain, gain, 1.0 if abs(gain) < 1e-12 else 1 / (design.draws + 1), 0.0, freedom)
    tail = (1 - confidence) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    reach = float(stats.t.ppf(1 - tail, freedom)) * se
    below, above = int((draws <= 0).sum()), int((draws >= 0).sum())
    p = max(2 * (min(below, above) + 1) / (design.draws + 1), float(2 * stats.t.sf(abs(gain) / se, freedom)))
    return Effect(gain, min(float(low), gain - reach), max(float(high), gain + reach), min(1.0, p), se, freedom)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p values; NaN stays NaN and does not count."""
    order = sorted((index for index, p in enumerate(p_values) if not math.isnan(p)), key=lambda index: p_values[index])
    out = [math.nan] * len(p_values)
    running = 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (len(order) - rank) * p_values[index]))
        out[index] = running
    return out


def detectable_gain(effect: Effect, *, alpha: float, tests: int, power: float = 0.8) -> float:
    """Return the smallest gain that would be claimed with the given power after correcting for ``tests``."""
    from scipy import stats

    critical = stats.t.ppf(1 - alpha / (2 * max(1, tests)), effect.freedom) + stats.t.ppf(power, effect.freedom)
    return float(critical * effect.se)


def out_of_fold(
    views: Views,
    instrument: Instrument,
    decisions: Sequence[Decision],
    design: Design,
) -> Array:
    """Return (R, N, K) probabilities of every development row by models that never saw its group."""
    n, k = len(views[0][0][0]), len(views[0][0][1].dataset.schema.classes)
    out = np.zeros((len(views), n, k))
    jobs = [(repeat, fold) for repeat, folds in enumerate(views) for fold in range(len(folds))]

    def run(job: tuple[int, int]) -> None:
        repeat, fold = job
        inside, view = views[repeat][fold]
        out[repeat, inside] = instrument.probabilities(view, decisions, seed=design.seed + 1000 * repeat + fold)

    spread(run, jobs, workers=instrument.workers)
    return out


def judge(
    ds: Dataset,
    plan: Sequence[Decision],
    instrument: Instrument,
    design: Design,
    *,
    prepared_seconds: Mapping[str, float] | None = None,
    combine: Callable[[Sequence[Decision], Mapping[str, float]], Sequence[Decision]] | None = None,
) -> tuple[Ledger, Array, Folds]:
    """Judge a plan that was fixed beforehand.

    Each decision alone is compared with the baseline; then one joint row is compared with the best single one: all that
    helped together, or the whole plan where at most one did (``combine`` drops those that exclude each other).

    Returns:
        The ledger, the (R, N, K) out-of-fold probabilities of the final plan, and the folds.
    """
    folds = Folds.of(ds, design)
    views = views_of(ds, folds)
    base = out_of_fold(views, instrument, (), design)
    cost = dict(prepared_seconds or {})
    rows: list[Row] = []
    effects: dict[str, Effect] = {}
    probs: dict[str, Array] = {}
    for decision in progress.track(plan, "ledger"):
        started = time.perf_counter()
        probs[decision.name] = out_of_fold(views, instrument, (decision,), design)
        effect = paired_effect(folds.labels, base, probs[decision.name], folds.groups, design)
        effects[decision.name] = effect
        seconds = time.perf_counter() - started + cost.get(decision.name, 0.0)
        rows.append(_row(decision.name, effect, seconds, instrument.name))
    tests = len(rows) + 1
    helped = [
        d for d, row in zip(plan, _with_verdicts(rows, design, tests, effects), strict=True) if row.verdict == "helped"
    ]
    gains = {name: effect.gain for name, effect in effects.items()}
    chosen = tuple(combine(helped, gains)) if combine else tuple(helped)
    together = chosen if len(chosen) > 1 else tuple(combine(plan, gains)) if combine else tuple(plan)
    final = probs[chosen[0].name] if chosen else base
    if len(together) > 1:
        best = max(chosen or plan, key=lambda decision: gains[decision.name])
        both, (row, effects[HYBRID]) = _joint(views, folds, instrument, design, (best, together, probs))
        rows.append(row)
        proven = _with_verdicts(rows, design, tests, effects)[-1].verdict == "helped"
        wins = row.gain >= 0 if len(chosen) > 1 else proven
        chosen = together if wins else (best,) if chosen else ()
        final = both if wins else probs[best.name] if chosen else base
    judged = _with_verdicts(rows, design, tests, effects)
    names = {decision.name for decision in chosen}
    keep_joint = len(chosen) > 1
    judged = [replace(row, kept=row.decision in names or (row.decision == HYBRID and keep_joint)) for row in judged]
    value = [float(np.mean([design.scores(folds.labels, each)[0] for each in some])) for some in (base, final)]
    return Ledger(tuple(judged), design.metric, value[0], value[1]), final, folds


def _joint(
    views: Views, folds: Folds, instrument: Instrument, design: Design, state: tuple[Any, Any, Mapping[str, Array]]
) -> tuple[Array, tuple[Row, Effect]]:
    best, together, probs = state
    started = time.perf_counter()
    both = out_of_fold(views, instrument, together, design)
    effect = paired_effect(folds.labels, probs[best.name], both, folds.groups, design)
    row = _row(HYBRID, effect, time.perf_counter() - started, instrument.name)
    return both, (replace(row, against=best.name, why="together: " + ", ".join(d.name for d in together)), effect)


def _row(name: str, effect: Effect, seconds: float, instrument: str) -> Row:
    return Row(
        decision=name, gain=effect.gain, low=effect.low, high=effect.high, p=effect.p, seconds=round(seconds, 2),
        instrument=instrument, verdict="no evidence",
    )  # fmt: skip


def _with_verdicts(rows: Sequence[Row], design: Design, tests: int, effects: Mapping[str, Effect]) -> list[Row]:
    padded = [row.p for row in rows] + [1.0] * (tests - len(rows))
    adjusted = holm(padded)[: len(rows)]
    out = []
    for row, p in zip(rows, adjusted, strict=True):
        verdict = "no evidence" if not p <= design.alpha else "helped" if row.gain > 0 else "hurt"
        effect = effects[row.decision]
        reach = detectable_gain(effect, alpha=design.alpha, tests=tests) if effect.se > 0 else math.nan
        out.append(replace(row, p_holm=p, verdict=verdict, detectable=reach))
    return out
