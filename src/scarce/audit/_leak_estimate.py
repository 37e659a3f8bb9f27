"""How much of a test score is owed to train samples that give the answer away."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scarce.audit._base import unit_rows
from scarce.dataset import Array, Floats, Ints, Mask


@dataclass(frozen=True)
class LeakEstimate:
    """Scores of a nearest-neighbor model on test samples; all are shares in [0, 1], higher = better.

    Attributes:
        leaked: share right of the leaked test samples, with the train samples that give them away.
        without: the same samples, without those train samples.
        clean: share right of the other test samples; NaN if there are none.
        flattery: how much higher the score of all test samples is for the leak, that is (leaked - without) times the
            share that leaks.
        low: lower end of the 95 % interval of the flattery, by bootstrap over what belongs together.
        high: its upper end.
    """

    leaked: float
    without: float
    clean: float
    flattery: float
    low: float
    high: float


def leaked_score(features: Floats, labels: Array, test: Mask, part: Ints, *, seed: int = 0) -> LeakEstimate | None:
    """Return what the leak is worth, or None where nothing leaks or a side is too small to tell.

    A nearest-neighbor model stands for any that can memorize; it is asked twice, the second time without the train
    samples that belong to the same part as the asked one. Nothing else differs, so that hard and easy samples cancel.

    Args:
        features: (N, D) of train and test samples.
        labels: (N,) class codes, 0 or more.
        test: (N,) whether a row is a test sample; the others are train.
        part: (N,) number of the group (copies, one object, a user's group) that each row belongs to.
        seed: of the bootstrap.
    """
    train = np.flatnonzero(~test)
    asked = np.flatnonzero(test)
    leaks = np.isin(part[asked], part[train])
    if not leaks.any() or len(train) < 2 or len(np.unique(labels[train])) < 2:
        return None
    rows = unit_rows(features)
    free, apart = nearest(rows, train, asked, part)
    known = apart >= 0
    right = labels[free] == labels[asked]
    still = np.where(known, labels[np.maximum(apart, 0)] == labels[asked], right)
    gain = np.where(leaks, right.astype(float) - still, 0.0)
    low, high = _interval(gain, part[asked], seed)
    clean = float(right[~leaks].mean()) if (~leaks).any() else float("nan")
    return LeakEstimate(
        float(right[leaks].mean()), float(still[leaks].mean()), clean, float(gain.mean()), low, high
    )  # fmt: skip


def nearest(rows: Floats, train: Ints, asked: Ints, part: Ints) -> tuple[Ints, Ints]:
    """Return (T,) the nearest train row of each asked row, and the nearest of another part (-1 = there is none).

    Args:
        rows: (N, D) unit rows.
        train: row numbers.
        asked: (T,) row numbers.
        part: (N,) number of the part of each row.
    """
    reference = rows[train]
    own = part[train]
    free, apart = np.empty(len(asked), np.int64), np.empty(len(asked), np.int64)
    size = max(1, 2**24 // max(len(train), 1))
    for start in range(0, len(asked), size):
        near = rows[asked[start : start + size]] @ reference.T
        free[start : start + size] = train[near.argmax(axis=1)]
        near[own[None] == part[asked[start : start + size], None]] = -np.inf
        best = near.argmax(axis=1)
        found = np.isfinite(near[np.arange(len(near)), best])
        apart[start : start + size] = np.where(found, train[best], -1)
    return free, apart


def _interval(gain: Floats, part: Ints, seed: int, repeats: int = 2000) -> tuple[float, float]:
    """Return the 95 % interval of the mean by bootstrap over parts."""
    _, code = np.unique(part, return_inverse=True)
    total, count = np.bincount(code, gain), np.bincount(code)
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(0, repeats, 100):
        weight = rng.multinomial(len(count), np.full(len(count), 1 / len(count)), 100)
        drawn.append((weight @ total) / np.maximum(weight @ count, 1))
    low, high = np.quantile(np.concatenate(drawn), (0.025, 0.975))
    return float(low), float(high)
