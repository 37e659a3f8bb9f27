"""The driver: which strategy, what may be asked about, what a batch may cost, and no copy twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

import numpy as np

from scarce import registry
from scarce.dataset import Array, Dataset, Floats, Ints
from scarce.errors import ConfigError
from scarce.label.query._base import AbstractQuery, Picks, Pool
from scarce.label.query._copies import Sieve, copy_groups
from scarce.label.query._pool import WHO, Scope, pool_of, with_model
from scarce.label.query.mix import Mix

AUTO: Final = "auto"
COLD, WARM = "typi_clust", "priority"
ENOUGH: Final = 5
"""Labels a class, on average, from which on a model is asked."""
ROUNDS: Final = 30
"""Times that a strategy is asked again because copies were among its picks, before split groups may repeat."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """One sample to ask about.

    Attributes:
        id: the sample.
        uri: where it lies.
        place: 1 = first.
        utility: what it is worth to the strategy, in the strategy's own unit.
        cost: of its label; 1 where costs are not given.
        why: one sentence for a person.
    """

    id: str
    uri: str
    place: int
    utility: float
    cost: float
    why: str


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What to ask about next.

    Attributes:
        samples: the questions, first to be asked first.
        strategy: who chose them.
        params: with which parameters.
        pool: how many samples could have been asked about.
        labeled: how many labels there were.
        budget: what could be spent.
        spent: what these labels cost.
        notes: what a person should know about the choice.
        probs: (n, K) what the model that chose says about the questions, fitted without them; None = no model did.
    """

    samples: tuple[Question, ...]
    strategy: str
    params: Mapping[str, Any]
    pool: int
    labeled: int
    budget: float
    spent: float
    notes: tuple[str, ...] = ()
    probs: Array | None = field(default=None, compare=False, repr=False)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        names = [one.name for one in fields(Question)]
        rows = [{name: getattr(one, name) for name in names} for one in self.samples]
        return {
            "samples": rows, "strategy": self.strategy, "params": dict(self.params), "pool": self.pool,
            "labeled": self.labeled, "budget": self.budget, "spent": self.spent, "notes": list(self.notes),
        }  # fmt: skip

    def entries(self, version: str | None = None) -> list[dict[str, Any]]:
        """Return the rows that :meth:`scarce.state.State.ask` takes; the first question has priority 1."""
        n = max(len(self.samples), 1)
        return [
            {"sample": one.id, "reason": f"{self.strategy}: {one.why}", "priority": 1 - (one.place - 1) / n,
             "version": version}
            for one in self.samples
        ]  # fmt: skip


def run(
    ds: Dataset,
    strategy: str | AbstractQuery = AUTO,
    *,
    budget: float = 50,
    scope: Scope | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    seed: int = 0,
) -> Batch:
    """Choose the samples to ask people about next.

    Only kept, real samples without a label are asked about, none of val and test unless the scope includes them, and no
    two copies of one thing: the same bytes, what the audit linked, or features that are nearly equal; of a split group
    one sample, as long as there are other groups.

    Args:
        ds: the data set with ``embedding.*``, or with ``pred_probs.*``.
        strategy: its name; ``auto`` = typi_clust until there are 5 labels a class, then priority; several with shares
            as in ``margin:2+core_set:1``; or a strategy itself.
        budget: how many labels; where labels have costs, what they may cost together.
        scope: what may be asked about, costs, and whose predictions are used.
        settings: parameters per strategy, for example ``{"mc_dropout": {"passes": 50}}``.
        seed: of strategies that draw.

    Raises:
        UnknownNameError: there is no such strategy, split, model or embedding.
        ConfigError: a parameter or the budget makes no sense.
        DataError: nothing is left to ask about, or costs make no sense.
    """
    chosen = check(strategy, budget, settings=settings, seed=seed)
    notes: list[str] = []
    scope = scope or Scope()
    pool, rows = pool_of(ds, scope, notes)
    if chosen is None:
        chosen = built(COLD if is_cold(pool) else WARM, settings, seed)
    chosen, pool = _equipped(chosen, ds, (pool, rows, scope), notes, lambda: built(COLD, settings, seed))
    picked, value, why = batch_of(chosen, pool, _sieve(ds, pool, rows, scope, notes), budget, notes)
    questions = tuple(
        Question(
            id=str(ds.ids[rows[row]]), uri=str(pool.name(row)), place=place + 1, utility=float(value[place]),
            cost=1.0 if pool.cost is None else float(pool.cost[row]), why=why[place],
        )
        for place, row in enumerate(picked)
    )  # fmt: skip
    return Batch(
        samples=questions, strategy=chosen.plugin_name(), params=chosen.params(), pool=len(pool.candidates),
        labeled=len(pool.labeled), budget=float(budget), spent=float(sum(one.cost for one in questions)),
        notes=tuple(notes), probs=None if pool.pred_probs is None else pool.pred_probs[picked],
    )  # fmt: skip


