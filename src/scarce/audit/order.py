"""Drift: samples that change along time or along the files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from scarce.audit._base import AbstractCheck, Finding, Measurement, ds_embedding, finding
from scarce.audit._property import Property, groups_of, properties
from scarce.dataset import Dataset, Floats, Ints
from scarce.errors import DataError

COMPONENTS, FEWEST, PIECES = 16, 40, 20
MOST_ROWS = 20_000
LEAST_P = 0.01


@dataclass(frozen=True, eq=False)
class Drift:
    """What the search along one order found.

    Attributes:
        p: probability that samples in any order would show as strong a change.
        strength: share of the variance inside the classes that ``PIECES`` equal pieces of the order explain, above
            what independent samples would show.
        change: place of the likeliest change point, 0 to 1.
        abrupt: share of that strength which the one change point explains.
        distance: (N,) how far the middle of a sample's piece lies from that of all, in standard errors of independent
            samples.
    """

    p: float
    strength: float
    change: float
    abrupt: float
    distance: Floats


def drift(
    features: Floats, position: Floats, labels: Ints, groups: Ints | None = None, *, draws: int = 499, seed: int = 0
) -> Drift:
    """Return whether features change along an order, beyond what the order of the labels brings about.

    Features lose the mean of their class first, so that files sorted by class are no drift. The statistic is the
    largest multivariate CUSUM over all change points; it finds steps and slow trends. Its null distribution comes from
    shuffling inside each class, in runs as long as neighbors are alike (bursts, groups), so that neighbors that
    resemble each other are no drift either.

    Args:
        features: (N, D), finite.
        position: (N,) place in the order; ties are broken by row.
        labels: (N,) codes; -1 = unlabelled, a class of its own here.
        groups: (N,) numbers of groups, which move as one; None = none.
        draws: shuffles.
        seed: of the shuffles.

    Raises:
        DataError: fewer than 40 samples.
    """
    if len(features) < FEWEST:
        raise DataError("audit.order", f"{len(features)} samples are too few", f"a drift needs {FEWEST}")
    order = np.lexsort((labels, position))
    rows = _centered(features, labels)[order]
    codes = labels[order]
    runs = _runs(rows, codes, None if groups is None else groups[order])
    at, observed = _cusum(rows)
    edges = np.linspace(0, len(rows), PIECES + 1).astype(np.int64)
    highest = np.empty(draws)
    rng = np.random.default_rng([seed, draws])
    for draw in range(draws):
        highest[draw] = _cusum(rows[_shuffled(runs, codes, rng)])[1]
    found, total = _between(rows, edges), max(float((rows**2).sum()), 1e-12)
    chance = total / len(rows)
    strength = max(0.0, float(found.sum()) - (PIECES - 1) * chance) / total
    step = observed * len(rows) / total
    distance = np.empty(len(rows))
    excess = np.maximum(found - chance, 0) / np.sqrt(2 * max(chance, 1e-12))
    distance[order] = np.repeat(excess, np.diff(edges))
    p = float((1 + (highest >= observed).sum()) / (draws + 1))
    return Drift(p, strength, at, min(step / max(strength, 1e-12), 1.0), distance)


def _centered(features: Floats, labels: Ints) -> Floats:
    """Return (N, P) leading directions of the features without the mean of their class, each of variance 1."""
    from scarce.probe import leading

    rows = np.asarray(features, np.float32)
    member = np.unique(labels, return_inverse=True)[1]
    counts = np.bincount(member).astype(np.float32)
    means = np.zeros((len(counts), rows.shape[1]), np.float32)
    np.add.at(means, member, rows)
    rows = rows - (means / counts[:, None])[member]
    scale = rows.std(axis=0)
    rows = rows[:, scale > 1e-9] / scale[scale > 1e-9]
    if not rows.shape[1]:
        return np.zeros((len(features), 1))
    power, basis = leading(rows.T @ rows / np.float32(len(rows)), min(COMPONENTS, rows.shape[1]))
    good = power > 1e-9
    return np.asarray(rows @ basis[:, good] / np.sqrt(power[good]), np.float64)


def _cusum(rows: Floats) -> tuple[float, float]:
    """Return the place of the strongest change and its statistic: the variance that two sides explain, over N."""
    n = len(rows)
    edge = max(2, n // 20)
    part = np.arange(edge, n - edge + 1)
    sums = np.cumsum(rows, axis=0)[part - 1] - np.outer(part / n, rows.sum(axis=0))
    power = (sums**2).sum(axis=1) / (part * (1 - part / n)) / n
    best = int(power.argmax())
    return float(part[best] / n), float(power[best])


def _between(rows: Floats, edges: Ints) -> Floats:
    sums = np.add.reduceat(rows, edges[:-1], axis=0)
    return np.asarray((sums**2).sum(axis=1) / np.maximum(np.diff(edges), 1))


def _runs(rows: Floats, codes: Ints, groups: Ints | None) -> Ints:
    """Return (N,) numbers of runs inside a class that stay together: as long as neighbors are alike, groups whole."""
    runs, first = np.empty(len(rows), np.int64), 0
    length = _memory(rows, codes)
    for code in np.unique(codes):
        mine = np.flatnonzero(codes == code)
        if groups is not None:
            _, start, member = np.unique(groups[mine], return_index=True, return_inverse=True)
            place = np.argsort(np.argsort(start))[member]
        else:
            place = np.arange(len(mine))
        sizes = np.bincount(place)
        block = (np.cumsum(sizes) - sizes) // min(length, max(1, len(mine) // 20))
        runs[mine] = first + block[place]
        first += int(block.max()) + 1
    return runs


def _memory(rows: Floats, codes: Ints) -> int:
    """Return over how many neighbors of one class the resemblance falls below chance, at most a twentieth of them."""
    order = np.argsort(codes, kind="stable")
    most = max(1, len(rows) // 20)
    for lag in range(1, most):
        same = codes[order][lag:] == codes[order][:-lag]
        alike = (rows[order][lag:] * rows[order][:-lag]).sum(axis=1)[same]
        if len(alike) < 20 or alike.mean() <= 2 * alike.std() / np.sqrt(len(alike)):
            return lag
    return most


def _shuffled(runs: Ints, codes: Ints, rng: np.random.Generator) -> Ints:
    """Return row numbers with the runs of each class in a new order, the places of the classes kept."""
    out = np.empty(len(runs), np.int64)
    key = rng.random(int(runs.max()) + 1)[runs]
    for code in np.unique(codes):
        mine = np.flatnonzero(codes == code)
        out[mine] = mine[np.lexsort((mine, key[mine]))]
    return out


def file_position(names: list[str], labels: Ints) -> Floats:
    """Return (N,) places in natural file order (9 before 10), as a share of the own class.

    The order of the classes hence says nothing.

    Args:
        names: N paths, with ``#row`` for rows of tables.
        labels: (N,) codes.
    """
    keys = [
        [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", name)] for name in names
    ]
    rank = np.empty(len(names))
    rank[sorted(range(len(names)), key=keys.__getitem__)] = np.arange(len(names))
    out = np.empty(len(names))
    for code in np.unique(labels):
        mine = np.flatnonzero(labels == code)
        out[mine] = (np.argsort(np.argsort(rank[mine], kind="stable")) + 0.5) / len(mine)
    return out


@final
@dataclass(frozen=True, kw_only=True)
class Order(AbstractCheck):
    """Find drift: samples that change along time, or along the files.

    Use where data was collected over weeks: a lens gets dirty, a lamp ages, a lot changes, and a split at random hides
    that from the test.
    Do not use as a fault: drift calls for a split by time and for newer data. Files sorted by class, bursts of
    look-alikes and groups are no drift.
    Needs: embedding (N, D); ``captured_at``, times in columns or EXIF data if there are any, else the order of the
    files. At least 40 samples.
    Writes: score (N,), how far the samples around it lie from the middle of all, at least 0.5 = clearly; below 0.5
    everywhere when there is no drift. Findings with p, the change point, the properties that move, and the classes.
    Source: multivariate CUSUM, after Page 1954; calibrated by block permutation inside the class.

    Args:
        least: share of the variance inside the classes that the order must explain, in (0, 1).
        draws: permutations; p is at least 1 / (draws + 1).
        encoder: whose features; empty = the newest.
        files: open the files of pictures for the time.
        seed: of the permutations.
    """

    needs: ClassVar[tuple[str, ...]] = ("embedding",)
    least: float = 0.005
    draws: int = 499
    encoder: str = ""
    files: bool = True
    seed: int = 0

    def measure(self, ds: Dataset) -> Measurement:
        """Look along each order.

        Raises:
            DataError: fewer than 40 samples with features.
        """
        _, features = ds_embedding(ds, self.encoder)
        order = np.argsort(ds.ids.astype(str), kind="stable")
        order = order[np.isfinite(features[order]).all(axis=1)]
        if len(order) < FEWEST:
            raise DataError("audit.order", f"{len(order)} samples have features", f"a drift needs {FEWEST}")
        if len(order) > MOST_ROWS:
            order = np.sort(np.random.default_rng([self.seed, len(order)]).choice(order, MOST_ROWS, replace=False))
        rows, features = ds.take(order), features[order]
        named = properties(rows, files=self.files)
        orders = [item for item in named if item.is_time]
        if not orders:
            place = file_position([str(uri or "") for uri in ds["uri"]], ds["label"])[order]
            orders = [Property("file order", place, by_content=False)]
        score, found = np.full(len(ds), np.nan), []
        score[order] = 0.0
        for item in orders:
            known = np.flatnonzero(np.isfinite(item.values))
            if len(known) < FEWEST:
                continue
            result = self._along(rows.take(known), features[known], item.values[known])
            clear = result.p * len(orders) <= LEAST_P and result.strength >= self.least
            depth = result.distance / 6
            mine = depth / (1 + depth)
            score[order[known]] = np.maximum(score[order[known]], mine if clear else np.minimum(mine, 0.49))
            part = [one for one in named if one is not item and one.is_number and not one.is_time]
            if clear:
                found += self._told(rows, features, known, item, result, part)
            if item.is_time:
                found += self._shares(rows.take(known), item.values[known], item.name)
        return Measurement(score, found)

    def _along(self, rows: Dataset, features: Floats, position: Floats) -> Drift:
        groups = groups_of(rows)
        whole = groups if len(np.unique(groups)) < len(groups) else None
        return drift(features, position, rows["label"], whole, draws=self.draws, seed=self.seed)

    def _told(  # noqa: PLR0917  what is known about one order
        self, rows: Dataset, features: Floats, known: Ints, item: Property, result: Drift, named: Sequence[Property]
    ) -> list[Finding]:
        position = item.values[known]
        along = known[np.lexsort((rows["label"][known], position))]
        turn = min(max(int(result.change * len(along)), 1), len(along) - 1)
        moved = trends([one.values[known] for one in named], position, rows["label"][known])
        words = [
            f"the {named[one].name} {'rises' if moved[one] > 0 else 'falls'} on the way (rank correlation "
            f"{moved[one]:+.2f})"
            for one in np.argsort(-np.abs(moved), kind="stable")[:3] if abs(moved[one]) >= 0.1
        ]  # fmt: skip
        kind = "mostly in one step" if result.abrupt >= 0.6 else "gradually"
        why = (
            f"the samples drift along {item.name}, {kind}: the order explains {100 * result.strength:.1f} % of what "
            f"varies inside the classes (p = {result.p:.3f}); the change is strongest after {100 * result.change:.0f} %"
        ) + (f"; {', '.join(words)}" if words else "")
        found = [
            finding("data", (), min(1.0, 0.5 + result.strength), why),
            finding("group", rows.ids[[along[0], along[turn - 1], along[turn], along[-1]]],
                    min(1.0, 0.5 + result.strength), f"first, before and after the change, and last along {item.name}"),
        ]  # fmt: skip
        labels = rows["label"][known]
        large = [code for code in np.unique(labels[labels >= 0]) if (labels == code).sum() >= FEWEST]
        for code in large if len(np.unique(labels)) > 1 else []:
            mine = known[labels == code]
            alone = self._along(rows.take(mine), features[mine], item.values[mine])
            if alone.p * len(large) <= 5 * LEAST_P and alone.strength >= self.least:
                name = rows.schema.classes[code]
                why = f'"{name}" drifts along {item.name}: {100 * alone.strength:.1f} % explained (p = {alone.p:.3f})'
                found.append(finding("class", (name,), min(1.0, 0.5 + alone.strength), why))
        return found

    def _shares(self, rows: Dataset, position: Floats, name: str) -> list[Finding]:
        labels = rows["label"]
        known = labels >= 0
        if known.sum() < FEWEST or len(np.unique(labels[known])) < 2:
            return []
        shares = np.eye(len(rows.schema.classes))[labels[known]]
        result = drift(shares, position[known], np.zeros(int(known.sum()), np.int64), draws=self.draws, seed=self.seed)
        if result.p > LEAST_P or result.strength < self.least:
            return []
        why = (
            f"the shares of the classes change along {name} (p = {result.p:.3f}); a split by time would differ in them"
        )
        return [finding("data", (), min(1.0, 0.3 + result.strength), why)]


def trends(values: Sequence[Floats], position: Floats, labels: Ints) -> Floats:
    """Return (P,) rank correlations of properties with the position, inside the classes; 0 where nothing is known.

    Args:
        values: P arrays of (N,) numbers, NaN = not known.
        position: (N,).
        labels: (N,) codes.
    """
    out = np.zeros(len(values))
    member = np.unique(labels, return_inverse=True)[1]
    for index, column in enumerate(values):
        known = np.isfinite(column)
        if known.sum() < FEWEST:
            continue
        ranked = []
        for one in (column[known], position[known]):
            rank = np.argsort(np.argsort(one, kind="stable"), kind="stable").astype(np.float64)
            counts = np.maximum(np.bincount(member[known]), 1)
            ranked.append(rank - (np.bincount(member[known], rank) / counts)[member[known]])
        size = float(np.sqrt((ranked[0] ** 2).sum() * (ranked[1] ** 2).sum()))
        out[index] = float((ranked[0] * ranked[1]).sum()) / size if size > 0 else 0.0
    return out
