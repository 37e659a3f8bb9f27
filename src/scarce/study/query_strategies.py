"""Which strategy needs the fewest labels on this data, with the truth in the place of the person who answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, final

import numpy as np

from scarce import progress, registry
from scarce.dataset import Array, Dataset, Floats, Ints
from scarce.errors import ConfigError
from scarce.label.query._base import AbstractQuery, Pool
from scarce.study._base import AbstractStudy, Finding, within
from scarce.study._curve import Curves, needed, saving
from scarce.study._data import parts_of, scores
from scarce.study._journal import Journal
from scarce.study._learner import Learner, learner
from scarce.study._page import curve_page

QUESTION = "Which strategy needs the fewest labels?"
Metric = Literal["accuracy", "balanced_accuracy"]


@final
@dataclass(frozen=True, kw_only=True)
class QueryStrategies(AbstractStudy):
    """Ask for labels round by round with each strategy, the truth answers, and compare the learning curves.

    Use on a project of which a good part is labelled already, before the rest is: the strategy that saves most here is
    the one to ask with. The test split is not touched: a grouped, stratified quarter of the other labelled samples is
    held out to judge on, the rest is the pool.
    Needs: features, and labels of people. Writes nothing to the data.
    Source: the protocol of the surveys: the same first labels for all strategies of a seed, a model that is fitted anew
    after each round; differences paired by seed.

    Args:
        strategies: names of ``label.query``; ``first:then`` asks for the first labels with ``first``, after that with
            ``then``. ``random`` is always added: savings are against it.
        initial: labels before the first round, drawn at random where the strategy does not say otherwise.
        step: labels a round; where one round would ask about the whole pool, both are a tenth of it.
        budget: labels in all; less where the pool is smaller.
        seeds: repeats, each with its own draws; at least 20 for a verdict.
        model: ``linear`` or ``kernel``.
        metric: accuracy or balanced_accuracy.
        target: the score whose price is asked; 0 = that of the model on all labels of the pool, less ``slack``.
        slack: how far below the fully labelled model counts as matching it.
    """

    strategies: tuple[str, ...] = ("random", "margin", "entropy", "badge", "core_set", "typi_clust:margin")
    initial: int = 50
    step: int = 50
    budget: int = 500
    seeds: int = 20
    model: Literal["linear", "kernel"] = "linear"
    metric: Metric = "balanced_accuracy"
    target: float = 0.0
    slack: float = 0.01

    def run(self, ds: Dataset, *, journal: Path | None, minutes: float, seed: int) -> Finding:
        """Return curves, labels needed and savings; see the base."""
        rows, held, features = parts_of(ds, seed)
        codes = ds["label"][rows].astype(np.int64)
        task = Task(features[~held], codes[~held], features[held], codes[held], ds.schema.classes)
        return self.compare(task, journal=journal, minutes=minutes, seed=seed)

    def compare(self, task: Task, *, journal: Path | None, minutes: float, seed: int) -> Finding:
        """Run the study on arrays.

        Args:
            task: pool and judged samples.
            journal: as for :meth:`run`.
            minutes: as for :meth:`run`.
            seed: as for :meth:`run`.

        Raises:
            ConfigError: numbers that leave nothing to ask.
            UnknownNameError: no such strategy or model.
        """
        names = tuple(dict.fromkeys(("random", *self.strategies)))
        for name in names:
            _plugins(name, 0)
        if min(self.initial, self.step, self.seeds) < 1 or self.initial > len(task.truth):
            what = f"initial = {self.initial}, step = {self.step}, seeds = {self.seeds}"
            raise ConfigError("study", what, f"the pool has {len(task.truth)} samples", "take 1 or more, at most these")
        if self.initial + self.step >= len(task.truth) > 3:
            tenth = max(1, len(task.truth) // 10)
            progress.say(
                f"one round of {self.step} after the first {self.initial} would ask about the whole pool of "
                f"{len(task.truth)}, and no strategy could differ: the rounds are of {tenth} instead"
            )
            smaller = replace(self, initial=tenth, step=tenth)
            return smaller.compare(task, journal=journal, minutes=minutes, seed=seed)
        setting = {key: getattr(self, key) for key in ("initial", "step", "budget", "model")}
        setting |= {"pool": len(task.truth), "judged": len(task.judged_truth), "seed": seed}
        kept = Journal(journal, {**setting, "content": task.fingerprint()})
        keys = ["full", *(f"{name}/{repeat}" for repeat in range(self.seeds) for name in names)]
        for key in within(keys, list(kept.done), minutes=minutes, what="runs"):
            kept.add(key, self._measure(task, key, seed))
        return self._found(names, kept.done, {**setting, "seeds": self.seeds}, seed)

    def _measure(self, task: Task, key: str, seed: int) -> dict[str, Any]:
        model = learner(self.model, task.features, task.judged, len(task.classes))
        if key == "full":
            return task.scores(model.full_answers(task.truth))
        name, _, repeat = key.rpartition("/")
        return rounds(task, model, name, sizes=(self.initial, self.step, self.budget), seed=[seed, int(repeat)])

    def _found(self, names: Sequence[str], done: Mapping[str, Any], setting: Mapping[str, Any], seed: int) -> Finding:
        repeats = [number for number in range(self.seeds) if all(f"{name}/{number}" in done for name in names)]
        full = done.get("full", {}).get(self.metric)
        body: dict[str, Any] = {
            "question": QUESTION, "setting": dict(setting), "metric": self.metric, "seeds_done": len(repeats),
            "seeds_wanted": self.seeds, "full_model": full, "strategies": {},
        }  # fmt: skip
        if repeats:
            curves = {name: _curves(name, repeats, done, self.metric) for name in names}
            match = (full or 1.0) - self.slack
            body |= {"target": self.target or match, "match_full": match}
            for name, curve in curves.items():
                body["strategies"][name] = _verdict(curve, curves["random"], body, seed)
        return Finding(QUESTION, body, curve_page(body))


@dataclass(frozen=True, eq=False)
class Task:
    """A pool whose truth is known, and the samples that models are judged on.

    Attributes:
        features: (N, D) of the pool.
        truth: (N,) codes.
        judged: (M, D).
        judged_truth: (M,) codes.
        classes: K names.
    """

    features: Array
    truth: Ints
    judged: Array
    judged_truth: Ints
    classes: tuple[str, ...]

    def scores(self, answers: Ints) -> dict[str, float]:
        """Return accuracy and balanced accuracy of (M,) answers."""
        return scores(self.judged_truth, answers)

    def fingerprint(self) -> str:
        """Return a hash of the data."""
        from hashlib import blake2b

        made = blake2b(digest_size=12)
        for part in (self.features, self.truth, self.judged, self.judged_truth):
            made.update(np.ascontiguousarray(part).tobytes())
        return made.hexdigest()


def rounds(
    task: Task, model: Learner, strategy: str, *, sizes: tuple[int, int, int], seed: Sequence[int]
) -> dict[str, Any]:
    """Ask until the budget is spent; return ``labels`` (T,), ``accuracy`` (T,) and ``balanced_accuracy`` (T,).

    Args:
        task: the pool and its truth.
        model: without labels.
        strategy: ``name`` or ``first:then``.
        sizes: labels at first, a round, and in all.
        seed: of everything drawn.
    """
    initial, step, budget = sizes
    n = len(task.truth)
    draw = np.random.default_rng([*seed, 1])
    first, then = _plugins(strategy, int(draw.integers(2**31)))
    labels = np.full(n, -1, np.int64)
    budget = min(budget, n)
    picked = (
        first.rank(Pool(labels=labels, candidates=np.arange(n), embeddings=task.features), initial).rows
        if first else np.random.default_rng([*seed, 0]).choice(n, initial, replace=False)
    )  # fmt: skip
    out: dict[str, list[float]] = {"labels": [], "accuracy": [], "balanced_accuracy": []}
    while True:
        labels[picked] = task.truth[picked]
        model.learn(picked, task.truth[picked])
        out["labels"].append(len(model.rows))
        for name, score in task.scores(model.answers()).items():
            out[name].append(round(score, 6))
        if len(model.rows) >= budget:
            return out
        pool = Pool(
            labels=labels, candidates=np.flatnonzero(labels < 0), embeddings=task.features,
            pred_probs=model.pool_probs() if "pred_probs" in then.needs else None, classes=task.classes,
            model=model.model,
        )  # fmt: skip
        again = int(draw.integers(2**31))
        then = replace(then, seed=again) if _seeded(then) else then  # type: ignore[call-arg]
        picked = then.rank(pool, min(step, budget - len(model.rows))).rows


def _plugins(strategy: str, seed: int) -> tuple[AbstractQuery | None, AbstractQuery]:
    names = strategy.split(":")
    if len(names) > 2:
        raise ConfigError("study", f"{strategy!r} names {len(names)} strategies", "wanted is NAME or FIRST:THEN")
    made = []
    for name in names:
        kind = registry.load("label.query", name, AbstractQuery)  # type: ignore[type-abstract]
        plugin = kind.from_params({})
        made.append(replace(plugin, seed=seed) if _seeded(plugin) else plugin)  # type: ignore[call-arg]
    if len(made) == 2 and "pred_probs" in made[0].needs:
        raise ConfigError("study", f"{names[0]} needs a model and cannot ask first", do="take typi_clust or prob_cover")
    return (made[0] if len(made) == 2 else None), made[-1]


def _seeded(plugin: AbstractQuery) -> bool:
    return any(item.name == "seed" for item in fields(plugin))


def _curves(name: str, repeats: Sequence[int], done: Mapping[str, Any], metric: str) -> Curves:
    runs = [done[f"{name}/{number}"] for number in repeats]
    return Curves(np.array(runs[0]["labels"]), np.array([run[metric] for run in runs]))


def _verdict(curve: Curves, random: Curves, body: Mapping[str, Any], seed: int) -> dict[str, Any]:
    pool, match = body["setting"]["pool"], needed(curve, body["match_full"], seed=seed)
    return {
        "labels": curve.labels.tolist(), "mean": [round(float(value), 6) for value in curve.mean],
        "low": _quantile(curve.scores, 0.1), "high": _quantile(curve.scores, 0.9), "last_sd": _spread_of(curve),
        "to_target": needed(curve, body["target"], seed=seed),
        "saving": saving(curve, random, body["target"], seed=seed),
        "to_match_full": match,
        "share_to_match_full": {key: None if value is None else value / pool for key, value in match.items()},
    }  # fmt: skip


def _quantile(scores: Floats, level: float) -> list[float]:
    return [round(float(value), 6) for value in np.quantile(scores, level, axis=0)]


def _spread_of(curve: Curves) -> float | None:
    return float(curve.scores[:, -1].std(ddof=1)) if len(curve.scores) > 1 else None
