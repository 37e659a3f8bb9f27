"""Evidence about classes of few samples: leave-one-out prototypes and neighbors beside the cross-validated probe.

A probe that is fitted to 30 rows of a class and 3,000 of the others learns that the class hardly occurs. Two other
witnesses ask less of the data: the distance to the middle of each class (one mean per class, one covariance for all),
and a vote of the nearest rows. Both leave out the row that they judge, with everything of its group, in closed form, so
that nothing is fitted again. How much each witness counts is learned: the powers of their product under which the given
labels are likeliest, a class weighing by the root of its size so that the rare ones have a say.
Source: leave-one-out means as in regularized discriminant analysis (Friedman 1989); prototypes as in Snell et al.
2017; the product of experts is Hinton's (2002), its weights are ours.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from scarce.audit._noise_model import FLOOR, fit_rows
from scarce.dataset import Array, Floats, Ints

COMPONENTS: Final = 64
REFERENCES: Final = 400
ALL_REFERENCES: Final = 20_000
"""Rows of a class, and of all, that may vote at most: the cost stays linear in N, and a rare class is there whole."""
NEIGHBORS: Final = 12
SMOOTHING: Final = 2.0
"""Rows by which the mean of a class is pulled toward the mean of all."""
BLOCK: Final = 2048
RARE: Final = 200
"""Where no class has fewer rows, the probe alone is heard; it needs no help."""
MATCHING: Final = 30
"""Steps at most until the shares agree to one part in a hundred."""
MOST_CELLS: Final = 20_000_000


def out_of_sample(
    features: Floats, labels: Ints, classes: int, *, groups: Array | None = None, folds: int = 5, seed: int = 0
) -> Floats:
    """Return (N, K) probabilities of the classes; no row, and nothing of its group, was used to judge it.

    Args:
        features: (N, D), finite.
        labels: (N,) codes in [0, K).
        classes: K.
        groups: (N,) names; equal ones are never on both sides. None = every row stands alone.
        folds: of the probe's cross-validation.
        seed: of the folds and of the rows that vote.
    """
    from scarce import probe
    from scarce.audit import _shared

    probs = _shared.out_of_fold(features, labels, classes, groups=groups, folds=folds, seed=seed)
    probs = np.asarray(probs / probs.sum(axis=1, keepdims=True), np.float64)
    counts = np.bincount(labels, minlength=classes)
    if counts[counts > 0].min() > RARE or probs.size > MOST_CELLS:
        return probs
    member = np.arange(len(labels)) if groups is None else np.unique(groups, return_inverse=True)[1].reshape(-1)
    points = probe.Projection.fit(features, components=COMPONENTS)(features)
    witnesses = [
        probs,
        prototype_probs(points, labels, member, classes),
        neighbor_probs(points, labels, member, classes, seed=seed),
    ]
    return together(witnesses, labels, seed=seed)


def prototype_probs(points: Floats, labels: Ints, member: Ints, classes: int) -> Floats:
    """Return (N, K) probabilities by distance to the mean of each class without the row's own group.

    Args:
        points: (N, P) coordinates.
        labels: (N,) codes in [0, K).
        member: (N,) group numbers.
        classes: K.
    """
    rows = points.astype(np.float64)
    total, sums = np.bincount(labels, minlength=classes), _sums(rows, labels, classes)
    middle = rows.mean(axis=0)
    means = (sums + SMOOTHING * middle) / (total + SMOOTHING)[:, None]
    whiten = _whitening(rows - means[labels])
    rows, sums, middle, means = rows @ whiten, sums @ whiten, middle @ whiten, means @ whiten
    square = (rows**2).sum(axis=1)[:, None] - 2 * rows @ means.T + (means**2).sum(axis=1)
    place, code, less, less_sum = _own_groups(rows, labels, member, classes)
    left = np.tile(total, (len(rows), 1))
    left[place, code] -= less
    without = (sums[code] - less_sum + SMOOTHING * middle) / (left[place, code] + SMOOTHING)[:, None]
    square[place, code] = ((rows[place] - without) ** 2).sum(axis=1)
    square /= 1 + 1 / (left + SMOOTHING)  # a mean of few rows is itself uncertain
    logits = np.log(left + 0.5) - 0.5 * square
    logits[:, total <= 0] = -np.inf
    return _normalized(logits)


def neighbor_probs(points: Floats, labels: Ints, member: Ints, classes: int, *, seed: int = 0) -> Floats:
    """Return (N, K) probabilities by a vote of the nearest rows of other groups.

    At most :data:`REFERENCES` rows of a class vote, drawn by ``seed``; each stands for its share of the class.

    Args:
        points: (N, P) coordinates.
        labels: (N,) codes in [0, K).
        member: (N,) group numbers.
        classes: K.
        seed: of the draw.
    """
    chosen, worth = _voters(labels, classes, seed)
    unit = _unit(points)
    k = min(NEIGHBORS, len(chosen))
    out = np.empty((len(points), classes))
    prior = np.bincount(labels, minlength=classes) + 0.5
    prior = prior / prior.sum()
    for a in range(0, len(points), BLOCK):
        near = unit[a : a + BLOCK] @ unit[chosen].T
        near[member[a : a + BLOCK, None] == member[chosen]] = -2
        top = np.argpartition(-near, k - 1, axis=1)[:, :k]
        value = np.take_along_axis(near, top, axis=1).astype(np.float64)
        scale = np.maximum(1 - value.max(axis=1, keepdims=True), 1e-3)
        mass = np.exp(-2 * (1 - value) / scale) * worth[top] * (value > -1.5)
        votes = np.zeros((len(near), classes))
        for j in range(k):
            votes[np.arange(len(near)), labels[chosen[top[:, j]]]] += mass[:, j]
        out[a : a + BLOCK] = votes + (0.02 * np.maximum(votes.sum(axis=1), 1e-9))[:, None] * prior
    return np.asarray(out / out.sum(axis=1, keepdims=True))


def together(witnesses: list[Floats], labels: Ints, *, seed: int = 0) -> Floats:
    """Return (N, K) probabilities: the product of all witnesses, each to the power that the given labels ask for."""
    from scipy.optimize import minimize

    classes = witnesses[0].shape[1]
    rows = fit_rows(labels, classes, 400_000, seed)
    log, given = np.stack([np.log(np.clip(probs[rows], FLOOR, 1.0)) for probs in witnesses]), labels[rows]
    weight = 1 / np.sqrt(np.bincount(given, minlength=classes)[given])
    weight /= weight.sum()
    here = np.arange(len(rows))

    def loss(powers: Array) -> tuple[float, Array]:
        probs = _normalized(np.tensordot(powers, log, 1))
        value = -float(weight @ np.log(np.maximum(probs[here, given], 1e-300))) + 1e-3 * float(powers @ powers)
        probs[here, given] -= 1
        return value, np.array([weight @ (probs * one).sum(axis=1) for one in log]) + 2e-3 * powers

    found: Any = minimize(
        loss, np.full(len(log), 1 / len(log)), jac=True, bounds=[(0, None)] * len(log), method="L-BFGS-B"
    )
    total = np.zeros_like(witnesses[0])
    for power, probs in zip(found.x, witnesses, strict=True):
        total += power * np.log(np.clip(probs, FLOOR, 1.0))
    return with_shares(total, labels)


def with_shares(logits: Floats, labels: Ints) -> Floats:
    """Return (N, K) probabilities whose mean is the share of each class among the labels: one constant per class.

    The powers give the rare classes more say than their size; without this, what is common would look rare.
    """
    share = np.bincount(labels, minlength=logits.shape[1]) / len(labels)
    offset = np.zeros(logits.shape[1])
    known = share > 0
    for _ in range(MATCHING):
        mean = _normalized(logits + offset).mean(axis=0)
        offset[known] += np.log(share[known] / np.maximum(mean[known], 1e-12))
        if np.abs(mean[known] / share[known] - 1).max() < 0.01:
            break
    return _normalized(logits + offset)


def nearest(points: Floats, rows: Ints, among: Ints, member: Ints) -> tuple[Ints, Floats]:
    """Return, for M rows, the most similar of other rows outside their group (-1 = none), and the cosine."""
    best, value = np.full(len(rows), -1), np.full(len(rows), np.nan)
    if not len(among):
        return best, value
    others = _unit(points[among])
    for a in range(0, len(rows), BLOCK):
        some = rows[a : a + BLOCK]
        near = _unit(points[some]) @ others.T
        near[member[some, None] == member[among]] = -2
        top = near.argmax(axis=1)
        reached = near[np.arange(len(some)), top]
        best[a : a + BLOCK] = np.where(reached > -1.5, among[top], -1)
        value[a : a + BLOCK] = np.where(reached > -1.5, reached, np.nan)
    return best, value


def _unit(points: Floats) -> Floats:
    return np.asarray(points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12))


def _voters(labels: Ints, classes: int, seed: int) -> tuple[Ints, Floats]:
    """Return the rows that vote, and how many rows each stands for."""
    rng = np.random.default_rng([seed, 17])
    most = max(10, min(REFERENCES, ALL_REFERENCES // classes))
    picked, stands = [], []
    for code in range(classes):
        rows = np.flatnonzero(labels == code)
        some = rows if len(rows) <= most else np.sort(rng.choice(rows, most, replace=False))
        picked.append(some)
        stands.append(np.full(len(some), len(rows) / max(len(some), 1)))
    return np.concatenate(picked), np.concatenate(stands)


def _sums(rows: Floats, codes: Ints, count: int) -> Floats:
    """Return (count, P) sums of the rows of each code."""
    out = np.zeros((count, rows.shape[1]))
    order = np.argsort(codes, kind="stable")
    present, starts = np.unique(codes[order], return_index=True)
    out[present] = np.add.reduceat(rows[order], starts, axis=0)
    return out


def _whitening(within: Floats) -> Floats:
    """Return (P, P) by which rows are multiplied so that the spread inside classes is 1 in every direction."""
    n, width = within.shape
    covariance = within.T @ within / n
    shrink = min(1.0, 0.05 + width / (n + width))
    covariance = (1 - shrink) * covariance + shrink * np.eye(width) * max(np.trace(covariance) / width, 1e-12)
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors / np.sqrt(np.maximum(values, 1e-12)))


def _own_groups(rows: Floats, labels: Ints, member: Ints, classes: int) -> tuple[Ints, Ints, Ints, Floats]:
    """Return every (row, class) of which the row's group holds members, their number and their sum."""
    pair, where = np.unique(member * classes + labels, return_inverse=True)
    count, total = np.bincount(where), _sums(rows, where, len(pair))
    group, code = np.divmod(pair, classes)
    starts = np.searchsorted(group, np.arange(member.max(initial=-1) + 2))
    many = np.diff(starts)[member]
    place = np.repeat(np.arange(len(rows)), many)
    offset = np.arange(len(place)) - np.repeat(np.cumsum(many) - many, many)
    index = starts[member[place]] + offset
    return place, code[index], count[index], total[index]


def _normalized(logits: Floats) -> Array:
    power = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(power / power.sum(axis=1, keepdims=True))
