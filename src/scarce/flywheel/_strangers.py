"""Possible new classes: compact groups among the samples that a model calls unknown, far commoner than before.

Known classes have strange samples too. So the unknown ones of the reference and of production are clustered together,
without knowing which is which, and every branch of the tree is asked how many of its samples are from production. The
largest surplus is compared with that of random permutations, which counts that so many branches were looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from scarce.dataset import Array, Floats, Ints, Mask
from scarce.flywheel._chance import chance

LEAST: Final = 3
"""Samples of a group."""
MOST: Final = 1000
"""Unknown samples that are clustered, at most; of more, so many are drawn."""
COMPACT: Final = 1.25
"""A group is compact where its variance is at most so many times that of a known class: samples that merely look
strange for many reasons, as under another light, are no class."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Group:
    """A compact group of unknown samples that production shows more often than the reference does.

    Attributes:
        rows: (M,) rows of the second side that belong to it, the most central first.
        before: samples of the reference in it.
        p: chance of such a surplus anywhere among the unknown where nothing is new.
        spread: its variance over that of a known class; about 1 = as compact as a class.
        center: (P,) mean.
    """

    rows: Ints
    before: int
    p: float
    spread: float
    center: Floats


@dataclass(frozen=True, eq=False, kw_only=True)
class _Tree:
    """Branches as ranges of leaves in one order: (J,) first and beyond last."""

    order: Ints
    first: Ints
    beyond: Ints


def groups_of_strangers(
    first: tuple[Array, Mask], second: tuple[Array, Mask], *, variance: float, permutations: int = 1999, seed: int = 0
) -> tuple[float, list[Group]]:
    """Return the p-value of the largest surplus, and the groups that do not overlap, the most surprising first.

    Args:
        first: (N, P) coordinates of independent reference samples, and which of them are unknown, (N,).
        second: (M, P) and (M,), of production.
        variance: mean squared distance of samples from the middle of their (predicted) class, over both sides.
        permutations: at most.
        seed: of the permutations.

    Source: the tree-based scan statistic of Kulldorff et al. 2003, on the tree of Ward 1963.
    """
    n, m = len(first[1]), len(second[1])
    rng = np.random.default_rng([seed, 0x7374])
    rows = np.flatnonzero(np.concatenate([first[1], second[1]]))
    kept = rows if len(rows) <= MOST else np.sort(rng.choice(rows, MOST, replace=False))
    spots = np.concatenate([first[0], second[0]])[kept].astype(np.float64)
    tree = _tree(spots, variance * COMPACT)
    if not len(tree.first):
        return 1.0, []
    mark = (kept[tree.order] >= n).astype(np.float64)
    seen = _surplus(tree, mark[None], m / (n + m))[0]

    def draw(size: int) -> Floats:
        # the marks of the unknown among all n + m samples, of which m are of production
        count = rng.hypergeometric(m, n, len(kept), size=size)
        marks = rng.permuted((np.arange(len(kept)) < count[:, None]).astype(np.float64), axis=1)
        return np.asarray(_surplus(tree, marks, m / (n + m)).max(1), np.float64)

    best = float(seen.max())
    p = chance(best, draw, draws=permutations) if best > 0 else 1.0
    if p == 1.0:
        return p, []
    highest = np.sort(np.concatenate([draw(500) for _ in range(max(1, min(permutations, 4000) // 500))]))
    found: list[Group] = []
    taken = np.zeros(len(kept), bool)
    for branch in np.argsort(-seen, kind="stable").tolist():
        own = slice(int(tree.first[branch]), int(tree.beyond[branch]))
        if seen[branch] <= 0 or taken[own].any():
            continue
        taken[own] = True
        several = 1 - float(np.searchsorted(highest, seen[branch])) / len(highest)
        found.append(_group(spots, kept, tree.order[own], (n, variance, p if not found else max(p, several))))
        if len(found) == 5 or several > 0.1:
            break
    return p, found


def _group(spots: Floats, kept: Ints, leaves: Ints, told: tuple[int, float, float]) -> Group:
    n, variance, p = told
    center = spots[leaves].mean(0)
    away = ((spots[leaves] - center) ** 2).sum(1)
    near = leaves[np.argsort(away, kind="stable")]
    rows = kept[near]
    return Group(rows=rows[rows >= n] - n, before=int((rows < n).sum()), p=p,
                 spread=float(away.mean()) / max(variance, 1e-12), center=center)  # fmt: skip


def _tree(spots: Floats, most: float) -> _Tree:
    """Return the branches of at least three leaves whose variance is at most ``most``."""
    none = np.zeros(0, np.int64)
    if len(spots) < LEAST:
        return _Tree(order=none, first=none, beyond=none)
    from scipy.cluster.hierarchy import leaves_list, linkage

    joined = linkage(spots, "ward")
    order = np.asarray(leaves_list(joined), np.int64)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    first, beyond = [*place.tolist()], [*(place + 1).tolist()]
    for left, right in joined[:, :2].astype(np.int64).tolist():
        first.append(min(first[left], first[right]))
        beyond.append(max(beyond[left], beyond[right]))
    low, high = np.array(first[len(order) :], np.int64), np.array(beyond[len(order) :], np.int64)
    size = (high - low).astype(np.float64)
    sums = np.concatenate([np.zeros((1, spots.shape[1])), np.cumsum(spots[order], 0)])
    squares = np.concatenate([[0.0], np.cumsum((spots[order] ** 2).sum(1))])
    mean = (sums[high] - sums[low]) / size[:, None]
    spread = (squares[high] - squares[low]) / size - (mean**2).sum(1)
    good = (size >= LEAST) & (spread * size / (size - 1) <= most)
    return _Tree(order=order, first=low[good], beyond=high[good])


def _surplus(tree: _Tree, marks: Floats, share: float) -> Floats:
    """Return (B, J) log-likelihood ratios of the branches' share of marks against ``share``; 0 where it is lower."""
    sums = np.concatenate([np.zeros((len(marks), 1)), np.cumsum(marks, 1)], axis=1)
    size = (tree.beyond - tree.first).astype(np.float64)
    count = sums[:, tree.beyond] - sums[:, tree.first]
    rest = size - count
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = count * np.log(np.maximum(count, 1) / (size * share)) + rest * np.log(
            np.maximum(rest, 1) / (size * (1 - share))
        )
    return np.asarray(np.where(count > size * share, ratio, 0.0), np.float64)


def class_variance(spots: Array, codes: Array) -> float:
    """Return the mean squared distance of samples from the middle of their class, over classes of two at least."""
    names, code, count = np.unique(codes, return_inverse=True, return_counts=True)
    middle = np.zeros((len(names), spots.shape[1]))
    np.add.at(middle, code, spots)
    middle /= count[:, None]
    away = ((spots - middle[code]) ** 2).sum(1)
    several = count[code] > 1
    return float((away * count[code] / np.maximum(count[code] - 1, 1))[several].mean()) if several.any() else 0.0