def check(
    strategy: str | AbstractQuery, budget: float, *, settings: Mapping[str, Mapping[str, Any]] | None = None,
    seed: int = 0,
) -> AbstractQuery | None:  # fmt: skip
    """Return the strategy of :func:`run`, None = auto; asked first, a mistake is told before any work.

    Raises:
        UnknownNameError: there is no such strategy.
        ConfigError: a parameter or the budget makes no sense.
    """
    if not (np.isfinite(budget) and budget > 0):
        raise ConfigError(WHO, f"budget = {budget}", do="give a number above 0")
    if isinstance(strategy, AbstractQuery):
        return strategy
    return None if registry.canonical(strategy) == AUTO else built(strategy, settings, seed)


def is_cold(pool: Pool) -> bool:
    """Return whether there are too few labels for a model to be asked."""
    codes = pool.labels[pool.labeled]
    return len(np.unique(codes)) < 2 or len(codes) < ENOUGH * len(pool.classes)


def built(name: str, settings: Mapping[str, Mapping[str, Any]] | None, seed: int) -> AbstractQuery:
    """Return a strategy with its parameters; ``a:2+b:1`` is a mix.

    Raises:
        UnknownNameError: there is no such strategy.
        ConfigError: a parameter or a share makes no sense.
    """
    extra: dict[str, Any] = {}
    if "+" in name or ":" in name:
        parts = [part.partition(":") for part in name.split("+")]
        try:
            weights = [float(share) if sign else 1.0 for _, sign, share in parts]
        except ValueError:
            raise ConfigError(WHO, f"{name!r} is no mix", do="write it as margin:2+core_set:1") from None
        extra = {"parts": [registry.canonical(part) for part, _, _ in parts], "weights": weights}
        name = "mix"
    kind: type[AbstractQuery] = registry.load("label.query", name, AbstractQuery)  # type: ignore[type-abstract]
    params = {registry.canonical(key): values for key, values in (settings or {}).items()}
    given = {**params.get(registry.canonical(name), {}), **extra}
    if kind is Mix:
        names = [registry.canonical(part) for part in given.get("parts", Mix.parts)]
        told = {**{part: params[part] for part in names if part in params}, **given.get("settings", {})}
        given |= {"settings": told} if told else {}
    if any(one.name == "seed" for one in fields(kind)):
        given = {"seed": seed, **given}
    made = kind.from_params(given)
    if isinstance(made, Mix):
        made.members()  # an unknown part is named before any work
    return made


def _equipped(
    chosen: AbstractQuery, ds: Dataset, place: tuple[Pool, Ints, Scope], notes: list[str], cold: Any
) -> tuple[AbstractQuery, Pool]:
    """Return the strategy and its pool with a model, or another strategy where there can be none."""
    pool, rows, scope = place
    needs = needs_of(chosen)
    if "pred_probs" in needs or "pred_probs?" in needs:
        found = with_model(ds, pool, rows, scope)
        if not isinstance(found, str):
            return chosen, found
        if "pred_probs" in needs:
            instead = cold() if pool.embeddings is not None else built("random", None, 0)
            notes.append(f"{chosen.plugin_name()} needs a model, and {found}: {instead.plugin_name()} chose instead")
            return instead, pool
    if "embedding" in needs and pool.embeddings is None:
        pool.features  # noqa: B018  says what is missing
    return chosen, pool


def needs_of(strategy: AbstractQuery) -> set[str]:
    """Return what a strategy looks at; a mix looks at what its parts do."""
    parts = getattr(strategy, "members", None)
    return set(strategy.needs) if parts is None else {need for part in parts() for need in part.needs}


