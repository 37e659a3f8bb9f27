"""Greedy picks of what lies farthest from everything picked before, exactly, without reading all rows for each pick.

The distance to the nearest center only falls as centers are added, so an old distance is an upper bound. A front of
rows with the largest bounds is kept up to date; as long as its best row beats the best bound outside, that row is the
best of all. All other rows wait, and get the centers that they missed in one matrix product when their turn comes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from scarce.dataset import Array, Floats, Ints

FRONT: Final = 768
"""Rows that are kept up to date; 1.5 MiB at 512 columns."""
ROWS, CENTERS = 256, 512
"""Rows and centers of one matrix product."""
DOUBT: Final = 4e-6
"""Share of the squared lengths that a squared distance from a float32 product may be off; closer races are run again
in float64."""


@dataclass(kw_only=True, eq=False)
class Race:
    """Rows that compete, with bounds of their distance to the nearest center.

    Args:
        rows: (N, D) all rows.
        entrants: (M,) row numbers that may be picked.
        centers: row numbers of the centers; grows.
        base: (M,) worth beside the distance; None = nothing.
        weight: of the distance.
        scale: a distance that counts as 1, and no farther one counts more; 0 = distances count as they are.
        cost: (M,) what a pick costs; None = all the same.
    """

    rows: Array
    entrants: Ints
    centers: list[int]
    base: Floats | None = None
    weight: float = 1.0
    scale: float = 0.0
    cost: Floats | None = None
    mean: Floats = field(init=False)
    square: Floats = field(init=False)
    nearest: Ints = field(init=False)
    applied: Ints = field(init=False)
    picked: Array = field(init=False)

    def __post_init__(self) -> None:
        """Measure the distances to the centers that are there."""
        n = len(self.entrants)
        sample = self.rows[self.entrants[:: max(1, n // 512)]]
        self.mean = sample.mean(0, dtype=np.float64).astype(np.float32) if n else np.zeros(0, np.float32)
        self.square = np.full(n, np.inf, np.float32)
        self.nearest = np.full(n, -1, np.int32)
        self.applied = np.zeros(n, np.int32)
        self.picked = np.zeros(n, np.bool_)
        if self.centers:
            self.refresh(np.arange(n))

    def moved(self, numbers: Ints) -> Floats:
        """Return (m, D) float32 rows moved to the mean, where products lose the fewest digits."""
        out: Floats = self.rows[numbers].astype(np.float32) - self.mean
        return out

    def refresh(self, places: Ints) -> None:
        """Bring the bounds of some entrants up to date."""
        places = places[np.argsort(self.applied[places], kind="stable")]
        for start in range(0, len(places), ROWS):
            part = places[start : start + ROWS]
            first = int(self.applied[part[0]])
            if first == len(self.centers):
                continue
            rows = self.moved(self.entrants[part])
            length = np.einsum("nd,nd->n", rows, rows)
            best, which = self.square[part], self.nearest[part]
            for begin in range(first, len(self.centers), CENTERS):
                block = self.moved(np.array(self.centers[begin : begin + CENTERS]))
                far = rows @ block.T
                far *= -2
                far += np.einsum("nd,nd->n", block, block)
                where = far.argmin(axis=1)
                found = np.maximum(far[np.arange(len(part)), where] + length, 0)
                nearer = found < best
                best = np.where(nearer, found, best)
                which = np.where(nearer, where + begin, which)
            self.square[part], self.nearest[part] = best, which
            self.applied[part] = len(self.centers)

    def worth(self, places: Ints | slice = slice(None)) -> Floats:
        """Return what entrants are worth by their bounds; -1 for those that were picked."""
        return self._valued(np.sqrt(self.square[places]), places)

    def _valued(self, far: Floats, places: Ints | slice) -> Floats:
        if self.scale:
            far = np.minimum(far / self.scale, 1)
        value = far if self.weight == 1 else far * self.weight
        if self.base is not None:
            value = value + self.base[places]
        if self.cost is not None:
            value = value / self.cost[places]
        out: Floats = np.where(self.picked[places], -1.0, value)
        return out

    def exact(self, places: Ints) -> Floats:
        """Return the worth by distances in float64 to the centers that are nearest."""
        centers = np.array(self.centers, np.int64)[self.nearest[places]]
        gap = np.asarray(self.rows[self.entrants[places]], np.float64) - np.asarray(self.rows[centers], np.float64)
        return self._valued(np.sqrt(np.einsum("nd,nd->n", gap, gap)), places)

    def run(self, n: int) -> tuple[Ints, Floats]:
        """Return the row numbers of n picks in order, and what each was worth when it was picked."""
        order: list[int] = []
        gains: list[float] = []
        n = min(n, len(self.entrants))
        while len(order) < n:
            front, outside = self._front()
            self.refresh(front)
            rows = self.moved(self.entrants[front])
            length = np.einsum("nd,nd->n", rows, rows)
            while len(order) < n:
                best, value = self._first(front, float(length.max()))
                if value < outside:
                    break
                place = int(front[best])
                order.append(place)
                gains.append(value)
                self.picked[place] = True
                self.centers.append(int(self.entrants[place]))
                far = np.maximum(length + length[best] - 2 * (rows @ rows[best]), 0)
                nearer = far < self.square[front]
                self.square[front[nearer]] = far[nearer]
                self.nearest[front[nearer]] = len(self.centers) - 1
                self.applied[front] = len(self.centers)
        return self.entrants[order], np.array(gains)

    def _front(self) -> tuple[Ints, float]:
        """Return the places of the largest bounds, in rising order, and the largest one outside."""
        worth = self.worth()
        if len(worth) <= FRONT:
            return np.arange(len(worth)), -2.0
        cut = np.argpartition(worth, len(worth) - FRONT - 1)
        return np.sort(cut[len(worth) - FRONT :]), float(worth[cut[len(worth) - FRONT - 1]])

    def _first(self, front: Ints, longest: float) -> tuple[int, float]:
        """Return the best of the front and its worth; races too close for float32 are run in float64."""
        worth = self.worth(front)
        best = int(worth.argmax())
        value = float(worth[best])
        if not self.centers or not np.isfinite(value):
            return best, value
        blur = 2 * DOUBT * longest / max(np.sqrt(float(self.square[front[best]])), 1e-12)
        blur *= self.weight / (self.scale or 1.0)
        if self.cost is not None:
            blur /= float(self.cost[front].min())
        close = np.flatnonzero(worth >= value - blur)
        close = close[~self.picked[front[close]]]
        if len(close) < 2:
            return best, value
        judged = self.exact(front[close])
        first = int(judged.argmax())
        return int(close[first]), float(judged[first])
