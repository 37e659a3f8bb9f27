"""Doubt, rarity and variety, added with weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from scarce.dataset import Array, Floats, Ints
from scarce.errors import ConfigError
from scarce.execute.local import single_threaded_algebra
from scarce.label.query._base import AbstractQuery, Picks, Pool
from scarce.label.query._farthest import Race
from scarce.label.query.margin import margin_utility


def rarity_utility(pred_probs: Array, counts: Ints) -> Floats:
    """Return (N,) expected rarity of the class, in [0, 1]: 1 = surely of a class without a label.

    The rarity of a class is one minus its labels over those of the largest class.

    Args:
        pred_probs: (N, K) probabilities.
        counts: (K,) labels of each class.
    """
    rarity = 1 - np.asarray(counts, np.float64) / max(int(np.max(counts, initial=0)), 1)
    out: Floats = np.clip(np.asarray(pred_probs, np.float64) @ rarity, 0, 1)
    return out


@final
@dataclass(frozen=True, kw_only=True)
class Priority(AbstractQuery):
    """Ask first where doubt, rarity of the likely class and distance to what is labeled are large together.

    Use when classes are imbalanced and batches are asked: a good default once a model exists.
    Do not use before two classes have labels.
    Needs: embedding (N, D) and pred_probs (N, K), out-of-sample. Doubt is the margin; rarity the expected share that a
    class lacks beside the largest; variety the distance to the nearest labeled or asked sample (1 = 95 % are nearer).

    Args:
        uncertainty: weight of doubt.
        rarity: weight of rarity.
        diversity: weight of variety.
    """

    needs: ClassVar[tuple[str, ...]] = ("embedding", "pred_probs")
    uncertainty: float = 0.5
    rarity: float = 0.3
    diversity: float = 0.2

    def __post_init__(self) -> None:
        """Refuse weights that mean nothing."""
        weights = (self.uncertainty, self.rarity, self.diversity)
        if min(weights) < 0 or not sum(weights) > 0:
            raise ConfigError("label.query.priority", f"weights {weights}", do="give weights >= 0, one of them above 0")

    def utility(self, pool: Pool) -> Floats:
        """Return (M,) in [0, 1]; 1 = ask first."""
        return np.asarray(self._race(pool, None).worth(), np.float64)

    def rank(self, pool: Pool, n: int) -> Picks:
        """Return the greedy picks; each one takes its variety from its neighbors."""
        with single_threaded_algebra():
            rows, gains = self._race(pool, pool.costs).run(n)
        return self.picks(pool, rows, gains)

    def _race(self, pool: Pool, cost: Floats | None) -> Race:
        total = self.uncertainty + self.rarity + self.diversity
        counts = np.bincount(pool.labels[pool.labeled], minlength=pool.probs.shape[1])
        base = self.uncertainty * margin_utility(pool.probs) + self.rarity * rarity_utility(pool.probs, counts)
        weight = self.diversity / total
        with single_threaded_algebra():
            race = Race(rows=pool.features, entrants=pool.candidates, centers=pool.covered.tolist(),
                        base=np.nan_to_num(base) / total, weight=weight, cost=cost)  # fmt: skip
        far = np.sqrt(race.square)
        race.scale = float(np.quantile(far, 0.95)) if len(far) and np.isfinite(far).all() else 1.0
        race.scale = race.scale or 1.0
        return race

    def say(self, pool: Pool, rows: Ints, value: Floats) -> list[str]:
        """Return the reasons."""
        counts = np.bincount(pool.labels[pool.labeled], minlength=len(pool.classes))
        if pool.pred_probs is None:
            return ["useful"] * len(rows)
        probs = pool.pred_probs[rows]
        doubt, rare = margin_utility(probs), rarity_utility(probs, counts)
        return [
            f"priority {gain:.2f}: doubt {one:.2f} between {pool.likely(row)}, rarity {two:.2f}"
            for row, gain, one, two in zip(rows, value, doubt, rare, strict=True)
        ]
