"""A share with an interval that is right for few counts and for unequal weights.

Source: Hajek 1971 for the weighted share; Kish 1965 for the effective number; Clopper and Pearson 1934 with effective
counts, Korn and Graubard 1998; Newcombe 1998 (method 10) for the difference of two shares.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from scarce.dataset import Array, Floats, Mask
from scarce.metric.interval import clopper_pearson, cluster_weights, group_codes

NOTHING: Final = "nothing can be said: none was drawn at random"
DRAWS: Final = 500
ALIKE: Final = 0.95
"""Weights that leave so large a part of the samples are as good as equal: no bootstrap."""


@dataclass(frozen=True, kw_only=True)
class Rate:
    """One figure with its interval.

    Attributes:
        value: None = nothing can be said.
        low, high: two-sided bounds.
        n: samples that it stands on.
        groups: independent ones among them.
        effective: what unequal weights leave of the groups.
        why: why nothing can be said; empty where something can.
    """

    value: float | None
    low: float
    high: float
    n: int
    groups: int
    effective: float
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        told = {"why": self.why} if self.why else {}
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n, "groups": self.groups,
                "effective": self.effective, **told}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Change:
    """How much a figure differs between two times: later minus earlier, with its interval."""

    name: str
    value: float
    low: float
    high: float

    @property
    def proven(self) -> bool:
        """Whether 0 lies outside the interval."""
        return self.low > 0 or self.high < 0

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"name": self.name, "value": self.value, "low": self.low, "high": self.high, "proven": self.proven}


def rate(
    hits: Mask, inclusion: Floats | None = None, groups: Array | None = None, *, confidence: float = 0.95, seed: int = 0
) -> Rate:
    """Return a share with its interval.

    Args:
        hits: (N,) bool.
        inclusion: (N,) probabilities with which they were drawn; None = all alike.
        groups: (N,) what several share; None = they stand alone.
        confidence: two-sided.
        seed: of the bootstrap.

    Example:
        >>> found = rate(np.array([True] * 9 + [False]))
        >>> round(found.low, 3), found.value, round(found.high, 3)
        (0.555, 0.9, 0.997)
    """
    hits = np.asarray(hits, bool)
    n = len(hits)
    if not n:
        return Rate(value=None, low=0.0, high=1.0, n=0, groups=0, effective=0.0, why=NOTHING)
    codes = np.arange(n) if groups is None else group_codes(groups)
    weights = np.ones(n) if inclusion is None else 1 / np.asarray(inclusion, np.float64)
    by_group = np.bincount(codes, weights)
    units = len(by_group)
    effective = float(by_group.sum() ** 2 / (by_group**2).sum())
    value = 1.0 if hits.all() else float(weights @ hits / weights.sum())
    low, high = clopper_pearson(value * effective if value < 1 else effective, effective, confidence)
    if effective < ALIKE * units and 0 < value < 1:
        drawn = cluster_weights(codes, repeats=DRAWS, seed=seed) * weights
        spread = (drawn @ hits) / drawn.sum(1)
        low = min(low, float(np.quantile(spread, (1 - confidence) / 2)))
        high = max(high, min(float(np.quantile(spread, (1 + confidence) / 2)), 1.0))
    return Rate(value=value, low=low, high=high, n=n, groups=units, effective=effective)


def difference(name: str, old: Rate, new: Rate) -> Change:
    """Return later minus earlier of two independent figures, with the interval that theirs give."""
    assert old.value is not None
    assert new.value is not None
    value = new.value - old.value
    down = float(np.hypot(new.value - new.low, old.high - old.value))
    up = float(np.hypot(new.high - new.value, old.value - old.low))
    return Change(name=name, value=value, low=value - down, high=value + up)


def counted(hits: int, n: int, confidence: float = 0.95) -> Rate:
    """Return a share of which every case is known; its interval says what the same source would go on to show."""
    low, high = clopper_pearson(hits, n, confidence)
    return Rate(value=hits / n if n else None, low=low, high=high, n=n, groups=n, effective=float(n),
                why="" if n else "nothing was answered")  # fmt: skip
