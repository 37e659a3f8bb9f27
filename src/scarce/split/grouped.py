"""Whole groups, every class in every split it can reach, shares as close as groups allow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import numpy as np

from scarce.dataset import Floats, Ints
from scarce.split._base import AbstractSplitter, Units, open_splits


@final
@dataclass(frozen=True, kw_only=True)
class Grouped(AbstractSplitter):
    """Keep groups whole and give every class its share of every split.

    Use always, unless time or a condition must decide.
    Do not use when the model will meet a new camera, place or season: ``hold_out`` or ``by_time`` tell more.
    Needs: label; group and pair findings of the duplicate checks are used where they exist.
    Writes: split, split_group. A class with one group goes to train, with two to train and test, with three or more to
    all splits.
    Source: Sechidis, Tsoumakas and Vlahavas 2011, algorithm 1 (rarest class first), on groups and with restarts.

    Args:
        restarts: tries with other orders; the best one is taken. Fewer where there are very many groups.
    """

    restarts: int = 48

    def assign(self, units: Units, *, seed: int = 0) -> Ints:
        """Return (G,) splits."""
        return assign_groups(units.counts, units.ratios, seed=seed, restarts=self.restarts)


def assign_groups(counts: Ints, ratios: tuple[float, float, float], *, seed: int = 0, restarts: int = 48) -> Ints:
    """Return (G,) the split of each group: 0 = train, 1 = val, 2 = test.

    Args:
        counts: (G, K) rows of each class in each group.
        ratios: shares of train, val and test; a split with 0 gets nothing.
        seed: of the orders that are tried.
        restarts: orders that are tried.
    """
    plan = _Plan.of(np.asarray(counts, np.int64), ratios)
    tries = int(np.clip(200_000 // max(len(plan.bundles), 1), 1, restarts))
    best, least = np.zeros(len(counts), np.int64), np.inf
    for restart in range(tries):
        state = _State(plan, np.random.default_rng([seed, restart]))
        state.place_bundles()
        state.place_singles()
        loss = plan.loss(state)
        if loss < least - 1e-12:
            best, least = state.codes, loss
    return best


@dataclass(frozen=True)
class _Plan:
    """What every try starts from."""

    counts: Ints
    target: Floats
    totals: Ints
    splits: tuple[int, ...]
    wanted: list[tuple[int, ...]]
    bundles: Ints
    singles: list[Ints]
    cells: dict[int, list[tuple[int, int]]] = field(default_factory=dict)

    @classmethod
    def of(cls, counts: Ints, ratios: tuple[float, float, float]) -> _Plan:
        totals = counts.sum(0)
        splits = open_splits(ratios)
        holders = (counts > 0).sum(0)
        single = counts.sum(1) == 1
        only = counts.argmax(1)
        bundles = np.flatnonzero(~single)
        return cls(
            counts=counts,
            target=totals[:, None] * np.asarray(ratios, np.float64),
            totals=totals,
            splits=splits,
            wanted=[splits[: min(len(splits), int(n))] for n in holders],
            bundles=bundles,
            singles=[np.flatnonzero(single & (only == k)) for k in range(counts.shape[1])],
            cells={int(g): [(int(k), int(counts[g, k])) for k in np.flatnonzero(counts[g])] for g in bundles},
        )

    def loss(self, state: _State) -> float:
        """Return how far a try is from what is wanted; a class that misses a split it could reach outweighs shares."""
        weight = {split: 4.0 / 2**rank for rank, split in enumerate(self.splits)}
        missing = sum(weight[s] for k, wanted in enumerate(self.wanted) for s in wanted if state.filled[k][s] == 0)
        filled = np.array(state.filled, np.float64).reshape(len(self.totals), 3)
        off = np.abs(filled - self.target) / np.maximum(self.totals, 1)[:, None]
        overall = np.abs(filled.sum(0) - self.target.sum(0)).sum() / max(self.totals.sum(), 1)
        return float(1000 * missing + (off**2).sum() + overall)


class _State:
    """One try."""

    def __init__(self, plan: _Plan, rng: np.random.Generator) -> None:
        self.plan, self.rng = plan, rng
        self.codes = np.full(len(plan.counts), -1, np.int64)
        self.filled = [[0, 0, 0] for _ in plan.totals]
        self.left = (plan.counts > 0).sum(0).tolist()
        self.need = plan.target.tolist()
        self.weight = (1.0 / np.maximum(plan.totals, 1.0) ** 2).tolist()

    def place_bundles(self) -> None:
        """Place groups of several rows: the class with the fewest groups first, its largest groups first."""
        plan = self.plan
        noise = self.rng.random(len(plan.counts))
        jitter = np.exp(0.5 * (noise - 0.5))
        for k in np.lexsort((self.rng.random(len(self.left)), self.left)).tolist():
            groups = plan.bundles[(plan.counts[plan.bundles, k] > 0) & (self.codes[plan.bundles] < 0)]
            sizes = plan.counts[groups, k] * jitter[groups]
            for group in groups[np.argsort(-sizes, kind="stable")].tolist():
                self.put(group, self.best(group, k))
        for group in plan.bundles[self.codes[plan.bundles] < 0].tolist():
            self.codes[group] = plan.splits[0]

    def best(self, group: int, k: int) -> int:
        """Return the split that brings all classes of a group nearest to their shares."""
        bare = [split for split in self.plan.wanted[k] if self.filled[k][split] == 0]
        choice = bare if bare and self.left[k] <= len(bare) else self.plan.splits
        cells = self.plan.cells[group]
        return max(choice, key=lambda split: sum(n * self.need[c][split] * self.weight[c] for c, n in cells))

    def put(self, group: int, split: int) -> None:
        self.codes[group] = split
        for k, n in self.plan.cells[group]:
            self.filled[k][split] += n
            self.need[k][split] -= n
            self.left[k] -= 1

    def place_singles(self) -> None:
        """Fill up with rows that stand alone, class by class, to the exact shares."""
        for k, singles in enumerate(self.plan.singles):
            if not len(singles):
                continue
            amounts = self.amounts(k, len(singles))
            order = self.rng.permutation(singles)
            for split, part in zip(self.plan.splits, np.split(order, np.cumsum(amounts)[:-1]), strict=True):
                self.codes[part] = split
                self.filled[k][split] += len(part)

    def amounts(self, k: int, n: int) -> list[int]:
        """Return how many of n single rows each open split gets: by need, one at least where the class is lacking."""
        splits = self.plan.splits
        need = np.array([max(self.need[k][split], 0.0) for split in splits])
        need = need if need.sum() > 0 else np.array([self.plan.target[k][split] for split in splits])
        exact = need * (n / need.sum())
        amounts = np.floor(exact + 1e-9).astype(np.int64)
        rest = n - int(amounts.sum())
        amounts[np.argsort(-(exact - amounts), kind="stable")[:rest]] += 1
        for at, split in enumerate(splits):
            if split in self.plan.wanted[k] and not self.filled[k][split] and not amounts[at]:
                held = [
                    count + self.filled[k][s] - 1 if count else -1 for count, s in zip(amounts, splits, strict=True)
                ]
                rich = int(np.argmax(held))
                if held[rich] > 0 or at < rich:
                    amounts[rich] -= 1
                    amounts[at] += 1
        return [int(amount) for amount in amounts]