def _sieve(ds: Dataset, pool: Pool, rows: Ints, scope: Scope, notes: list[str]) -> Sieve:
    """Return the sieve of copies; copies of labeled samples, and of those asked about, do not pass either."""
    groups = copy_groups(ds)[rows]
    named = next((ds[name] for name in ("split_group", "group") if name in ds), np.full(len(ds), None))
    kin = np.arange(len(rows))
    own = np.array([item is not None for item in named[rows]], bool)
    if own.any():
        kin[own] = len(rows) + np.unique(named[rows][own].astype(str), return_inverse=True)[1]
    sieve = Sieve(groups, kin, pool.embeddings, scope.copies)
    sieve.used = set(groups[pool.covered].tolist())
    copies = int(np.isin(groups[pool.candidates], list(sieve.used)).sum())
    if copies:
        notes.append(f"{copies} samples are copies of labeled or asked ones and are not asked about")
    return sieve


def batch_of(
    chosen: AbstractQuery, pool: Pool, sieve: Sieve, budget: float, notes: list[str]
) -> tuple[list[int], list[float], list[str]]:
    """Return rows of the pool, their utilities and reasons, within the budget and without copies.

    Args:
        chosen: the strategy.
        pool: what it sees.
        sieve: of copies.
        budget: how many, or what they may cost together.
        notes: takes what a person should know.
    """
    rows: list[int] = []
    value: list[float] = []
    why: list[str] = []
    left, strict, rounds = budget, True, 0
    every = pool.candidates
    pool = replace(pool, candidates=sieve.left(every, 0))
    while True:
        now = _affordable(pool, left)
        if strict:
            now = replace(now, candidates=now.candidates[~np.isin(sieve.kin[now.candidates], list(sieve.met))])
        if strict and (not len(now.candidates) or rounds == ROUNDS):
            strict, rounds = False, 0
            if len(_affordable(pool, left).candidates):
                notes.append(f"{len(rows)} samples are of different groups; the others repeat groups")
            continue
        if not len(now.candidates) or rounds > 100 * ROUNDS:
            break
        found = _ranked(chosen, now, _how_many(now, left))
        rounds += 1
        before = len(rows)
        fine = sieve.through(found.rows, kin=strict) if pool.cost is None else [None] * len(found.rows)
        for row, worth, reason, good in zip(found.rows.tolist(), found.value.tolist(), found.why, fine, strict=True):
            price = 1.0 if pool.cost is None else float(pool.cost[row])
            if good if good is not None else price <= left * (1 + 1e-12) and sieve.passes(row, kin=strict):
                rows.append(row)
                value.append(worth)
                why.append(reason)
                left -= price
        if len(rows) == before:
            break
        fresh = np.array(rows[before:], np.int64)
        pool = pool.asking(fresh)
        if len(_affordable(pool, left).candidates):
            pool = replace(pool, candidates=sieve.left(pool.candidates, len(fresh)))
    notes += _ends(pool, len(rows), len(every), (budget, left))
    return rows, value, why


def _ranked(chosen: AbstractQuery, pool: Pool, n: int) -> Picks:
    """Return n picks; where all are taken, in the order of their utility, which spares the choice of one by one."""
    whole = pool.cost is None and n == len(pool.candidates)
    return AbstractQuery.rank(chosen, pool, n) if whole else chosen.rank(pool, n)


def _affordable(pool: Pool, left: float) -> Pool:
    if pool.cost is None:
        return pool if left >= 1 - 1e-9 else replace(pool, candidates=pool.candidates[:0])
    return replace(pool, candidates=pool.candidates[pool.cost[pool.candidates] <= left * (1 + 1e-12)])


def _how_many(pool: Pool, left: float) -> int:
    """Return how many picks to ask for: what the budget pays at the usual price, at least one."""
    costs: Floats | None = pool.costs
    usual = 1.0 if costs is None else float(np.median(costs))
    return int(min(len(pool.candidates), max(1, int(left / usual + 1e-9))))


def _ends(pool: Pool, chosen: int, every: int, money: tuple[float, float]) -> list[str]:
    """Return why fewer samples were chosen than the budget pays for.

    Args:
        pool: what is left.
        chosen: how many were chosen.
        every: how many there were.
        money: the budget, and what is left of it.
    """
    budget, left = money
    if pool.cost is not None:
        if chosen == every:
            return [f"the budget of {budget:g} pays for the whole pool: {chosen} samples for {budget - left:g}"]
        return [] if chosen else [f"no label is as cheap as the budget of {budget:g}"]
    if chosen >= int(budget):
        return []
    if chosen == every:
        return [f"the budget of {budget:g} is larger than the pool: all {chosen} samples are asked about"]
    return [f"only {chosen} of {budget:g} samples: the other {every - chosen} of the pool are copies of these"]
